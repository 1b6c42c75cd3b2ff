"""Batch normalization for either Keras, in the form that trains fastest."""

from typing import Any


def make_batch_norm(layers: Any, *, momentum: float, epsilon: float, name: str) -> Any:
    """Returns a layer of `keras.layers` or of `tf_keras.layers`, which fuses by itself."""
    kind = layers.BatchNormalization
    if layers.__name__ == "keras.layers":
        from nasfpn_lite.fused_norm import BatchNormalization as kind
    return kind(momentum=momentum, epsilon=epsilon, name=name)
