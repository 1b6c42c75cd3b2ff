"""Inputs and outputs of a model on two machines: as bytes, and held against each other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nasfpn_lite.converters.interpreter import Tensor
from nasfpn_lite.errors import UserError


@dataclass(frozen=True)
class Difference:
    """How far an output of one machine is from that of another, at most.

    Attributes:
        largest: In the output's own units; inf where one of them holds inf or NaN and the other does not.
        largest_steps: In steps of its scale; None for an output that is not quantized.
        share: Of the values that differ at all, 0..1.
    """

    name: str
    dtype: str
    largest: float
    largest_steps: int | None
    share: float


def write_stored(values: np.ndarray) -> bytes:
    """Returns an array's bytes, little-endian, as phones take them."""
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def read_stored(tensor: Tensor, data: bytes) -> np.ndarray:
    """Reads an output's bytes, little-endian, as `tensor` describes them.

    Raises:
        UserError: They are too many or too few.
    """
    if len(data) != tensor.size_bytes:
        raise UserError(
            f"expected {tensor.size_bytes} bytes for the output {tensor.name}, {tensor.dtype} {list(tensor.shape)}, "
            f"got {len(data)}"
        )
    return np.frombuffer(data, tensor.dtype.newbyteorder("<")).astype(tensor.dtype).reshape(tensor.shape)


def compare_stored(
    tensors: Mapping[str, Tensor], first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]
) -> dict[str, Difference]:
    """Compares the outputs of one image, by name, as the file stores them."""
    return {name: _compare(tensor, first[name], second[name]) for name, tensor in tensors.items()}


def join_differences(parts: Iterable[Mapping[str, Difference]]) -> dict[str, Difference]:
    """Joins those of several images, each of the same number of values, to the largest of each output."""
    joined: dict[str, list[Difference]] = {}
    for part in parts:
        for name, difference in part.items():
            joined.setdefault(name, []).append(difference)
    return {name: _join(found) for name, found in joined.items()}


def _compare(tensor: Tensor, first: np.ndarray, second: np.ndarray) -> Difference:
    if tensor.dtype.kind == "f":
        # NaN equals NaN here: both machines then compute the same.
        differs = ~((first == second) | (np.isnan(first) & np.isnan(second)))
        apart = np.abs(first[differs].astype(np.float64) - second[differs].astype(np.float64))
        apart[~np.isfinite(apart)] = np.inf
        largest, steps = float(apart.max(initial=0.0)), None
    else:
        apart = np.abs(first.astype(np.int64) - second.astype(np.int64))
        differs, most = apart > 0, int(apart.max(initial=0))
        largest, steps = (most * tensor.scale, most) if tensor.scale else (float(most), None)
    return Difference(tensor.name, tensor.dtype.name, largest, steps, float(differs.mean()) if differs.size else 0.0)


def _join(found: list[Difference]) -> Difference:
    steps = [difference.largest_steps for difference in found if difference.largest_steps is not None]
    return Difference(
        name=found[0].name,
        dtype=found[0].dtype,
        largest=max(difference.largest for difference in found),
        largest_steps=max(steps, default=None),
        share=sum(difference.share for difference in found) / len(found),
    )
