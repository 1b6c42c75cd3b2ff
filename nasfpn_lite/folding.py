"""Batch norms folded into the convolutions before them: the network that an int8 file computes.

A quantized file knows no batch norm, so quantization-aware training sees the folded weights from its first step.
"""

import dataclasses
import re
from typing import Any

import numpy as np

from nasfpn_lite.graph import trace
from nasfpn_lite.specs import DetectorSpec

Arrays = dict[str, np.ndarray]
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def unshare(spec: DetectorSpec, arrays: Arrays) -> tuple[DetectorSpec, Arrays]:
    """Gives every level its own copy of the head's towers, whose batch norms are its own already.

    Args:
        arrays: "layer/variable" -> array, of `build_detector(spec)`.

    Returns:
        Spec and arrays of a detector that computes the same.
    """
    if not spec.head.shared_towers:
        return spec, arrays
    unshared = {}
    for key, array in arrays.items():
        tower = re.fullmatch(r"(head_(?:box|class)\d+)_(depthwise|pointwise|conv)/(\w+)", key)
        if tower is None:
            unshared[key] = array
            continue
        for level in spec.neck.levels:
            unshared[f"{tower[1]}_P{level}_{tower[2]}/{tower[3]}"] = array
    return dataclasses.replace(spec, head=dataclasses.replace(spec.head, shared_towers=False)), unshared


def fold(spec: DetectorSpec, arrays: Arrays, model: Any = None) -> Arrays:
    """Returns the arrays of `build_detector(spec, folded=True)` that compute what `arrays` do with `spec`.

    Args:
        spec: Without shared towers; see `unshare`.
        model: Any of `build_detector(spec)`; None to build one, which takes seconds.
    """
    from nasfpn_lite.detector import build_detector

    calls = trace(model or build_detector(spec))
    folded = {key: array for key, array in arrays.items() if not key.endswith(("gamma", "beta", "mean", "variance"))}
    for call in calls:
        if call.kind != "BatchNormalization":
            continue
        norm = {name: arrays[f"{call.name}/{name}"].astype(np.float64) for name in _NORM}
        scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + call.layer.epsilon)
        shift = norm["beta"] - norm["moving_mean"] * scale
        before = calls[call.inputs[0]]
        if len(before.consumers) > 1:
            folded[f"{call.name}/kernel"] = scale.astype(np.float32).reshape(1, 1, -1, 1)
            folded[f"{call.name}/bias"] = shift.astype(np.float32)
            folded[f"{before.name}/bias"] = np.zeros_like(folded[f"{call.name}/bias"])
            continue
        if before.kind not in _CONVOLUTIONS:
            raise ValueError(f"{call.name} follows {before.name}, a {before.kind}: only a convolution can hold it")
        kernel = arrays[f"{before.name}/kernel"].astype(np.float64)
        factor = scale.reshape(-1, 1) if before.kind == "DepthwiseConv2D" else scale
        bias = shift + scale * arrays.get(f"{before.name}/bias", np.float32(0))
        folded[f"{before.name}/kernel"] = (kernel * factor).astype(np.float32)
        folded[f"{before.name}/bias"] = bias.astype(np.float32)
    return folded


def folded_detector(spec: DetectorSpec, arrays: Arrays, model: Any = None) -> tuple[DetectorSpec, Arrays]:
    """Unshares and folds: returns spec and arrays for `build_detector(spec, folded=True)`; for `model` see `fold`."""
    unshared, arrays = unshare(spec, arrays)
    return unshared, fold(unshared, arrays, model if unshared is spec else None)
