from pathlib import Path

import keras
import numpy as np
import pytest

from nasfpn_lite.callbacks import NanGuard, averaged_weights
from nasfpn_lite.errors import UserError


def norm_model() -> keras.Model:
    image = keras.Input((4, 6, 3))
    return keras.Model(image, keras.layers.BatchNormalization(name="bn", momentum=0.999)(image))


@pytest.mark.parametrize("ema", [True, False])
def test_averaged_weights_are_lent_and_given_back(ema: bool) -> None:
    model = norm_model()
    model.compile(keras.optimizers.SGD(0.1, use_ema=ema, ema_momentum=0.5, ema_overwrite_frequency=None), "mse")
    x = np.ones((2, 4, 6, 3), np.float32)
    model.train_on_batch(x, 2 * x)
    model.train_on_batch(x, 3 * x)
    before = [np.array(v) for v in model.trainable_variables]
    with averaged_weights(model):
        same = all(np.array_equal(a, np.array(v)) for a, v in zip(before, model.trainable_variables, strict=True))
        assert same is not ema
    for a, v in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, np.array(v))


def test_nan_guard_names_the_images() -> None:
    guard = NanGuard(lambda step: [Path(f"image_{step}.jpg")], start_step=5)
    guard.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(UserError, match=r"nan at step 6(.|\n)*image_6\.jpg"):
        guard.on_train_batch_end(1, {"loss": float("nan")})
