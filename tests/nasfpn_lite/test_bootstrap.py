"""AP of drawn images is pycocotools' own of the same list of images, to 1e-9."""

import contextlib
import copy
import io
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.bootstrap import Resampler
from nasfpn_lite.data.records import Category, Detections, ImageRecord, Split
from nasfpn_lite.evaluate import run_cocoeval, to_coco_results

CATEGORIES = tuple(Category(id_, name) for id_, name in ((2, "ant"), (5, "bee"), (9, "cow"), (4, "dodo")))


def make_problem(seed: int) -> tuple[Split, list[dict]]:
    """24 images of 150 x 400 with 0 to 6 objects of three classes, some in crowds; dodos are found but not there.

    Scores have one decimal, so that ties are everywhere: inside an image, between images, between copies of an image.
    """
    rng = np.random.default_rng(seed)
    records, results = [], []
    for image_id in range(1, 25):
        count = int(rng.integers(0, 7))
        corners = rng.uniform(0, 100, (count, 2)) * (1.0, 3.0)
        boxes = np.hstack([corners, corners + rng.uniform(10, 50, (count, 2))]).astype(np.float32)
        classes = rng.integers(0, 3, count).astype(np.int32)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).astype(np.float64)
        crowd = rng.random(count) < 0.15
        records.append(ImageRecord(image_id, Path("none.png"), 150, 400, boxes, classes, crowd, areas))
        found = np.vstack([boxes, boxes, boxes[:1]]) + rng.normal(0, 3, (2 * count + min(count, 1), 4))
        labels = np.where(rng.random(len(found)) < 0.2, 3, np.concatenate([classes, classes, classes[:1]]))
        scores = rng.random(len(found)).round(1)
        detections = Detections(found.astype(np.float32), scores.astype(np.float32), labels.astype(np.int32))
        results += to_coco_results(image_id, detections, [category.id for category in CATEGORIES])
    return Split("test", tuple(records), CATEGORIES), results


def accumulate_theirs(coco, drawn: np.ndarray) -> list[float]:
    """pycocotools' AP by class, objects of all sizes, with an image listed as often as it was drawn."""
    coco = copy.copy(coco)
    images = len(coco.params.imgIds)
    blocks = [coco.evalImgs[first : first + images] for first in range(0, len(coco.evalImgs), images)]
    coco.evalImgs = [block[place] for block in blocks for place in drawn]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.accumulate()
    precision = coco.eval["precision"][:, :, :, 0, -1]
    return [precision[:, :, index].mean() for index in range(precision.shape[2])]


@pytest.mark.parametrize("seed", range(3))
def test_draws_score_as_pycocotools_scores_them(seed):
    split, results = make_problem(seed)
    coco = run_cocoeval(split, results)
    rng = np.random.default_rng(seed)
    for drawn in [np.arange(24), *rng.integers(0, 24, (8, 24))]:
        ours = Resampler(coco).average_precision(drawn)
        theirs = accumulate_theirs(coco, drawn)
        assert np.nan_to_num(ours, nan=-1.0) == pytest.approx(theirs, abs=1e-9)
        assert theirs[1] == -1.0  # the dodo, second by id
    assert ours[0] > 0.1


def test_the_tolerance_is_narrow_enough_to_see_one_detection():
    split, results = make_problem(0)
    drawn = np.arange(24)
    before = Resampler(run_cocoeval(split, results)).average_precision(drawn)
    hit = next(i for i, entry in enumerate(results) if entry["category_id"] == 2)
    changed = [dict(entry, score=entry["score"] * 0.5) if i == hit else entry for i, entry in enumerate(results)]
    after = Resampler(run_cocoeval(split, changed)).average_precision(drawn)
    assert abs(after[0] - before[0]) > 2e-9


def test_images_without_objects_of_a_class_give_no_ap():
    split, results = make_problem(0)
    empty = [place for place, record in enumerate(split.images) if not (~record.crowd).any()]
    assert empty
    assert np.isnan(Resampler(run_cocoeval(split, results)).average_precision(np.array(empty * 3))).all()


def test_objects_without_any_detection_give_zero():
    split, _ = make_problem(0)
    scores = Resampler(run_cocoeval(split, [])).average_precision(np.arange(24))
    assert np.nan_to_num(scores, nan=-1.0).tolist() == [0.0, -1.0, 0.0, 0.0]
