"""The fused batch normalization is Keras's own: outputs, gradients, moving statistics."""

import keras
import numpy as np
import pytest

from nasfpn_lite.fused_norm import BatchNormalization

MAPS = [(2, 3, 5, 4), (1, 2, 1, 3), (3, 1, 1, 2)]  # the last has as many values as images


def train(kind: type, shape: tuple[int, ...], **options: object) -> list[np.ndarray]:
    """Returns what two steps leave: weights, moving statistics and outputs."""
    rng = np.random.default_rng(0)
    image = keras.Input(shape[1:])
    layer = kind(momentum=0.8, epsilon=1e-3, name="bn", **options)
    model = keras.Model(image, layer(image))
    layer.gamma.assign(rng.normal(size=shape[-1:]))
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    x, y = (rng.normal(2, 3, shape).astype(np.float32) for _ in range(2))
    for _ in range(2):
        model.train_on_batch(x, y)
    return [*(np.array(weight) for weight in model.weights), np.array(model(x, training=True)), np.array(model(x))]


@pytest.mark.parametrize("shape", MAPS)
def test_it_trains_as_kerass_own(shape: tuple[int, ...]) -> None:
    for ours, kerass in zip(
        train(BatchNormalization, shape), train(keras.layers.BatchNormalization, shape), strict=True
    ):
        np.testing.assert_allclose(ours, kerass, rtol=2e-5, atol=2e-5)


def test_the_moving_variance_is_of_all_values_not_of_a_sample() -> None:
    layer = BatchNormalization(momentum=0.0)
    x = np.array([0.0, 2.0], np.float32).reshape(1, 1, 2, 1)  # variance 1, of a sample 2
    layer(x, training=True)
    np.testing.assert_allclose(np.array(layer.moving_variance), [1.0], atol=1e-6)
    np.testing.assert_allclose(np.array(layer.moving_mean), [1.0], atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="fused on TensorFlow alone")
def test_what_is_fused_and_what_is_not() -> None:
    import tensorflow as tf

    def operations(
        layer: keras.layers.Layer, shape: tuple[int, ...], training: bool = True, dtype: str = "float32"
    ) -> set:
        x = tf.zeros(shape, dtype)
        layer(x)
        graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(x).graph
        return {operation.type for operation in graph.get_operations()}

    fused, shape = "FusedBatchNormV3", (2, 4, 6, 3)
    assert fused in operations(BatchNormalization(), shape)
    assert fused not in operations(keras.layers.BatchNormalization(), shape)
    assert fused not in operations(BatchNormalization(), shape, training=False)
    assert fused not in operations(BatchNormalization(), (2, 3))
    assert fused not in operations(BatchNormalization(synchronized=False, scale=False), shape)
    assert fused not in operations(BatchNormalization(dtype="mixed_bfloat16"), shape, dtype="bfloat16")
    frozen = BatchNormalization()
    frozen.trainable = False
    assert fused not in operations(frozen, shape)
