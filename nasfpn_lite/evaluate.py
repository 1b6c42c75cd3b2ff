"""COCO average precision of any detector on any split, computed by pycocotools itself."""

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nasfpn_lite.boxes import to_xywh_from_yxyx
from nasfpn_lite.data.coco import read_record, to_coco_dict
from nasfpn_lite.data.records import Category, Detections, Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import ImageError
from nasfpn_lite.specs import DetectorSpec

# pycocotools' twelve numbers in its own order; AP and AR are means over IoU 0.50:0.05:0.95.
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
_CHUNK = 8  # images that are read before a detector gets them
_BOX_DECIMALS = 3  # records hold float32; this gives back the json's own decimals


class Detector(Protocol):
    """Whatever finds objects in an image: a Keras model, a .tflite file, your own.

    One that also has `detect_many(images) -> list[Detections]` is given several images at once.
    """

    @property
    def spec(self) -> DetectorSpec:
        """What kind of network it is."""
        ...

    @property
    def categories(self) -> tuple[Category, ...]:
        """What it finds; a detection's class is a place in here."""
        ...

    def detect(self, image: np.ndarray) -> Detections:
        """Finds objects in an upright (h, w, 3) uint8 RGB image of any size; boxes in its pixels."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """How good a detector is on a split.

    Attributes:
        summary: METRICS by name, 0..1; None where pycocotools says -1, that is where no object qualifies.
        per_class: AP by class name; None for a class without objects.
        images: Number of images.
        objects: Number of boxes that had to be found; crowds do not count.
        seconds: Time for reading the images and detecting in them.
    """

    summary: dict[str, float | None]
    per_class: dict[str, float | None]
    images: int
    objects: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the numbers as flat plain data: {"AP": ..., "per_class": {...}, ...}."""
        counts = {"images": self.images, "objects": self.objects, "seconds": round(self.seconds, 3)}
        return {**self.summary, "per_class": dict(self.per_class), **counts}


def evaluate(detector: Detector, split: Split, *, progress: Callable[[int, int], None] | None = None) -> Evaluation:
    """Runs a detector over a split and scores what it finds.

    Objects are small, medium or large by the area in the COCO json, as for pycocotools, whose twelve numbers come out
    just so. Only boxes that were cut at the image's border differ from the json's.

    Args:
        progress: Called with (images done, all images) after every few images.

    Raises:
        UserError: The detector lacks a class of the split, or an image cannot be read; the message names it.
    """
    start = time.perf_counter()
    results = detect_split(detector, split, progress=progress)
    return score(split, results, seconds=time.perf_counter() - start)


def detect_split(
    detector: Detector, split: Split, *, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """Runs a detector over a split and returns entries of a COCO results file, for `score` and `compare`.

    Raises:
        UserError: As `evaluate`.
    """
    class_ids = match_classes(detector.categories, split.categories)
    for record in split.images:
        if not record.path.is_file():
            raise ImageError(
                f"{record.path}: this image of split {split.name!r} is missing; `data check` lists all such"
            )
    results: list[dict[str, Any]] = []
    for first in range(0, len(split.images), _CHUNK):
        records = split.images[first : first + _CHUNK]
        found = _detect(detector, [read_record(record) for record in records])
        for record, detections in zip(records, found, strict=True):
            results += to_coco_results(record.id, detections, class_ids)
        if progress is not None:
            progress(first + len(records), len(split.images))
    return results


def match_classes(detector: Sequence[Category], dataset: Sequence[Category]) -> list[int | None]:
    """Returns the dataset's category id for each class of the detector, by name; None where the dataset lacks it.

    Raises:
        UserError: The detector lacks a class of the dataset.
    """
    known = {category.name for category in detector}
    missing = [category.name for category in dataset if category.name not in known]
    if missing:
        raise UserError(
            f"the detector does not know {', '.join(missing)}; the dataset has {', '.join(c.name for c in dataset)}, "
            f"the detector {', '.join(c.name for c in detector)}; names must be equal, ids need not"
        )
    ids = {category.name: category.id for category in dataset}
    return [ids.get(category.name) for category in detector]


def to_coco_results(image_id: int, detections: Detections, class_ids: Sequence[int | None]) -> list[dict[str, Any]]:
    """Returns the detections of one image as entries of a COCO results file, without those of unknown classes."""
    boxes = to_xywh_from_yxyx(detections.boxes_yxyx.astype(np.float64)).tolist()
    rows = zip(boxes, detections.scores.tolist(), detections.classes.tolist(), strict=True)
    return [
        {"image_id": image_id, "category_id": class_ids[label], "bbox": box, "score": score}
        for box, score, label in rows
        if class_ids[label] is not None
    ]


def score(split: Split, results: Sequence[dict[str, Any]], *, seconds: float = 0.0) -> Evaluation:
    """Scores entries of a COCO results file against a split."""
    coco = run_cocoeval(split, results)
    precision = coco.eval["precision"][:, :, :, 0, -1]  # (IoU, recall, class) for all areas and 100 detections
    names = {category.id: category.name for category in split.categories}
    return Evaluation(
        summary={name: _or_none(value) for name, value in zip(METRICS, coco.stats, strict=True)},
        per_class={names[id_]: mean_precision(precision[:, :, index]) for index, id_ in enumerate(coco.params.catIds)},
        images=len(split.images),
        objects=sum(int((~record.crowd).sum()) for record in split.images),
        seconds=seconds,
    )


def run_cocoeval(split: Split, results: Sequence[dict[str, Any]]) -> COCOeval:
    """Returns pycocotools' own object after its three steps; nothing is printed."""
    truth = to_coco_dict(split)
    for annotation in truth["annotations"]:
        annotation["bbox"] = [round(value, _BOX_DECIMALS) for value in annotation["bbox"]]
    found = [
        {**entry, "id": index + 1, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
        for index, entry in enumerate(results)
    ]
    # pycocotools reports on stdout, which belongs to results.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCOeval(_to_coco(truth), _to_coco({**truth, "annotations": found}), "bbox")
        coco.evaluate()
        coco.accumulate()
        coco.summarize()
    return coco


def mean_precision(precision: np.ndarray) -> float | None:
    """Returns AP, 0..1, of any part of pycocotools' precision array; None if no class in it has objects."""
    # pycocotools marks a class without objects by -1.
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _detect(detector: Detector, images: list[np.ndarray]) -> list[Detections]:
    detect_many = getattr(detector, "detect_many", None)
    return detect_many(images) if detect_many is not None else [detector.detect(image) for image in images]


def _to_coco(document: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = document
    coco.createIndex()
    return coco


def _or_none(value: float) -> float | None:
    return float(value) if value > -1 else None
