import keras
import numpy as np
import pytest

from nasfpn_lite.losses import BoxLoss, FocalLoss


def focal_reference(labels: np.ndarray, logits: np.ndarray, alpha: float, gamma: float) -> float:
    """The definition, element by element, in float64."""
    total, positives = 0.0, 0
    for label, row in zip(labels.ravel(), logits.reshape(-1, logits.shape[-1]), strict=True):
        positives += int(label >= 0)
        if label == -2:
            continue
        for k, logit in enumerate(row.astype(np.float64)):
            p = 1 / (1 + np.exp(-logit))
            p_t, a_t = (p, alpha) if k == label else (1 - p, 1 - alpha)
            total -= a_t * (1 - p_t) ** gamma * np.log(p_t)
    return total / (positives + 1)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 1.5), (0.5, 0.0)])
def test_focal_loss_equals_its_definition(alpha: float, gamma: float) -> None:
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(-2, 3, (2, 7)).astype(np.int32), rng.normal(0, 2, (2, 7, 3)).astype(np.float32)
    assert set(labels.ravel()) >= {-2, -1, 0}
    loss = float(FocalLoss(alpha, gamma)(labels, logits))
    assert loss == pytest.approx(focal_reference(labels, logits, alpha, gamma), rel=1e-5)


def test_focal_loss_by_hand() -> None:
    # One positive at probability 1/2: .25 * .5 ** 1.5 * ln 2, divided by 1 positive + 1.
    assert float(FocalLoss()(np.array([[0]]), np.zeros((1, 1, 1)))) == pytest.approx(0.25 * 0.5**1.5 * np.log(2) / 2)


def test_focal_loss_stays_finite() -> None:
    logits = np.array([[[1e4], [-1e4]]], dtype=np.float32)
    assert np.isfinite(float(FocalLoss()(np.array([[-1, 0]]), logits)))


def test_ignored_anchors_do_not_count() -> None:
    logits = np.array([[[0.0], [5.0]]], dtype=np.float32)
    both, one = FocalLoss()(np.array([[0, -2]]), logits), FocalLoss()(np.array([[0]]), logits[:, :1])
    assert float(both) == pytest.approx(float(one))


def test_box_loss_by_hand() -> None:
    target = np.array([[[0.0, 0.0, 0.0, 0.0, 1.0], [9.0, 9.0, 9.0, 9.0, 0.0]]], dtype=np.float32)
    prediction = np.array([[[0.05, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]], dtype=np.float32)
    # .5 * .05 ** 2 = .00125 inside delta .1; .1 * (1 - .05) = .095 beyond; 50 * sum / (4 * (1 + 1)).
    assert float(BoxLoss()(target, prediction)) == pytest.approx(50 * (0.00125 + 0.095) / 8, rel=1e-5)


def test_losses_survive_serialization_and_half_precision() -> None:
    for loss in (FocalLoss(0.3, 1.0), BoxLoss(0.2, 10.0)):
        assert type(loss).from_config(loss.get_config()).get_config() == loss.get_config()
    logits = keras.ops.cast(np.full((1, 4, 2), -4.6), "bfloat16")
    assert keras.backend.standardize_dtype(FocalLoss()(np.full((1, 4), -1), logits).dtype) == "float32"
