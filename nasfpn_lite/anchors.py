"""Anchor boxes for a detector, in the order in which its outputs list them."""

import numpy as np

from nasfpn_lite.levels import shape_at
from nasfpn_lite.specs import DetectorSpec


def make_anchors(spec: DetectorSpec) -> np.ndarray:
    """Makes all anchors: levels finest first, rows, columns, then octaves and aspect ratios.

    Returns:
        (N, 4) float32, boxes_yxyx in pixels of the network's input; they may reach beyond the image.

    Source: tensorflow/tpu, official/retinanet/anchors.py: centres at (i + 0.5) * stride. Differs: aspect ratio r
    gives height side * sqrt(r) and width side / sqrt(r), so that the area is the same for all ratios.
    """
    parts = [
        tile_anchors(2**level, shape_at(spec.image_size, level), anchor_sizes(spec, level))
        for level in spec.neck.levels
    ]
    return np.concatenate(parts).astype(np.float32)


def tile_anchors(stride: int, shape: tuple[int, int], sizes: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Puts anchors of all sizes, (height, width) in pixels, on every cell of a map of (rows, columns).

    Returns:
        (rows * columns * len(sizes), 4) float64, boxes_yxyx in pixels.
    """
    y, x = np.meshgrid(*((np.arange(count) + 0.5) * stride for count in shape), indexing="ij")
    centres, half = np.stack([y, x], axis=-1)[:, :, None, :], np.array(sizes) / 2
    return np.concatenate([centres - half, centres + half], axis=-1).reshape(-1, 4)


def anchor_sizes(spec: DetectorSpec, level: int) -> tuple[tuple[float, float], ...]:
    """Returns (height, width) in pixels of the anchors that stand at every location of a level, in their order."""
    octaves = spec.anchors.octaves_at(level, spec.neck.min_level)
    return tuple(
        (side * ratio**0.5, side / ratio**0.5)
        for side in (spec.anchors.scale * 2**level * 2.0**octave for octave in octaves)
        for ratio in spec.anchors.aspect_ratios
    )
