"""Parameters and FLOPs of a detector, counted the way the paper counts them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfpn_lite.graph import Call, trace


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
    return Cost(params=params, flops=2 * sum(multiply_adds(call) for call in trace(model)))


def multiply_adds(call: Call) -> int:
    """Counts one call of a layer; 0 for all but convolutions."""
    kernels = [w for w in getattr(call.layer, "weights", ()) if len(w.shape) == 4]  # a bare operation has none
    if not kernels:
        return 0
    # A depthwise kernel (h, w, C, 1) makes C outputs from one channel each; a full one (h, w, in, out) sums over all.
    return int(np.prod(kernels[0].shape)) * int(np.prod(call.output_shape[:2]))
