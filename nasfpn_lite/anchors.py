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
    parts = []
    for level in spec.neck.levels:
        stride = 2**level
        rows, columns = shape_at(spec.image_size, level)
        centres_y = (np.arange(rows) + 0.5) * stride
        centres_x = (np.arange(columns) + 0.5) * stride
        octaves = spec.anchors.octaves_at(level, spec.neck.min_level)
        half = np.array(
            [
                (side * ratio**0.5 / 2, side / ratio**0.5 / 2)
                for side in (spec.anchors.scale * stride * 2.0**octave for octave in octaves)
                for ratio in spec.anchors.aspect_ratios
            ]
        )
        y, x = np.meshgrid(centres_y, centres_x, indexing="ij")
        centres = np.stack([y, x], axis=-1)[:, :, None, :]
        parts.append(np.concatenate([centres - half, centres + half], axis=-1).reshape(-1, 4))
    return np.concatenate(parts).astype(np.float32)
