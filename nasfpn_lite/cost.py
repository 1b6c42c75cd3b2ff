"""Parameters and FLOPs of a detector, counted the way the paper counts them."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from nasfpn_lite.detector import build_detector
from nasfpn_lite.graph import Call, trace
from nasfpn_lite.specs import DetectorSpec


@dataclass(frozen=True)
class Cost:
    """What a detector costs.

    Attributes:
        params: Trainable parameters.
        flops: 2 x multiply-adds of all convolutions for one image.
    """

    params: int
    flops: int


def count_cost_of(spec: DetectorSpec) -> Cost:
    """Builds a detector whose weights have shapes and no values, which takes a fifth of the time, and counts it."""
    waiting = "uninitialized_variables"  # Keras's list of those without a value, which it would give them later
    before = list(global_state.get_global_attribute(waiting, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            return count_cost(build_detector(spec))
    finally:
        global_state.set_global_attribute(waiting, before)


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
