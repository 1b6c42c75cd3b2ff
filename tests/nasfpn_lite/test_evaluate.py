"""AP on sets small enough to work it out by hand, and the same numbers as pycocotools on real annotation files."""

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nasfpn_lite.data.coco import load_split
from nasfpn_lite.data.records import Category, Detections, ImageRecord, Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import METRICS, evaluate, match_classes, score, to_coco_results

CATEGORIES = (Category(3, "cat"), Category(7, "dog"))
HEIGHT, WIDTH = 240, 320
# Two images, four boxes, yxyx: 100 wide and 50 high, so that swapped sides cannot pass.
TRUTH = {
    11: ([[10, 20, 60, 120], [100, 150, 150, 250]], [0, 1]),
    12: ([[30, 40, 80, 140], [150, 60, 200, 160]], [0, 1]),
}


class FakeDetector:
    """Knows what to find by the grey value of the image."""

    spec = None

    def __init__(self, found, categories=CATEGORIES):
        self.found = found
        self.categories = categories

    def detect(self, image):
        boxes, classes, scores = self.found[int(image[0, 0, 0])]
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int32)
        )


class FakeBatchDetector(FakeDetector):
    def detect_many(self, images):
        return [FakeDetector.detect(self, image) for image in images]

    def detect(self, image):
        raise AssertionError("detect_many was there")


def make_split(folder: Path, truth=TRUTH, crowd=(), area=5000.0) -> Split:
    records = []
    for image_id, (boxes, classes) in truth.items():
        path = folder / f"{image_id}.png"
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), image_id, np.uint8))
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        is_crowd = np.array([(image_id, index) in crowd for index in range(len(boxes))], bool)
        labels, areas = np.array(classes, np.int32), np.full(len(boxes), area)
        records.append(ImageRecord(image_id, path, HEIGHT, WIDTH, boxes, labels, is_crowd, areas))
    return Split("test", tuple(records), CATEGORIES)


def perfect(truth=TRUTH):
    return {image_id: (boxes, classes, [0.9] * len(boxes)) for image_id, (boxes, classes) in truth.items()}


def shift(boxes, pixels):
    return [[y0, x0 + pixels, y1, x1 + pixels] for y0, x0, y1, x1 in boxes]


@pytest.mark.parametrize("kind", [FakeDetector, FakeBatchDetector])
def test_perfect_detections_score_one(tmp_path, kind):
    result = evaluate(kind(perfect()), make_split(tmp_path))
    # 100 x 50 = 5000 square pixels is "medium" (32**2 to 96**2); one object of a class and image, so AR1 is 1 too.
    expected = dict.fromkeys(METRICS, 1.0) | dict.fromkeys(("APs", "APl", "ARs", "ARl"))
    assert result.summary == expected
    assert result.per_class == {"cat": 1.0, "dog": 1.0}
    assert (result.images, result.objects) == (2, 4)


@pytest.mark.parametrize(("area", "size"), [(1000.0, "s"), (5000.0, "m"), (9500.0, "l")])
def test_objects_are_small_medium_or_large_by_the_annotations_area(tmp_path, area, size):
    # 32**2 = 1024, 96**2 = 9216; the boxes themselves have 5000 square pixels.
    summary = evaluate(FakeDetector(perfect()), make_split(tmp_path, area=area)).summary
    assert {s: (summary[f"AP{s}"], summary[f"AR{s}"]) for s in "sml"} == {
        s: (1.0, 1.0) if s == size else (None, None) for s in "sml"
    }


def test_shifted_boxes_count_up_to_their_overlap(tmp_path):
    # Shifted by 20 of 100: IoU = 80 / 120 = 0.667, right at 0.50, 0.55, 0.60 and 0.65 of ten thresholds.
    found = perfect()
    found = {id_: (shift(boxes, 20), classes, scores) for id_, (boxes, classes, scores) in found.items()}
    summary = evaluate(FakeDetector(found), make_split(tmp_path)).summary
    assert summary["AP"] == pytest.approx(0.4)
    assert (summary["AP50"], summary["AP75"]) == (1.0, 0.0)


def test_classes_are_scored_apart(tmp_path):
    found = perfect()
    boxes, classes, scores = found[11]
    found[11] = ([boxes[0], shift(boxes[1:], 20)[0]], classes, scores)
    boxes, classes, scores = found[12]
    found[12] = ([boxes[0], shift(boxes[1:], 20)[0]], classes, scores)
    result = evaluate(FakeDetector(found), make_split(tmp_path))
    assert result.per_class == {"cat": 1.0, "dog": pytest.approx(0.4)}
    assert result.summary["AP"] == pytest.approx(0.7)


def test_a_better_scored_mistake_halves_the_precision(tmp_path):
    truth = {11: ([[10, 20, 60, 120]], [0])}
    found = {11: ([[10, 20, 60, 120], [150, 20, 200, 120]], [0, 0], [0.5, 0.9])}
    result = evaluate(FakeDetector(found), make_split(tmp_path, truth))
    assert result.summary["AP"] == pytest.approx(0.5)
    assert result.per_class == {"cat": pytest.approx(0.5), "dog": None}


def test_a_missed_box_costs_recall(tmp_path):
    found = perfect()
    found[12] = ([], [], [])
    summary = evaluate(FakeDetector(found), make_split(tmp_path)).summary
    assert summary["AR100"] == pytest.approx(0.5)
    assert summary["AP"] == pytest.approx(51 / 101)  # precision 1 at recall 0.00 to 0.50


def test_swapped_box_order_scores_nothing(tmp_path):
    found = {
        id_: ([[x0, y0, x1, y1] for y0, x0, y1, x1 in boxes], classes, scores)
        for id_, (boxes, classes, scores) in perfect().items()
    }
    assert evaluate(FakeDetector(found), make_split(tmp_path)).summary["AP50"] == 0.0


def test_boxes_reach_coco_as_x_y_width_height():
    found = Detections(np.array([[10, 20, 60, 120]], np.float32), np.array([0.5], np.float32), np.array([1], np.int32))
    assert to_coco_results(5, found, [3, 7]) == [
        {"image_id": 5, "category_id": 7, "bbox": [20.0, 10.0, 100.0, 50.0], "score": 0.5}
    ]


def test_a_find_inside_a_crowd_is_no_mistake(tmp_path):
    truth = {11: ([[10, 20, 60, 120], [100, 0, 240, 320]], [0, 0])}
    found = {11: ([[10, 20, 60, 120], [120, 40, 140, 80]], [0, 0], [0.5, 0.9])}
    with_crowd = evaluate(FakeDetector(found), make_split(tmp_path, truth, crowd={(11, 1)}))
    assert (with_crowd.summary["AP"], with_crowd.objects) == (pytest.approx(1.0), 1)
    without = evaluate(FakeDetector(found), make_split(tmp_path, truth))
    assert without.summary["AP"] < 0.5


def test_no_detections_at_all_score_zero(tmp_path):
    nothing = {11: ([], [], []), 12: ([], [], [])}
    result = evaluate(FakeDetector(nothing), make_split(tmp_path))
    assert (result.summary["AP"], result.summary["AR100"], result.summary["APs"]) == (0.0, 0.0, None)
    assert result.per_class == {"cat": 0.0, "dog": 0.0}


def test_a_split_without_boxes_has_no_ap(tmp_path):
    truth = {11: ([], [])}
    result = evaluate(FakeDetector({11: ([[0, 0, 9, 9]], [0], [0.9])}), make_split(tmp_path, truth))
    assert result.summary == dict.fromkeys(METRICS)
    assert json.loads(json.dumps(result.to_dict()))["per_class"] == {"cat": None, "dog": None}


def test_classes_meet_by_name(tmp_path):
    # The detector numbers dog before cat, has other ids and one class more.
    categories = (Category(1, "dog"), Category(2, "bird"), Category(9, "cat"))
    found = {id_: (boxes, [{0: 2, 1: 0}[c] for c in classes], s) for id_, (boxes, classes, s) in perfect().items()}
    found[11] = ([*found[11][0], [0, 0, 50, 100]], [*found[11][1], 1], [*found[11][2], 0.99])
    assert evaluate(FakeDetector(found, categories), make_split(tmp_path)).summary["AP"] == 1.0
    assert match_classes(categories, CATEGORIES) == [7, None, 3]


def test_a_class_that_the_detector_lacks_is_an_error(tmp_path):
    detector = FakeDetector(perfect(), (Category(3, "cat"), Category(7, "Dog")))
    with pytest.raises(UserError, match="does not know dog; the dataset has cat, dog, the detector cat, Dog"):
        evaluate(detector, make_split(tmp_path))


def test_a_missing_image_is_named_before_any_work(tmp_path):
    split = make_split(tmp_path)
    split.images[1].path.unlink()
    with pytest.raises(UserError, match=r"12\.png"):
        evaluate(FakeDetector({}), split)


def test_a_broken_image_is_named(tmp_path):
    split = make_split(tmp_path)
    split.images[1].path.write_text("no image")
    with pytest.raises(UserError, match=r"12\.png"):
        evaluate(FakeDetector(perfect()), split)


def test_progress_and_stdout(tmp_path, capsys):
    truth = {id_: ([[10, 20, 60, 120]], [0]) for id_ in range(11, 22)}
    calls = []
    evaluate(FakeDetector(perfect(truth)), make_split(tmp_path, truth), progress=lambda *done: calls.append(done))
    assert calls == [(8, 11), (11, 11)]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("dataset", "split"), [("bccd", "test"), ("playing_cards", "test"), ("coco_ccby", "val")])
def test_same_numbers_as_pycocotools_on_the_json(shared_dir, dataset, split):
    folder = shared_dir / "datasets" / dataset
    records = load_split(folder, split)
    results = make_up_results(records, seed=3)
    document = json.loads((folder / f"instances_{split}.json").read_text())
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = document
        truth.createIndex()
        theirs = COCOeval(truth, truth.loadRes([dict(entry) for entry in results]), "bbox")
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    ours = score(records, results)
    assert ours.summary["AP"] > 0.1
    assert [-1 if ours.summary[name] is None else ours.summary[name] for name in METRICS] == list(theirs.stats)


def make_up_results(split: Split, seed: int) -> list[dict]:
    """Jittered true boxes, doubles, wrong classes and made-up boxes."""
    rng = np.random.default_rng(seed)
    ids = [category.id for category in split.categories]
    results = []
    for record in split.images:
        boxes = np.repeat(record.boxes_yxyx, 2, axis=0)
        classes = np.repeat(record.classes, 2)
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = boxes + rng.normal(0, 0.08, boxes.shape) * sides * (rng.random((len(boxes), 1)) < 0.8)
        corners = rng.uniform(0, 0.5, (3, 2)) * (record.height, record.width)
        boxes = np.concatenate([boxes, np.hstack([corners, corners + rng.uniform(10, 200, (3, 2))])])
        classes = np.append(classes, rng.integers(0, len(ids), 3))
        wrong = rng.random(len(classes)) < 0.1
        classes = np.where(wrong, rng.integers(0, len(ids), len(classes)), classes).astype(np.int32)
        scores = rng.random(len(boxes)).round(2).astype(np.float32)  # with ties
        results += to_coco_results(record.id, Detections(boxes.astype(np.float32), scores, classes), ids)
    return results
