"""The program on a folder of raw inputs: what it computes is what the Python interpreter computes."""

import numpy as np
import pytest

from nasfpn_lite.android_bench.raw_outputs import read_raw_outputs
from tests.hand_made_tflite import HandMade
from tests.own_runner_files import (
    SHAPE,
    run_folder,
    run_in_python,
    start_here,
    write_inputs,
    write_mixed,
    write_tiny,
)


@pytest.fixture(scope="module")
def run():
    return start_here()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return write_mixed(tmp_path_factory.mktemp("model"))


def test_outputs_equal_the_interpreters(run, tiny, tmp_path):
    rng = np.random.default_rng(3)
    images = [rng.uniform(-1, 1, SHAPE).astype(np.float32) for _ in range(3)]
    write_inputs(tmp_path / "in", *((f"{name}.raw", [image]) for name, image in zip("bac", images, strict=True)))
    result = run(f"--graph={tiny}", f"--input_folder={tmp_path / 'in'}", f"--output_folder={tmp_path / 'out'}")
    assert result.returncode == 0, result.stderr
    outputs = read_raw_outputs(tmp_path / "out")
    assert outputs.inputs == ("a.raw", "b.raw", "c.raw")
    scores = outputs.tensors["scores"]
    assert (scores.dtype, scores.shape) == ("float32", (1, 5))
    for position, image in enumerate((images[1], images[0], images[2])):
        (expected,) = run_in_python(tiny, image)
        found = np.frombuffer(scores.read(position), scores.dtype).reshape(scores.shape)
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(found, run_in_python(tiny, image + np.float32(1e-3))[0])


@pytest.mark.parametrize("xnnpack", ["true", "false"])
def test_several_inputs_and_outputs(run, mixed, tmp_path, xnnpack):
    image = np.array([[[-1, 0, 2], [3, -4, 5.5]]], np.float32)
    counts = np.array([[7, -1], [11, 12]], np.int32)
    write_inputs(tmp_path / "in", ("x", [image, counts]))
    folders = [f"--input_folder={tmp_path / 'in'}", f"--output_folder={tmp_path / 'out'}"]
    result = run(f"--graph={mixed}", *folders, f"--use_xnnpack={xnnpack}")
    assert result.returncode == 0, result.stderr
    tensors = list(read_raw_outputs(tmp_path / "out").tensors.values())
    found = [np.frombuffer(tensor.read(0), tensor.dtype).reshape(tensor.shape) for tensor in tensors]
    np.testing.assert_array_equal(found[0], [[[0, 0, 2], [3, 0, 5.5]]])
    np.testing.assert_array_equal(found[1], [[1, 3], [1, 0]])
    for array, expected in zip(found, run_in_python(mixed, image, counts), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_inputs_of_another_size(run, tiny, tmp_path):
    write_inputs(tmp_path / "in", ("a", [np.zeros(SHAPE, np.float32)]), ("b", [np.zeros(SHAPE, np.uint8)]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "outputs.json").write_text("of an earlier run")
    result = run_folder(run, tiny, tmp_path)
    assert result.returncode == 1
    assert f"expected 576 bytes of input in {tmp_path / 'in'}/b, got 144" in result.stderr
    assert not (tmp_path / "out" / "outputs.json").exists()


def test_input_folders_without_inputs(run, tiny, tmp_path):
    assert "cannot read the input folder" in run_folder(run, tiny, tmp_path).stderr
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / ".hidden").write_text("")
    assert "expected raw input files in" in run_folder(run, tiny, tmp_path).stderr
    (tmp_path / "in" / "folder").mkdir()
    result = run_folder(run, tiny, tmp_path)
    assert result.returncode == 1
    assert "folder is none" in result.stderr


def test_output_folder_that_cannot_be_made(run, tiny, tmp_path):
    write_inputs(tmp_path / "in", ("a", [np.zeros(SHAPE, np.float32)]))
    (tmp_path / "out").write_text("a file")
    result = run_folder(run, tiny, tmp_path)
    assert result.returncode == 1
    assert "ERROR: cannot write the output" in result.stderr


def test_names_of_any_kind(run, tmp_path):
    made = HandMade()
    image, output = made.tensor((1, 2)), made.tensor((1, 2))
    made.graph.main.tensors[output].name = 'a/"b\\c:0\té'.encode()
    made.op("RELU", [image], [output])
    (tmp_path / "m.tflite").write_bytes(made.to_bytes([image], [output]))
    write_inputs(tmp_path / "in", ('1 "x\\.raw', [np.array([[-1, 2]], np.float32)]))
    result = run_folder(run, tmp_path / "m.tflite", tmp_path)
    assert result.returncode == 0, result.stderr
    outputs = read_raw_outputs(tmp_path / "out")
    assert outputs.inputs == ('1 "x\\.raw',)
    assert outputs.tensors['a/"b\\c:0\té'].read(0) == np.array([[0, 2]], np.float32).tobytes()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"outputs.json", "0_a__b_c_0___.raw"}


def test_a_name_longer_than_a_file_name_may_be(run, tmp_path):
    made = HandMade()
    image, output = made.tensor((1, 2)), made.tensor((1, 2))
    name = "model/" + "a;" * 150
    made.graph.main.tensors[output].name = name.encode()
    made.op("RELU", [image], [output])
    (tmp_path / "m.tflite").write_bytes(made.to_bytes([image], [output]))
    write_inputs(tmp_path / "in", ("1.raw", [np.array([[-1, 2]], np.float32)]))
    result = run_folder(run, tmp_path / "m.tflite", tmp_path)
    assert result.returncode == 0, result.stderr
    assert read_raw_outputs(tmp_path / "out").tensors[name].read(0) == np.array([[0, 2]], np.float32).tobytes()


def test_shapes_that_only_preparing_gives(run, find_peer, tmp_path):
    """The file states no shape for what TFLite_Detection_PostProcess gives."""
    path = find_peer("ssd_mobilenet_v1_coco_quant_300.tflite")
    image = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), dtype=np.uint8)
    write_inputs(tmp_path / "in", ("a", [image]), ("b", [image]))
    result = run_folder(run, path, tmp_path)
    assert result.returncode == 0, result.stderr
    outputs = read_raw_outputs(tmp_path / "out")
    assert [tensor.shape for tensor in outputs.tensors.values()] == [(1, 10, 4), (1, 10), (1, 10), (1,)]
    expected = run_in_python(path, image)
    for tensor, array in zip(outputs.tensors.values(), expected, strict=True):
        np.testing.assert_array_equal(np.frombuffer(tensor.read(1), tensor.dtype).reshape(tensor.shape), array)
