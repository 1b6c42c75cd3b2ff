"""The records that a dataset is made of. Boxes are yxyx in pixels of the upright image; classes 0-based and dense."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Category:
    """A class of objects. Its index in a category tuple is the class number that the network learns.

    Attributes:
        id: The id in the COCO json: any integer, gaps allowed.
    """

    id: int
    name: str


@dataclass(frozen=True)
class ImageRecord:
    """One image and its boxes.

    Attributes:
        id: The image id in the COCO json.
        height, width: Pixels of the upright image (EXIF orientation applied).
        boxes_yxyx: (n, 4) float32, pixels.
        classes: (n,) int32, 0..K-1.
        crowd: (n,) bool: COCO's iscrowd; not trained on.
        areas: (n,) float64, square pixels: the area in the COCO json, often that of the outline, else the box's.
    """

    id: int
    path: Path
    height: int
    width: int
    boxes_yxyx: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray


@dataclass(frozen=True)
class Split:
    """The images of one split (train, val or test) and the categories, in the network's order."""

    name: str
    images: tuple[ImageRecord, ...]
    categories: tuple[Category, ...]


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image, best first.

    Attributes:
        boxes_yxyx: (n, 4) float32, pixels of the original upright image.
        scores: (n,) float32, 0..1.
        classes: (n,) int32, 0..K-1.
    """

    boxes_yxyx: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __post_init__(self) -> None:
        shapes = (self.boxes_yxyx.shape, self.scores.shape, self.classes.shape)
        count = len(self.scores)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"detections need shapes (n, 4), (n,), (n,), got {shapes}")


def category_dicts(categories: Sequence[Category]) -> list[dict[str, int | str]]:
    """Returns categories as plain data for JSON files, in the network's order."""
    return [{"id": category.id, "name": category.name} for category in categories]
