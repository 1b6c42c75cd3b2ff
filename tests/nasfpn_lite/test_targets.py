"""Targets: hand-computed matches on a few anchors, and the law that decoding a target gives the box."""

import numpy as np
import pytest

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.boxes import decode, iou
from nasfpn_lite.targets import BACKGROUND, IGNORED, assign_targets
from nasfpn_lite.variants import get_spec

NO_BOXES = np.zeros((0, 4), np.float32)


def make_boxes(*boxes):
    return np.array(boxes, np.float32)


def test_targets_by_hand():
    anchors = make_boxes([0, 0, 10, 20], [0, 10, 10, 30], [10, 0, 20, 20], [0, 0, 20, 20], [30, 30, 40, 40])
    boxes = make_boxes([0, 0, 10, 15], [30, 34, 38, 50])  # IoU .75 with anchor 0; 48 / 180 with anchor 4, by force
    labels, targets = assign_targets(boxes, np.array([6, 2]), anchors)
    assert labels.dtype == np.int32
    assert targets.dtype == np.float32
    assert labels.tolist() == [6, -1, -1, -1, 2]
    np.testing.assert_allclose(targets[0], [0, -0.125, 0, np.log(0.75), 1], atol=1e-6)
    np.testing.assert_allclose(targets[4], [-0.1, 0.7, np.log(0.8), np.log(1.6), 1], atol=1e-6)
    assert not targets[1:4].any()


def test_iou_of_one_half_is_positive_and_just_below_is_not():
    anchors = make_boxes([0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 20.01])
    labels, _ = assign_targets(make_boxes([0, 0, 10, 10]), np.array([3]), anchors)
    assert labels.tolist() == [3, 3, -1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_higher_iou_wins_a_wanted_anchor(order):
    anchors = make_boxes([0, 0, 10, 10], [50, 50, 60, 60])
    boxes = make_boxes([0, 0, 10, 4], [0, 0, 10, 3])[list(order)]
    labels, _ = assign_targets(boxes, np.array([4, 3])[list(order)], anchors)
    assert labels.tolist() == [4, -1]


def test_first_of_equals():
    twins = make_boxes([0, 0, 10, 10], [0, 0, 10, 10])
    assert assign_targets(make_boxes([0, 0, 4, 10]), np.array([0]), twins)[0].tolist() == [0, -1]
    labels, _ = assign_targets(make_boxes([0, 0, 10, 10], [0, 0, 10, 10]), np.array([7, 8]), twins[:1])
    assert labels.tolist() == [7]


def test_force_beats_a_higher_iou_of_another_box():
    anchors = make_boxes([0, 0, 10, 10], [0, 0, 10, 8])
    boxes = make_boxes([0, 0, 10, 10], [0, 0, 10, 4])  # IoU 1 and .8; .4 and .5
    assert assign_targets(boxes, np.array([0, 1]), anchors)[0].tolist() == [0, 1]


def test_a_box_that_touches_no_anchor_gets_none():
    labels, targets = assign_targets(make_boxes([50, 50, 60, 60]), np.array([0]), make_boxes([0, 0, 10, 10]))
    assert labels.tolist() == [-1]
    assert not targets.any()


def test_anchors_are_not_clipped():
    anchors = make_boxes([-10, -10, 10, 10])
    labels, _ = assign_targets(make_boxes([0, 0, 10, 10], [-10, -10, 10, 9]), np.array([0, 1]), anchors)
    assert labels.tolist() == [1]  # clipped, the first would have IoU 1


def test_crowds_are_ignored_unless_positive():
    anchors = make_boxes([0, 0, 10, 10], [0, 5, 10, 15], [0, 6, 10, 16], [0, 0, 10, 9])
    crowd = make_boxes([0, 0, 100, 10])
    labels, targets = assign_targets(NO_BOXES, np.zeros(0, np.int32), anchors, crowd)
    assert labels.tolist() == [IGNORED, IGNORED, BACKGROUND, IGNORED]
    assert not targets.any()
    labels, _ = assign_targets(make_boxes([0, 0, 10, 9]), np.array([5]), anchors, crowd)
    assert labels.tolist() == [5, IGNORED, BACKGROUND, 5]
    labels, _ = assign_targets(NO_BOXES, np.zeros(0, np.int32), anchors, NO_BOXES)
    assert labels.tolist() == [BACKGROUND] * 4


def test_no_boxes_is_all_background():
    labels, targets = assign_targets(NO_BOXES, np.zeros(0, np.int32), make_boxes([0, 0, 10, 10], [5, 5, 9, 9]))
    assert labels.tolist() == [-1, -1]
    assert targets.shape == (2, 5)
    assert not targets.any()


@pytest.mark.parametrize("box", [[0, 0, 0, 5], [0, 5, 5, 5], [4, 0, 3, 5], [0, 0, np.nan, 5], [0, 0, 5, np.inf]])
def test_unusable_boxes_are_refused(box):
    with pytest.raises(ValueError, match="finite with positive sides"):
        assign_targets(make_boxes([0, 0, 5, 5], box), np.array([0, 0]), make_boxes([0, 0, 10, 10]))


def test_laws_on_real_anchors():
    anchors = make_anchors(get_spec("nasfpnlite_3x48", size="128x192", num_classes=5))
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 100, (20, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 90, (20, 2))], axis=1).astype(np.float32)
    classes = np.arange(20, dtype=np.int32)  # the class tells which box an anchor has
    labels, targets = assign_targets(boxes, classes, anchors)
    positive = labels >= 0
    np.testing.assert_allclose(decode(targets[positive, :4], anchors[positive]), boxes[labels[positive]], atol=1e-3)
    overlaps = iou(boxes, anchors)
    assert set(np.flatnonzero(overlaps.max(axis=0) >= 0.5)) <= set(np.flatnonzero(positive))
    forced = set(overlaps.argmax(axis=1))
    by_iou = [n for n in np.flatnonzero(positive) if n not in forced]
    assert len(by_iou) > 20
    assert (overlaps[labels[by_iou], by_iou] >= 0.5).all()
    np.testing.assert_array_equal(labels[by_iou], overlaps[:, by_iou].argmax(axis=0))
    np.testing.assert_array_equal(targets[:, 4], positive)
