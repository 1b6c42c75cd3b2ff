"""The four classic mistakes of deployed detectors, made in the product's own source: each turns a named test red.

Decoders made for apps have the same in `tests/converters/test_decoders.py`, metadata for MediaPipe in
`tests/converters/test_tflite_metadata.py`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# (mistake, where) -> file, what stands there, what the mistake makes of it, the test that has to fail.
MUTATIONS = {
    ("swapped box order", "reading COCO"): (
        "nasfpn_lite/boxes.py",
        "np.stack([y, x, y + height, x + width], axis=-1)",
        "np.stack([x, y, x + width, y + height], axis=-1)",
        "tests/nasfpn_lite/test_boxes.py::test_conversion_by_hand",
    ),
    ("swapped box order", "coding against anchors"): (
        "nasfpn_lite/boxes.py",
        "    centre = encodings[..., :2] * anchor_size",
        "    centre = encodings[..., 1::-1] * anchor_size",
        "tests/nasfpn_lite/test_boxes.py::test_decode_undoes_encode[0]",
    ),
    ("swapped box order", "scoring"): (
        "nasfpn_lite/evaluate.py",
        "to_xywh_from_yxyx(detections.boxes_yxyx.astype(np.float64))",
        "to_xywh_from_yxyx(detections.boxes_yxyx.astype(np.float64)[:, [1, 0, 3, 2]])",
        "tests/nasfpn_lite/test_evaluate.py::test_boxes_reach_coco_as_x_y_width_height",
    ),
    ("swapped box order", "metadata for MediaPipe"): (
        "converters/tflite_metadata.py",
        '_Numbers("Uint32", (1, 0, 3, 2))',
        '_Numbers("Uint32", (0, 1, 2, 3))',
        "tests/converters/test_tflite_metadata.py::test_the_outputs_are_described_in_the_order_of_the_file",
    ),
    ("dropped zero point", "running a file"): (
        "converters/interpreter.py",
        "(values.astype(np.float32) - np.float32(self.zero_point))",
        "values.astype(np.float32)",
        "tests/converters/test_interpreter.py::test_quantizing_rounds_holds_and_comes_back",
    ),
    ("dropped zero point", "feeding a file"): (
        "converters/interpreter.py",
        "(0.5 + _TIE_TOLERANCE)) + self.zero_point",
        "(0.5 + _TIE_TOLERANCE))",
        "tests/converters/test_interpreter.py::test_quantizing_rounds_holds_and_comes_back",
    ),
    ("dropped zero point", "decoder in Python"): (
        "converters/decoders/python.txt",
        "(real - np.float32(zero_point))",
        "real",
        "tests/converters/test_decoders.py::test_generated_decoder_conforms[raw-int8-python]",
    ),
    ("ids shifted by one", "scoring"): (
        "nasfpn_lite/evaluate.py",
        "ids = {category.name: category.id for",
        "ids = {category.name: category.id + 1 for",
        "tests/nasfpn_lite/test_evaluate.py::test_classes_meet_by_name",
    ),
    ("ids shifted by one", "reading COCO"): (
        "nasfpn_lite/data/coco.py",
        "class_of = {category.id: index for",
        "class_of = {category.id: index + 1 for",
        "tests/nasfpn_lite/data/test_coco.py::test_category_ids_with_gaps_and_out_of_order_become_dense",
    ),
    ("wrong mean", "training and running"): (
        "nasfpn_lite/pixels.py",
        "PIXEL_OFFSET = 127.5",
        "PIXEL_OFFSET = 123.675",
        "tests/nasfpn_lite/test_preprocess.py::test_normalise",
    ),
    ("wrong mean", "metadata for MediaPipe"): (
        "converters/tflite_metadata.py",
        '_Numbers("Float32", (PIXEL_OFFSET,))',
        '_Numbers("Float32", (123.675,))',
        "tests/converters/test_tflite_metadata.py::test_the_image_is_described[True-0.0-255.0]",
    ),
    ("wrong mean", "decoder in Python"): (
        "converters/decoders/python.txt",
        "return INPUT_VALUES[pixels][None]",
        "return INPUT_VALUES[np.maximum(pixels, 4) - 4][None]",
        "tests/converters/test_decoders.py::test_generated_decoder_conforms[raw-int8-python]",
    ),
}


@pytest.fixture(scope="module")
def checkout(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which files may be spoilt."""
    folder = tmp_path_factory.mktemp("mutations")
    ignored = shutil.ignore_patterns("__pycache__", "*.npz", "results")
    for name in ("nasfpn_lite", "converters", "benchmarks", "android_bench", "tests"):
        shutil.copytree(repository / name, folder / name, symlinks=True, ignore=ignored)
    shutil.copy(repository / "pyproject.toml", folder)
    return folder


def failed_tests(checkout: Path, *names: str) -> list[str]:
    """Runs tests of the copy; returns those that failed, and takes anything else than red or green for a mistake."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=line", "-p", "no:cacheprovider", *names]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert " error" not in done.stdout.splitlines()[-1], done.stdout
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")]


def test_without_a_mistake_all_of_them_are_green(checkout):
    assert failed_tests(checkout, *sorted({test for *_, test in MUTATIONS.values()})) == []


@pytest.mark.parametrize(("mistake", "where"), MUTATIONS)
def test_a_mistake_turns_its_test_red(checkout, mistake, where):
    name, before, after, test = MUTATIONS[mistake, where]
    file = checkout / name
    sound = file.read_text(encoding="utf-8")
    assert sound.count(before) == 1
    file.write_text(sound.replace(before, after), encoding="utf-8")
    try:
        assert failed_tests(checkout, test) == [test]
    finally:
        file.write_text(sound, encoding="utf-8")
