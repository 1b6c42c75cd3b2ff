"""Adaptive assignment: hand-computed thresholds and candidates on a few anchors, and laws on a detector's own."""

import numpy as np
import pytest

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.atss import AdaptiveMatcher, AnchorLevel, anchor_levels
from nasfpn_lite.boxes import iou
from nasfpn_lite.targets import IGNORED, assign_targets
from nasfpn_lite.variants import get_spec


def grid(rows, columns, stride):
    y, x = np.meshgrid((np.arange(rows) + 0.5) * stride, (np.arange(columns) + 0.5) * stride, indexing="ij")
    return np.stack([y, x], axis=-1).reshape(-1, 2).astype(np.float32)


def squares(centres, side):
    return np.concatenate([centres - side / 2, centres + side / 2], axis=1).astype(np.float32)


def boxes_of(*boxes):
    return np.array(boxes, np.float32)


ROW = grid(1, 9, 10)  # centres at (5, 5), (5, 15) ... (5, 85)


def match_in_row(boxes, side=10):
    return AdaptiveMatcher([AnchorLevel(ROW, 1)])(boxes, squares(ROW, side)).tolist()


def test_the_threshold_is_mean_plus_deviation():
    # IoUs .5, .5 and seven 0: mean 1/9, deviation sqrt((2 * (7/18)^2 + 7 / 81) / 8) = .2205, together .3316.
    assert match_in_row(boxes_of([0, 0, 10, 20])) == [0, 0, *[-1] * 7]
    # IoUs 2/3, 1/4 and seven 0: mean .1019, deviation .2274, together .3292, which 1/4 is below.
    assert match_in_row(boxes_of([0, 0, 10, 15])) == [0, *[-1] * 8]


def test_the_deviation_divides_by_one_less_than_the_candidates():
    # IoUs .5, .5, 0, 0: .25 + .2887 leaves none, .25 + .25 would leave two; then the box takes its best.
    row = ROW[:4]
    matches = AdaptiveMatcher([AnchorLevel(row, 1)])(boxes_of([0, 0, 10, 20]), squares(row, 10))
    assert matches.tolist() == [0, -1, -1, -1]


def test_anchors_must_stand_inside():
    # Anchors of 30 x 30 around (5, 5), (5, 15), (5, 25): IoUs with a box of 10 x 14 are about equal, but only one
    # has its centre in it; the middle one's is at its edge, which is not inside.
    assert match_in_row(boxes_of([0, 1, 10, 15]), side=30) == [0, *[-1] * 8]


def test_a_wanted_anchor_goes_to_the_higher_iou():
    for order in ((0, 1), (1, 0)):
        boxes = boxes_of([0, 0, 10, 12], [0, 0, 10, 10])[list(order)]  # IoU .83 and 1 with anchor 0
        assert match_in_row(boxes) == [order.index(1), order.index(0), *[-1] * 7]  # the loser takes what is left
    assert match_in_row(boxes_of([0, 0, 10, 10], [0, 0, 10, 10])) == [0, *[-1] * 8]


@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        ((20, 20), [6, 7, 8, 11, 12, 13, 16, 17, 18]),  # the block of three by three around location 12
        ((16, 16), [1, 2, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17]),  # between four: the ninth is one of eight as far
        ((0, 0), [0, 1, 2, 5, 6, 7, 10, 11, 15, 3, 12]),  # the ninth is one of three as far: 3, 12, 15
    ],
)
def test_candidates_are_the_nearest_locations(centre, expected):
    matcher = AdaptiveMatcher([AnchorLevel(grid(5, 5, 8), 1)])
    y, x = centre
    assert sorted(matcher._candidates(boxes_of([y - 1, x - 2, y + 1, x + 2])[0])) == sorted(expected)


def test_candidates_of_all_levels_and_all_anchors_of_a_location():
    matcher = AdaptiveMatcher([AnchorLevel(grid(5, 5, 8), 2), AnchorLevel(grid(1, 2, 32), 3)])
    near = matcher._candidates(boxes_of([18, 18, 22, 22])[0])
    first = [2 * location + k for location in (6, 7, 8, 11, 12, 13, 16, 17, 18) for k in (0, 1)]
    assert near.tolist() == [*first, *range(50, 56)]


def test_small_objects_between_locations_get_an_anchor_each():
    centres = grid(2, 3, 8)
    tiny = boxes_of([6, 6, 10, 10], [6, 6, 10, 10], [6, 6, 10, 10])  # no centre, at 4 or 12, is inside
    matches = AdaptiveMatcher([AnchorLevel(centres, 1)])(tiny, squares(centres, 24)).tolist()
    assert sorted(matches) == [-1, -1, -1, 0, 1, 2]
    alone = AdaptiveMatcher([AnchorLevel(centres[:1], 1)])(tiny, squares(centres[:1], 24)).tolist()
    assert alone == [0]
    far = AdaptiveMatcher([AnchorLevel(centres, 1)])(boxes_of([90, 90, 94, 94]), squares(centres, 24)).tolist()
    assert far == [-1] * 6  # it touches no anchor


def test_no_boxes_give_no_matches():
    assert match_in_row(np.zeros((0, 4), np.float32)) == [-1] * 9


@pytest.mark.parametrize("variant", ["nasfpnlite_3x48", "ssdlite"])
def test_laws_on_real_anchors(variant):
    spec = get_spec(variant, size="128x192", num_classes=40)
    anchors, levels = make_anchors(spec), anchor_levels(spec)
    stands = np.concatenate([np.repeat(level.centres, level.per_location, axis=0) for level in levels])
    np.testing.assert_allclose((anchors[:, :2] + anchors[:, 2:]) / 2, stands, atol=1e-4)
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 100, (30, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(3, 60, (30, 2))], axis=1).astype(np.float32)
    crowd = boxes_of([0, 0, 128, 40])
    labels, targets = assign_targets(boxes, np.arange(30), anchors, crowd, AdaptiveMatcher(levels))
    assert set(labels[labels >= 0]) == set(range(30))  # every box has an anchor
    assert (labels == IGNORED).any()
    np.testing.assert_array_equal(targets[:, 4], labels >= 0)
    counts = np.bincount(labels[labels >= 0])
    assert counts.max() > 5
    overlaps = iou(boxes, anchors)
    assert all(overlaps[label, n] > 0 for n, label in enumerate(labels) if label >= 0)
