"""COCO folders: where their files are, how they become records, how records become COCO again.

A folder holds `instances_<split>.json` for each split, or one `instances.json` that is split by a seed; the images lie
in `<split>/`, `images/` or the folder itself. What is an error and what is let through is decided in `problems`;
missing or broken image files do not stop loading, since training skips and names them.
"""

import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.boxes import clip, to_xywh_from_yxyx, to_yxyx_from_xywh
from nasfpn_lite.data.problems import DatasetError, annotation_area, check_document, read_document
from nasfpn_lite.data.records import Category, ImageRecord, Split, category_dicts
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.preprocess import ImageError, read_image

SPLITS = ("train", "val", "test")
_HELD_OUT_SHARE = 0.15  # each of val and test
_SHOWN_ERRORS = 10


def find_splits(data_dir: Path) -> dict[str, Path]:
    """Returns split name -> annotation file. One `instances.json` serves train, val and test.

    Raises:
        DatasetError: There is no annotation file.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise DatasetError(f"{data_dir}: expected a folder with COCO annotations, but there is no such folder")
    files = {path.stem.removeprefix("instances_"): path for path in sorted(data_dir.glob("instances_*.json"))}
    if files:
        order = [*(split for split in SPLITS if split in files), *(split for split in files if split not in SPLITS)]
        return {split: files[split] for split in order}
    single = data_dir / "instances.json"
    if single.is_file():
        return dict.fromkeys(SPLITS, single)
    raise DatasetError(
        f"{data_dir}: expected instances_train.json (and instances_val.json, instances_test.json) or instances.json; "
        "`nasfpn-lite data import` makes them from Pascal VOC or YOLO folders"
    )


def load_split(data_dir: Path, split: str, *, categories: tuple[Category, ...] | None = None, seed: int = 0) -> Split:
    """Loads the records of a split; no image is opened.

    Args:
        data_dir: A COCO folder.
        split: "train", "val", "test" or what else stands in `instances_<split>.json`.
        categories: The classes of a trained network, in its order. By default those of the json, sorted by id.
        seed: For a folder with one `instances.json`: which images go to train, val and test (70/15/15).

    Raises:
        DatasetError: No such split, an error in the json, a class that is not among `categories`, or no image found.
    """
    data_dir = Path(data_dir)
    files = find_splits(data_dir)
    if split not in files:
        raise DatasetError(f"{data_dir}: there is no split {split!r}; found {', '.join(files)}")
    file = files[split]
    document = read_document(file)
    _refuse_errors(document, file)
    if categories is None:
        categories = categories_of(document)
    else:
        _check_same_classes(document, categories, file)
    images = document["images"]
    if file.name == "instances.json":
        images = divide_images(images, seed)[split]
    return Split(split, _make_records(document, images, data_dir, split, categories), categories)


def categories_of(document: dict[str, Any]) -> tuple[Category, ...]:
    """Returns the categories of a COCO json, sorted by id: their places are the network's class numbers."""
    return tuple(sorted((Category(c["id"], c["name"]) for c in document["categories"]), key=lambda c: c.id))


def divide_images(images: Sequence[dict[str, Any]], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Divides image entries into train, val and test by a hash of seed and file name.

    The order in the json plays no part, and val and test hold 15 % each, at least one image.
    """
    if len(images) < len(SPLITS):
        raise DatasetError(
            f"expected at least {len(SPLITS)} images to divide into {', '.join(SPLITS)}, got {len(images)}"
        )

    def place(image: dict[str, Any]) -> bytes:
        return hashlib.sha256(f"{seed}/{image['file_name']}".encode()).digest()

    shuffled = sorted(images, key=place)
    held_out = max(round(len(images) * _HELD_OUT_SHARE), 1)
    return {
        "train": shuffled[2 * held_out :],
        "val": shuffled[:held_out],
        "test": shuffled[held_out : 2 * held_out],
    }


def find_image(data_dir: Path, split: str, file_name: str) -> Path:
    """Returns where the image of a split lies; where it would be expected if it is missing."""
    # Archives made on a Mac decompose accents, and annotation tools on Windows write backslashes.
    spellings = (
        file_name,
        unicodedata.normalize("NFC", file_name),
        unicodedata.normalize("NFD", file_name),
        file_name.replace("\\", "/"),
    )
    folders = [data_dir / split, data_dir / "images", data_dir]
    for spelling in dict.fromkeys(spellings):
        for folder in folders:
            if (folder / spelling).is_file():
                return folder / spelling
    return next(folder for folder in folders if folder.is_dir()) / file_name


def read_record(record: ImageRecord) -> np.ndarray:
    """Reads the image of a record: (height, width, 3) uint8 RGB, upright.

    Raises:
        ImageError: The file is missing or broken, or its size is not the record's, so that the boxes would not fit.
    """
    image = read_image(record.path)
    if image.shape[:2] != (record.height, record.width):
        raise ImageError(
            f"{record.path}: the annotations say {record.width}x{record.height} pixels, the upright image has "
            f"{image.shape[1]}x{image.shape[0]}; its boxes cannot be trusted"
        )
    return image


def to_coco_dict(split: Split) -> dict[str, Any]:
    """Returns a split as a COCO document; file names without folders, category ids as in `split.categories`."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record in split.images:
        images.append({"id": record.id, "file_name": record.path.name, "width": record.width, "height": record.height})
        boxes = to_xywh_from_yxyx(record.boxes_yxyx)
        columns = (boxes, record.classes, record.areas, record.crowd)
        for box, label, area, crowd in zip(*(column.tolist() for column in columns), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": record.id,
                    "category_id": split.categories[label].id,
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    return {"images": images, "annotations": annotations, "categories": category_dicts(split.categories)}


def save_coco(path: Path, document: dict[str, Any]) -> None:
    """Writes a COCO document, whole or not at all."""
    write_text_atomically(path, json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def _refuse_errors(document: dict[str, Any], file: Path) -> None:
    errors = [problem for problem in check_document(document, str(file)) if problem.severity == "error"]
    if errors:
        lines = [str(problem) for problem in errors[:_SHOWN_ERRORS]]
        if len(errors) > _SHOWN_ERRORS:
            lines.append(f"... and {len(errors) - _SHOWN_ERRORS} more")
        raise DatasetError(
            f"{file}: {len(errors)} errors in the annotations; `nasfpn-lite data check {file.parent}` lists all\n"
            + "\n".join(lines)
        )


def _check_same_classes(document: dict[str, Any], categories: Sequence[Category], file: Path) -> None:
    expected = {category.id: category.name for category in categories}
    used = {annotation["category_id"] for annotation in document["annotations"]}
    for category in categories_of(document):
        if category.id in expected and expected[category.id] != category.name:
            raise DatasetError(
                f"{file}: category {category.id} is {category.name!r} here, but {expected[category.id]!r} in the "
                "network's category map; the ids must mean the same"
            )
        if category.id not in expected and category.id in used:
            raise DatasetError(
                f"{file}: category {category.id} ({category.name!r}) has boxes, but the network knows only "
                f"{', '.join(f'{c.id} ({c.name})' for c in categories)}"
            )


def _make_records(
    document: dict[str, Any],
    images: Sequence[dict[str, Any]],
    data_dir: Path,
    split: str,
    categories: Sequence[Category],
) -> tuple[ImageRecord, ...]:
    by_image = defaultdict(list)
    for annotation in document["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    class_of = {category.id: index for index, category in enumerate(categories)}
    records = tuple(
        _make_record(image, by_image[image["id"]], find_image(data_dir, split, image["file_name"]), class_of)
        for image in images
    )
    if not any(record.path.is_file() for record in records):
        raise DatasetError(
            f"{data_dir}: none of the {len(records)} images of split {split!r} was found; expected "
            f"{images[0]['file_name']} and the others in {split}/, in images/ or in the folder itself"
        )
    return records


def _make_record(
    image: dict[str, Any], annotations: Sequence[dict[str, Any]], path: Path, class_of: dict[int, int]
) -> ImageRecord:
    boxes = np.array([annotation["bbox"] for annotation in annotations], np.float64).reshape(-1, 4)
    size = (image["height"], image["width"])
    return ImageRecord(
        id=image["id"],
        path=path,
        height=image["height"],
        width=image["width"],
        boxes_yxyx=clip(to_yxyx_from_xywh(boxes), size).astype(np.float32),
        classes=np.array([class_of[annotation["category_id"]] for annotation in annotations], np.int32),
        crowd=np.array([bool(annotation.get("iscrowd")) for annotation in annotations], bool),
        # Of the whole box or outline, even if the box was cut at the border: so pycocotools takes it too.
        areas=np.array([annotation_area(annotation) for annotation in annotations], np.float64),
    )
