"""Files of ours as detectors."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.boxes import decode, iou
from nasfpn_lite.converters.detect_form import append_detection, count_candidates
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.metadata import embed_metadata, read_metadata
from nasfpn_lite.converters.recipes import RECIPES
from nasfpn_lite.converters.tflite_detector import TFLiteDetector
from nasfpn_lite.data.records import Detections
from nasfpn_lite.drawing import save_image
from nasfpn_lite.errors import UserError
from nasfpn_lite.specs import AnchorSpec
from tests.converters.conftest import THRESHOLDS


def matched_share(first: Detections, second: Detections) -> float:
    """Share of detections that have one of the same class, score and box on the other side."""
    if len(first.scores) != len(second.scores):
        return 0.0
    same_class = first.classes[:, None] == second.classes[None]
    same_score = np.abs(first.scores[:, None] - second.scores[None]) < 1e-5
    same_box = iou(first.boxes_yxyx, second.boxes_yxyx) > 0.999
    return float((same_class & same_score & same_box).any(axis=1).mean())


@pytest.mark.parametrize(
    ("recipe", "share"),
    # Scores in int8 are often equal, and which of two equals stays is open: one in twenty may differ.
    [("float32", 1.0), ("float16", 1.0), ("dynamic_wi8_afp32", 1.0), ("static_wi8_ai8", 0.95)],
)
def test_suppression_inside_the_file_finds_what_the_hosts_does(small_detector, recipe, share):
    raw, detect = (TFLiteDetector(small_detector.files[recipe, form]) for form in ("raw", "detect"))
    found = 0
    for photo in small_detector.photos[30:36]:
        expected, result = raw.decode(best_class_only(raw.run(photo))), detect.decode(detect.run(photo))
        assert matched_share(expected, result) >= share
        assert np.all(np.diff(result.scores) <= 0)
        found += len(expected.scores)
    assert found >= 60
    assert len(set(expected.classes.tolist())) > 1


def test_suppression_inside_the_file_is_noticed_when_it_is_missing(small_detector):
    raw = TFLiteDetector(small_detector.files["float32", "raw"])
    outputs = raw.run(small_detector.photos[30])
    result = raw.decode(outputs)
    swapped = raw.decode({**outputs, "class_logits": outputs["class_logits"][::-1]})
    assert matched_share(result, swapped) < 0.5


@pytest.mark.parametrize(
    ("anchors", "max_detections", "candidates"),
    [(6921, 100, 256), (12276, 100, 383), (38412, 100, 768), (1530, 40, 256), (1530, 300, 300), (60, 100, 60)],
)
def test_more_anchors_send_more_candidates_into_the_suppression(anchors, max_detections, candidates):
    assert count_candidates(anchors, max_detections) == candidates


def best_class_only(outputs):
    """Raw outputs in which every anchor stands for its best class alone, as inside a detect file."""
    logits = outputs["class_logits"]
    best = logits.argmax(axis=-1)[:, None] == np.arange(logits.shape[-1])
    return {**outputs, "class_logits": np.where(best, logits, -100)}


@pytest.mark.parametrize("threads", [2, 3])
def test_every_class_is_found_with_any_number_of_threads(small_detector, threads):
    """The operator's own suppression by class would lose class 2 with two threads."""
    path = small_detector.files["float32", "detect"]
    one, several = TFLiteDetector(path), TFLiteDetector(path, threads=threads)
    classes = set()
    for photo in small_detector.photos[30:36]:
        expected, found = one.detect(photo), several.detect(photo)
        np.testing.assert_array_equal(found.classes, expected.classes)
        np.testing.assert_allclose(found.boxes_yxyx, expected.boxes_yxyx, atol=1e-3)
        classes |= set(found.classes.tolist())
    assert classes == {0, 1, 2}


def test_places_behind_the_last_detection_are_zero(small_detector):
    detect = TFLiteDetector(small_detector.files["float32", "detect"])
    outputs = detect.run(np.full((64, 128, 3), 127, np.uint8))
    count = int(outputs["count"])
    assert outputs["boxes"].shape == (40, 4)
    assert np.all(outputs["scores"][count:] == 0)
    assert np.all(outputs["scores"][:count] >= 0.6)


def test_boxes_are_cut_at_the_image_inside_the_file(small_detector, tmp_path):
    content = small_detector.files["float32", "raw"].read_bytes()
    spec = dataclasses.replace(small_detector.spec, anchors=AnchorSpec(scale=4.0))  # they stick out of the image
    graph, path = Graph(content), tmp_path / "large.tflite"
    append_detection(graph, spec, THRESHOLDS)
    metadata = dataclasses.replace(read_metadata(content), spec=spec, form="detect")
    path.write_bytes(embed_metadata(graph.to_bytes(), metadata))
    raw, detect = TFLiteDetector(small_detector.files["float32", "raw"]), TFLiteDetector(path)
    cut = 0
    for photo in small_detector.photos[30:36]:
        outputs, boxes = raw.run(photo), detect.run(photo)["boxes"]
        best = outputs["class_logits"].max(axis=1).argmax()
        whole = decode(outputs["box_encodings"][best], make_anchors(spec)[best]) / np.array([64, 128, 64, 128])
        np.testing.assert_allclose(boxes[0], np.clip(whole, 0, 1), atol=1e-5)
        cut += bool(np.any((whole < -0.01) | (whole > 1.01)))
        assert (boxes.min(), boxes.max()) == (0.0, 1.0)
    assert cut >= 1


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("form", ["raw", "detect"])
def test_boxes_come_back_in_the_photos_own_pixels(small_detector, recipe, form):
    detector = TFLiteDetector(small_detector.files[recipe, form])
    photo = small_detector.photos[30]
    large = photo.repeat(3, axis=0).repeat(2, axis=1)  # 192 x 256
    small, result = detector.detect(photo), detector.detect(large)
    assert len(result.scores) > 0
    assert result.boxes_yxyx[:, 2].max() > 64  # beyond the network's own height
    assert np.allclose(small.boxes_yxyx * [3, 2, 3, 2], result.boxes_yxyx, atol=1e-3)
    assert [c.name for c in detector.categories] == ["ant", "bee", "cow"]


@pytest.mark.parametrize("form", ["raw", "detect"])
def test_outputs_are_found_by_name_in_any_order(small_detector, tmp_path, form):
    path = small_detector.files["static_wi8_ai8", form]
    graph = Graph(path.read_bytes())
    graph.set_outputs(dict(reversed(graph.outputs().items())))
    shuffled = tmp_path / "shuffled.tflite"
    shuffled.write_bytes(graph.to_bytes())
    photo = small_detector.photos[30]
    first, second = TFLiteDetector(path).detect(photo), TFLiteDetector(shuffled).detect(photo)
    assert len(first.scores) > 0
    assert np.array_equal(first.boxes_yxyx, second.boxes_yxyx)
    assert np.array_equal(first.classes, second.classes)


def test_it_runs_where_tensorflow_and_keras_cannot_be_imported(small_detector):
    program = (
        "import sys\n"
        "sys.modules.update({'tensorflow': None, 'keras': None})\n"
        "import numpy as np\n"
        "from nasfpn_lite.converters.tflite_detector import TFLiteDetector\n"
        "detector = TFLiteDetector(sys.argv[1])\n"
        "print(len(detector.detect(np.zeros((50, 70, 3), np.uint8)).scores) >= 0)\n"
    )
    command = [sys.executable, "-c", program, str(small_detector.files["static_wi8_ai8", "detect"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


TFLITE_RUNTIME = """
import importlib, pathlib, sys
here, shadowed = str(pathlib.Path(__file__).parents[1]), list(sys.path)
sys.path = [folder for folder in shadowed if folder != here]
sys.modules.pop("ai_edge_litert", None)
Interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter
for name in [name for name in sys.modules if name.partition(".")[0] == "ai_edge_litert"]:
    del sys.modules[name]
sys.path = shadowed
"""


@pytest.fixture
def tflite_runtime_only(tmp_path, repository):
    """Environment of a process that finds tflite_runtime, but neither ai_edge_litert nor TensorFlow nor Keras."""
    folder = tmp_path / "packages"
    for name in ("ai_edge_litert", "tensorflow", "keras"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise ModuleNotFoundError('No module {name}', name='{name}')")
    (folder / "tflite_runtime").mkdir()
    (folder / "tflite_runtime" / "__init__.py").touch()
    (folder / "tflite_runtime" / "interpreter.py").write_text(TFLITE_RUNTIME)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(repository)])}


@pytest.mark.parametrize("form", ["raw", "detect"])
def test_files_are_predicted_and_measured_with_tflite_runtime_alone(
    small_detector, tmp_path, tflite_runtime_only, form
):
    photo = tmp_path / "photo.png"
    save_image(small_detector.photos[30], photo)
    file = small_detector.files["static_wi8_ai8", form]
    for line in (["predict", file, photo, "-o", tmp_path / "out"], ["bench", file, "--rounds", "1"]):
        command = [sys.executable, "-m", "nasfpn_lite", *map(str, line), "--json"]
        done = subprocess.run(command, env=tflite_runtime_only, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["results"][0]
    assert (result["multiply_adds"], result["gmadds_per_s"], result["operators"]) == (None, None, None)
    assert "post-process" in result["end_to_end_steps"]


def test_files_are_scored_with_tflite_runtime_alone(small_detector, tiny_coco, tmp_path, tflite_runtime_only):
    shutil.copytree(tiny_coco, tmp_path / "data")
    for file in (tmp_path / "data").glob("instances_*.json"):
        data = json.loads(file.read_text())
        data["categories"] = [{"id": id, "name": name} for id, name in ((1, "ant"), (5, "bee"), (7, "cow"))]
        file.write_text(json.dumps(data))
    file = small_detector.files["float32", "detect"]
    command = [sys.executable, "-m", "nasfpn_lite", "eval", file, "--data", tmp_path / "data"]
    done = subprocess.run(command, env=tflite_runtime_only, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x1c\x00\x00\x00TFL3" + bytes(50)])
def test_files_that_are_no_model_are_named(tmp_path, content):
    path = tmp_path / "odd.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"odd\.tflite: expected a \.tflite"):
        TFLiteDetector(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no file .*gone\.tflite"):
        TFLiteDetector(tmp_path / "gone.tflite")
