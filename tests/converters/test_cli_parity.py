"""`nasfpn-lite parity` as a user calls it."""

import json
import shutil

import numpy as np
import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.converters.cli_parity import load_photos
from nasfpn_lite.converters.convert import Source, convert
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.parity_stages import find_tensors, list_stages
from nasfpn_lite.runs import WEIGHTS_FILE, load_run
from nasfpn_lite.weights import load_arrays, save_arrays


@pytest.fixture(scope="module")
def trained_run(tiny_run, tmp_path_factory):
    """The run with batch norms that shift, as those of every trained network do."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    shutil.copytree(tiny_run, folder)
    arrays = load_arrays(folder / WEIGHTS_FILE)
    rng = np.random.default_rng(0)
    for name, values in arrays.items():
        if name.endswith("/beta"):
            values[:] = rng.normal(0.3, 0.3, values.shape)
    save_arrays(arrays, folder / WEIGHTS_FILE)
    return folder


@pytest.fixture(scope="module")
def float32_file(trained_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("parity") / "tiny_float32_raw.tflite"
    convert(Source.from_run(load_run(trained_run)), "float32", "raw", path)
    return path


@pytest.fixture(scope="module")
def damaged_file(float32_file):
    """The file with the weights of the lateral projection of C4 negated."""
    graph = Graph(float32_file.read_bytes())
    place = find_tensors(graph, ["lateral_C4"], None)["lateral_C4"]
    lateral = next(operator for operator in graph.main.operators if place in operator.outputs)
    weights = graph.model.buffers[graph.main.tensors[lateral.inputs[1]].buffer]
    weights.data = np.frombuffer((-np.frombuffer(bytes(weights.data), np.float32)).tobytes(), np.uint8)
    path = float32_file.with_name("damaged.tflite")
    path.write_bytes(graph.to_bytes())
    return path


def call(run, file, data, *options):
    return main(["parity", str(run), str(file), "--data", str(data), *options])


def test_table_verdict_and_picture(trained_run, float32_file, tiny_coco, tmp_path, capsys):
    picture = tmp_path / "drift.svg"
    assert call(trained_run, float32_file, tiny_coco, "-o", str(picture)) == 0
    lines = capsys.readouterr().out.splitlines()
    stages = list_stages(load_run(trained_run).spec)
    assert [line.split("  ")[0] for line in lines[2 : 2 + len(stages)]] == [stage.words for stage in stages]
    assert lines[-1].startswith(f"float32 is within its tolerance at all {len(stages)} stages; closest to it is ")
    assert lines[-1].endswith("(2 photos)")
    assert "tiny_float32_raw.tflite against run" in picture.read_text()


def test_json_and_exit_code_of_a_damaged_file(trained_run, damaged_file, tiny_coco, capsys):
    assert call(trained_run, damaged_file, tiny_coco, "--json", "--images", "1") == 1
    figures = json.loads(capsys.readouterr().out)
    assert (figures["within"], figures["images"], figures["missing"]) == (False, 1, [])
    assert figures["collapse"] == figures["steepest_fall"] == "lateral_C4"
    assert "first at lateral projection of C4 (lateral_C4): " in figures["verdict"]
    entries = {entry["name"]: entry for entry in figures["stages"]}
    assert entries["lateral_C4"]["snr_db"] == pytest.approx(-6.02, abs=0.05)  # twice the signal is missing
    assert entries["block_12_add"]["within"]


def test_a_table_marks_what_is_outside(trained_run, damaged_file, tiny_coco, capsys):
    assert call(trained_run, damaged_file, tiny_coco) == 1
    marked = [line for line in capsys.readouterr().out.splitlines() if line.endswith("<-- outside")]
    assert marked[0].startswith("lateral projection of C4")


def test_photos_are_those_of_the_split(trained_run, tiny_coco):
    run = load_run(trained_run)
    assert load_photos(run, tiny_coco, "train", 4).shape == (4, 64, 128, 3)
    assert load_photos(run, tiny_coco, "test", 4).shape == (2, 64, 128, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "drift.png"], "ends in .svg, got drift.png"),
        (["--data", "gone"], "there is no folder gone; name one with --data"),
    ],
)
def test_what_cannot_be_done(options, message, trained_run, float32_file, tiny_coco, capsys):
    assert call(trained_run, float32_file, tiny_coco, *options) == 2
    assert message in capsys.readouterr().err


def test_a_file_of_another_detector(trained_run, small_detector, tiny_coco, capsys):
    assert call(trained_run, small_detector.files["float32", "raw"], tiny_coco) == 2
    assert "holds another detector" in capsys.readouterr().err


def test_a_run_without_photos(trained_run, float32_file, tmp_path, capsys):
    copy = shutil.copytree(trained_run, tmp_path / "copy")
    assert main(["parity", str(copy), str(float32_file)]) == 2
    assert "does not say which it was trained on" in capsys.readouterr().err
