"""Parameters and FLOPs of a detector, counted the way the paper counts them."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cost:
    """What a detector costs.

    Attributes:
        params: Trainable parameters.
        flops: 2 x multiply-adds of all convolutions for one image.
    """

    params: int
    flops: int


def count_cost(model: Any) -> Cost:
    """Counts a functional model with a fixed image size.

    Source: the paper's Table 1 counts 2 x multiply-adds of the convolutions (cross-checked against the multiply-adds
    that tensorflow/tpu's MODEL_ZOO publishes) and leaves batch norm, additions and resampling out.
    """
    params = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    return Cost(params=params, flops=2 * sum(_multiply_adds(layer) for layer in model.layers))


def _multiply_adds(layer: Any) -> int:
    kernels = [w for w in layer.weights if len(w.shape) == 4]
    if not kernels:
        return 0
    # A depthwise kernel (h, w, C, 1) makes C outputs from one channel each; a full one (h, w, in, out) sums over all.
    per_location = int(np.prod(kernels[0].shape))
    locations = 0
    for node in layer._inbound_nodes:  # a layer shared between levels has one node per level
        for tensor in _outputs_of(node):
            locations += int(np.prod(tensor.shape[1:3]))
    return per_location * locations


def _outputs_of(node: Any) -> list[Any]:
    outputs = node.output_tensors if hasattr(node, "output_tensors") else node.outputs
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
