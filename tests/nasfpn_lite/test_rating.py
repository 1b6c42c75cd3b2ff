"""Training with rated boxes, on both backends: what moves, what does not, and that all stays finite."""

import keras
import numpy as np
import pytest

from nasfpn_lite.accumulation import accumulating
from nasfpn_lite.overlap_losses import GIoULoss, QualityFocalLoss

ANCHORS = 24


def tiny_detector() -> keras.Model:
    """Two separate branches of one convolution each, named as a detector's outputs."""
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 6, 3), name="image")
    outputs = {}
    for name, values in (("class_logits", 2), ("box_encodings", 4)):
        y = keras.layers.Conv2D(values, 1, name=f"{name}_conv")(image)
        outputs[name] = keras.layers.Reshape((ANCHORS, values), name=name)(y)
    return keras.Model(image, outputs)


def batch(positives: int = 9) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    labels = np.full((2, ANCHORS), -1, np.int32)
    labels[0, :positives] = 1
    boxes = np.zeros((2, ANCHORS, 5), np.float32)
    boxes[0, :positives] = [0.3, -0.2, 0.1, -0.4, 1]
    return rng.normal(size=(2, 4, 6, 3)).astype(np.float32), {"class_logits": labels, "box_encodings": boxes}


def kernel(model: keras.Model, name: str) -> np.ndarray:
    return np.array(model.get_layer(f"{name}_conv").kernel)


def test_the_class_loss_moves_no_box() -> None:
    model = accumulating(tiny_detector(), 1, rates=True)
    before = {name: kernel(model, name) for name in ("class_logits", "box_encodings")}
    losses = {"class_logits": QualityFocalLoss(), "box_encodings": GIoULoss()}
    model.compile(keras.optimizers.SGD(0.1), losses, loss_weights={"class_logits": 1.0, "box_encodings": 0.0})
    model.train_on_batch(*batch())
    np.testing.assert_array_equal(kernel(model, "box_encodings"), before["box_encodings"])
    assert np.abs(kernel(model, "class_logits") - before["class_logits"]).max() > 1e-4


@pytest.mark.parametrize("positives", [0, 9])
@pytest.mark.parametrize("parts", [1, 2])
def test_training_lowers_both_losses_and_stays_finite(parts: int, positives: int) -> None:
    model = accumulating(tiny_detector(), parts, rates=True)
    model.compile(keras.optimizers.SGD(0.05), {"class_logits": QualityFocalLoss(), "box_encodings": GIoULoss()})
    images, targets = batch(positives)
    losses = [model.train_on_batch(images, targets, return_dict=True) for _ in range(20)]
    assert all(np.isfinite(value).all() for value in model.get_weights())
    assert losses[0].keys() == {"loss", "class_logits_loss", "box_encodings_loss"}
    assert float(losses[-1]["loss"]) < float(losses[0]["loss"])
    assert (float(losses[0]["box_encodings_loss"]) > 0) == (positives > 0)


def test_without_ratings_the_model_is_the_plain_one() -> None:
    model = tiny_detector()
    assert accumulating(model, 1) is model
    assert [weight.path for weight in accumulating(model, 1, rates=True).weights] == [w.path for w in model.weights]
