"""Losses by overlap: values by hand, laws against the plain definitions, on both backends."""

import numpy as np
import pytest
from keras import ops

from nasfpn_lite.boxes import encode, iou
from nasfpn_lite.overlap_losses import GIoULoss, coded_overlaps

LOG_2 = float(np.log(2))


def codes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("other", "expected_iou", "expected_giou"),
    [
        ((0, 0, 0, 0), 1, 1),
        ((0, 0.5, 0, 0), 1 / 3, 1 / 3),  # moved by half a width: .5 of 1.5, and nothing else in the frame around
        ((0, 2, 0, LOG_2), 0, -1 / 7),  # twice as wide and apart: 3 of the 3.5 around both
        ((1, 1, 0, 0), 0, -1 / 2),  # they touch at a corner: 2 of the 4 around both
        ((0, 0, -LOG_2, LOG_2), 1 / 3, 1 / 3 - 1 / 4),  # a cross of 1.5 in a frame of 2
    ],
)
def test_overlaps_by_hand(other: tuple[float, ...], expected_iou: float, expected_giou: float) -> None:
    for a, b in ((codes((0, 0, 0, 0)), codes(other)), (codes(other), codes((0, 0, 0, 0)))):
        found = [float(value[0]) for value in coded_overlaps(ops.convert_to_tensor(a), ops.convert_to_tensor(b))]
        assert found == pytest.approx([expected_iou, expected_giou], abs=1e-6)


def test_overlaps_need_no_anchors() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (3, 40, 2))
    anchors, a, b = (np.concatenate([c, c + rng.uniform(5, 50, (40, 2))], axis=1) for c in corners)
    coded = [ops.convert_to_tensor(encode(boxes, anchors).astype(np.float32)) for boxes in (a, b)]
    plain = np.array([iou(a[n : n + 1], b[n : n + 1])[0, 0] for n in range(40)])
    np.testing.assert_allclose(np.array(coded_overlaps(*coded)[0]), plain, atol=1e-4)
    assert 0.1 < plain.max() < 1


def test_giou_loss_by_hand() -> None:
    target = np.array([[[0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [9, 9, 9, 9, 0]]], np.float32)
    predicted = np.array([[[0, 0.5, 0, 0], [0, 2, 0, LOG_2], [0, 0, 0, 0]]], np.float32)
    # (1 - 1/3) + (1 + 1/7), over 2 positives + 1.
    assert float(GIoULoss(weight=3.0)(target, predicted)) == pytest.approx(2 / 3 + 8 / 7, rel=1e-5)


def test_the_loss_stays_finite_and_survives_serialization() -> None:
    wild = np.array([[[1e4, -1e4, 1e4, -1e4]]], np.float32)
    assert np.isfinite(float(GIoULoss()(np.array([[[0, 0, 0, 0, 1]]], np.float32), wild)))
    assert GIoULoss.from_config(GIoULoss(3.0).get_config()).weight == 3.0
