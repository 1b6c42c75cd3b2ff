"""Boxes as arrays. Inside the project every box is yxyx in pixels; other orders exist only in converters here."""

import numpy as np

# exp() of a size code is held below this: 16 px anchors grow to 1000 px, no further (as in Detectron).
MAX_LOG_RATIO = float(np.log(1000.0 / 16.0))


def to_yxyx_from_xywh(boxes_xywh: np.ndarray) -> np.ndarray:
    """Converts COCO's (x, y, width, height) to yxyx; (..., 4), same unit."""
    x, y, width, height = np.moveaxis(np.asarray(boxes_xywh), -1, 0)
    return np.stack([y, x, y + height, x + width], axis=-1)


def to_xywh_from_yxyx(boxes_yxyx: np.ndarray) -> np.ndarray:
    """Converts yxyx to COCO's (x, y, width, height); (..., 4), same unit."""
    y0, x0, y1, x1 = np.moveaxis(np.asarray(boxes_yxyx), -1, 0)
    return np.stack([x0, y0, x1 - x0, y1 - y0], axis=-1)


def area(boxes_yxyx: np.ndarray) -> np.ndarray:
    """Returns the area of each box, 0 where it is reversed; (..., 4) -> (...)."""
    sides = np.maximum(boxes_yxyx[..., 2:] - boxes_yxyx[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns intersection over union of every pair: (M, 4) and (N, 4) boxes_yxyx -> (M, N) in 0..1."""
    top = np.maximum(a[:, None, 0], b[None, :, 0])
    left = np.maximum(a[:, None, 1], b[None, :, 1])
    bottom = np.minimum(a[:, None, 2], b[None, :, 2])
    right = np.minimum(a[:, None, 3], b[None, :, 3])
    common = np.maximum(bottom - top, 0) * np.maximum(right - left, 0)
    union = area(a)[:, None] + area(b)[None, :] - common
    return common / np.maximum(union, 1e-9)


def clip(boxes_yxyx: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Cuts boxes at the borders of an image of (height, width) pixels."""
    height, width = image_size
    return np.clip(boxes_yxyx, 0, np.array([height, width, height, width], dtype=boxes_yxyx.dtype))


def _centre_size(boxes_yxyx: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = boxes_yxyx[..., 2:] - boxes_yxyx[..., :2]
    return boxes_yxyx[..., :2] + size / 2, size


def encode(boxes_yxyx: np.ndarray, anchors_yxyx: np.ndarray) -> np.ndarray:
    """Codes boxes relative to anchors: (ty, tx, th, tw), Faster R-CNN's coding with no scale factors.

    Both (..., 4) in the same pixels; boxes have positive sides. `decode(encode(b, a), a) == b`.

    Source: tensorflow/tpu, official/retinanet (paper section 4 uses that implementation).
    """
    centre, size = _centre_size(boxes_yxyx)
    anchor_centre, anchor_size = _centre_size(anchors_yxyx)
    return np.concatenate([(centre - anchor_centre) / anchor_size, np.log(size / anchor_size)], axis=-1)


def decode(encodings: np.ndarray, anchors_yxyx: np.ndarray) -> np.ndarray:
    """Turns (ty, tx, th, tw) back into boxes_yxyx in the anchors' pixels; size codes are held at MAX_LOG_RATIO."""
    anchor_centre, anchor_size = _centre_size(anchors_yxyx)
    centre = encodings[..., :2] * anchor_size + anchor_centre
    size = np.exp(np.minimum(encodings[..., 2:], MAX_LOG_RATIO)) * anchor_size
    return np.concatenate([centre - size / 2, centre + size / 2], axis=-1)
