"""Which batch normalization a network is built with."""

import keras

from nasfpn_lite.fused_norm import BatchNormalization
from nasfpn_lite.norms import make_batch_norm


def test_each_keras_gets_its_own() -> None:
    layer = make_batch_norm(keras.layers, momentum=0.9, epsilon=1e-4, name="bn")
    assert type(layer) is BatchNormalization and (layer.momentum, layer.epsilon, layer.name) == (0.9, 1e-4, "bn")

    class Legacy:
        """Stands for tf_keras.layers."""

        __name__ = "tf_keras.layers"
        BatchNormalization = dict

    assert make_batch_norm(Legacy(), momentum=0.9, epsilon=1e-4, name="bn") == {
        "momentum": 0.9,
        "epsilon": 1e-4,
        "name": "bn",
    }
