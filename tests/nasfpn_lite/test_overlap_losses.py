"""Losses by overlap: values by hand, laws against the plain definitions, on both backends."""

import keras
import numpy as np
import pytest
from keras import ops

from nasfpn_lite.boxes import encode, iou
from nasfpn_lite.losses import FocalLoss
from nasfpn_lite.overlap_losses import GIoULoss, QualityFocalLoss, add_quality, coded_overlaps

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


def rated(labels: np.ndarray, quality: object) -> np.ndarray:
    return np.stack([labels.astype(np.float32), np.broadcast_to(np.float32(quality), labels.shape)], axis=-1)


def test_quality_focal_loss_by_hand() -> None:
    labels, loss = np.array([[0]]), QualityFocalLoss()
    half = np.zeros((1, 1, 1), np.float32)  # score 1/2
    assert float(loss(rated(labels, 0.5), half)) == pytest.approx(0, abs=1e-7)
    assert float(loss(rated(labels, 1.0), half)) == pytest.approx(0.25 * LOG_2 / 2)
    score = np.full((1, 1, 1), np.log(3), np.float32)  # 3/4
    expected = 0.05**2 * -(0.8 * np.log(0.75) + 0.2 * np.log(0.25)) / 2
    assert float(loss(rated(labels, 0.8), score)) == pytest.approx(expected, rel=1e-4)
    # Background, whatever stands beside it: (3/4)^2 * -ln(1/4), over 0 positives + 1.
    assert float(loss(rated(np.array([[-1]]), 0.8), score)) == pytest.approx(0.5625 * np.log(4), rel=1e-5)


@pytest.mark.parametrize("beta", [1.5, 2.0])
def test_quality_of_one_is_focal_loss(beta: float) -> None:
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(-2, 3, (2, 7)).astype(np.int32), rng.normal(0, 2, (2, 7, 3)).astype(np.float32)
    assert set(labels.ravel()) == {-2, -1, 0, 1, 2}
    expected = 2 * float(FocalLoss(alpha=0.5, gamma=beta)(labels, logits))
    assert float(QualityFocalLoss(beta)(rated(labels, 1.0), logits)) == pytest.approx(expected, rel=1e-5)
    assert float(QualityFocalLoss(beta)(rated(labels, 0.9), logits)) != pytest.approx(expected, rel=1e-2)


def test_plain_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="expected labels and qualities"):
        QualityFocalLoss()(np.zeros((1, 3)), np.zeros((1, 3, 2)))


def test_losses_stay_finite_and_survive_serialization() -> None:
    logits = np.array([[[1e4], [-1e4], [0]]], np.float32)
    assert np.isfinite(float(QualityFocalLoss()(rated(np.array([[-1, 0, -2]]), 0.3), logits)))
    wild = np.array([[[1e4, -1e4, 1e4, -1e4]]], np.float32)
    assert np.isfinite(float(GIoULoss()(np.array([[[0, 0, 0, 0, 1]]], np.float32), wild)))
    for loss in (QualityFocalLoss(1.5), GIoULoss(3.0)):
        assert type(loss).from_config(loss.get_config()).get_config() == loss.get_config()


def test_quality_stands_beside_each_exits_labels() -> None:
    labels = np.array([[1, -1, -2]], np.int32)
    boxes = np.zeros((1, 3, 5), np.float32)
    targets = {name: labels if name.endswith("logits") else boxes for name in NAMES}
    moved = np.zeros((1, 3, 4), np.float32)
    moved[0, 0, 1] = 0.5
    outputs = {"box_encodings": moved, "exit1_box_encodings": boxes[..., :4]}
    result = add_quality(targets, {name: ops.convert_to_tensor(value) for name, value in outputs.items()})
    assert result.keys() == targets.keys()
    np.testing.assert_allclose(np.array(result["class_logits"]), [[[1, 1 / 3], [-1, 1], [-2, 1]]], atol=1e-6)
    np.testing.assert_allclose(np.array(result["exit1_class_logits"])[..., 1], 1, atol=1e-6)
    assert result["box_encodings"] is boxes
    assert keras.backend.standardize_dtype(result["class_logits"].dtype) == "float32"


NAMES = ("class_logits", "box_encodings", "exit1_class_logits", "exit1_box_encodings")
