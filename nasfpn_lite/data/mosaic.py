"""Mosaics: random windows of four training photos, put together to one. NumPy only."""

from collections.abc import Sequence

import numpy as np

from nasfpn_lite.data.augment import AugmentSpec, augment
from nasfpn_lite.specs import ResizeRule

Photo = tuple[np.ndarray, np.ndarray, np.ndarray]  # image, boxes_yxyx and classes, as `augment` takes them
PHOTOS = 4
_LEAST_SHARE = 0.25  # of each side, for the smaller windows


def make_mosaic(
    photos: Sequence[Photo],
    spec: AugmentSpec,
    image_size: tuple[int, int],
    resize: ResizeRule,
    rng: np.random.Generator,
) -> Photo:
    """Shows a random window of each of four photos, in a frame of two rows and two columns.

    The windows meet at a random point, a quarter to three quarters of the way down and across. Objects are as large as
    in single photos: those of a small network would otherwise become too small to be found. Boxes are cut at their
    window's borders, and dropped where too little is left, as `augment` does.

    Returns:
        image (H, W, 3) uint8 of `image_size`, boxes (m, 4) float32 in its pixels, and classes (m,).

    Source: Bochkovskiy et al. 2020, arXiv:2004.10934, section 3.3. Differs: cut to size instead of scaled down.
    """
    height, width = image_size
    row, column = np.rint(np.array(image_size) * (_LEAST_SHARE + (1 - 2 * _LEAST_SHARE) * rng.random(2))).astype(int)
    image = np.empty((height, width, 3), np.uint8)
    boxes, classes = [], []
    corners = ((0, 0, row, column), (0, column, row, width), (row, 0, height, column), (row, column, height, width))
    for photo, (top, left, bottom, right) in zip(photos, corners, strict=True):
        window = (int(bottom - top), int(right - left))
        piece, its_boxes, its_classes = augment(*photo, spec, image_size, resize, rng, window)
        image[top:bottom, left:right] = piece
        boxes.append(its_boxes + np.array([top, left, top, left], np.float32))
        classes.append(its_classes)
    return image, np.concatenate(boxes), np.concatenate(classes)
