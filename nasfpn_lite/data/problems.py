"""What can be wrong with a COCO json. Loading refuses just what is called an error here; `data check` lists all of it.

Errors stop loading. Warnings do not: crowd boxes are not trained on, images without boxes are kept as background, gaps
in category ids are closed by the category map, boxes at most BORDER_SLACK_PX outside the image are cut at its border,
for an area of no use the box's is taken.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nasfpn_lite.errors import UserError

BORDER_SLACK_PX = 1.0
_ROUNDING_PX = 1e-3
MALFORMED = ("missing-key", "bad-value")  # codes of records that no other rule can read

_IMAGE_KEYS = {"id": int, "file_name": str, "width": int, "height": int}
_CATEGORY_KEYS = {"id": int, "name": str}
_ANNOTATION_KEYS = {"id": int, "image_id": int, "category_id": int, "bbox": list}
_KIND_NAMES = {int: "an integer", str: "a string", list: "a list"}


class DatasetError(UserError):
    """A dataset that cannot be loaded."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a dataset.

    Attributes:
        severity: An error spoils training and must be mended; a warning is dealt with as the message says.
        code: A stable name for the kind of problem, such as "box-outside".
        file: The annotation file, or the image file where the image itself is the problem.
    """

    severity: Literal["error", "warning"]
    code: str
    message: str
    file: str
    image_id: int | None = None
    annotation_id: int | None = None

    def __str__(self) -> str:
        place = self.file
        if self.annotation_id is not None:
            place += f", annotation {self.annotation_id}"
        if self.image_id is not None:
            place += f", image {self.image_id}"
        return f"{self.severity} [{self.code}] {place}: {self.message}"


def read_document(path: Path) -> dict[str, Any]:
    """Reads a COCO json.

    Raises:
        DatasetError: The file is missing, no json, or not an object with the three lists; the message names it.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot read the annotation file: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path}: broken json: {error}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise DatasetError(f'{path}: expected a COCO json, an object with a list "{key}"')
    return document


def check_document(document: dict[str, Any], file: str) -> list[Problem]:
    """Returns what is wrong with a COCO json, without looking at the images.

    Args:
        document: What `read_document` returns.
        file: Name of the annotation file for the messages.
    """
    problems = [*_check_records(document["images"], _IMAGE_KEYS, "image", file)]
    problems += _check_records(document["categories"], _CATEGORY_KEYS, "category", file)
    malformed = any(problem.code in MALFORMED for problem in problems)
    problems += _check_records(document["annotations"], _ANNOTATION_KEYS, "annotation", file)
    for key in ("images", "categories", "annotations"):
        if not document[key]:
            message = f'the list "{key}" is empty; there is nothing to train on'
            problems.append(Problem("error", f"no-{key}", message, file))
    if any(problem.code in MALFORMED for problem in problems):
        if not malformed:  # the rules below need whole records; those for annotations take them one by one
            whole = [
                a for a in document["annotations"] if not any(_check_records([a], _ANNOTATION_KEYS, "annotation", file))
            ]
            problems += _check_annotations({**document, "annotations": whole}, file)
        return problems
    problems += _check_categories(document, file)
    problems += _check_annotations(document, file)
    problems += _check_images(document, file)
    return problems


def _check_records(records: Sequence[Any], keys: dict[str, type], kind: str, file: str) -> Iterator[Problem]:
    seen: set[int] = set()
    for index, record in enumerate(records):
        name = f"{kind} number {index + 1} of the list"
        if not isinstance(record, dict):
            yield Problem("error", "bad-value", f"{name} is not an object", file)
            continue
        ident = record.get("id") if _is_kind(record.get("id"), int) else None
        ids = {f"{kind}_id": ident} if kind != "category" else {}
        for key, expected in keys.items():
            if key not in record:
                yield Problem("error", "missing-key", f'{name} has no "{key}"', file, **ids)
            elif not _is_kind(record[key], expected):
                message = f'"{key}" of {name} must be {_KIND_NAMES[expected]}, got {record[key]!r}'
                yield Problem("error", "bad-value", message, file, **ids)
        if ident is not None and ident in seen:
            message = f"{name} has the id {ident}, which an earlier one has"
            yield Problem("error", f"duplicate-{kind}-id", message, file, **ids)
        if ident is not None:
            seen.add(ident)
        yield from _check_details(record, kind, name, file, ids)


def _check_details(record: dict[str, Any], kind: str, name: str, file: str, ids: dict[str, Any]) -> Iterator[Problem]:
    bbox = record.get("bbox")
    if kind == "annotation" and isinstance(bbox, list) and (len(bbox) != 4 or not all(_is_number(v) for v in bbox)):
        message = f'"bbox" of {name} must be four numbers (x, y, width, height), got {bbox!r}'
        yield Problem("error", "bad-value", message, file, **ids)
    if kind == "image":
        sides: list[Any] = [record.get("width"), record.get("height")]
        if any(_is_kind(side, int) and side < 1 for side in sides):
            message = f"width and height of {name} must be positive, got {sides}"
            yield Problem("error", "bad-value", message, file, **ids)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_kind(value, int) and abs(value) < 2**53)


def _is_kind(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _check_categories(document: dict[str, Any], file: str) -> Iterator[Problem]:
    categories = document["categories"]
    for name, count in Counter(category["name"] for category in categories).items():
        if count > 1:
            message = f"{count} categories are called {name!r}; a network cannot tell them apart, merge them"
            yield Problem("error", "duplicate-category-name", message, file)
    ids = sorted({category["id"] for category in categories})
    if ids and ids[-1] - ids[0] + 1 != len(ids):
        message = f"{len(ids)} ids from {ids[0]} to {ids[-1]} leave gaps; mapped in this order to 0..{len(ids) - 1}"
        yield Problem("warning", "category-gaps", message, file)
    used = {annotation["category_id"] for annotation in document["annotations"]}
    unused = [category["name"] for category in categories if category["id"] not in used]
    if unused:
        shown = ", ".join(unused[:5]) + (", ..." if len(unused) > 5 else "")
        yield Problem("warning", "category-unused", f"{len(unused)} categories have no box: {shown}", file)


def _check_annotations(document: dict[str, Any], file: str) -> Iterator[Problem]:
    images = {image["id"]: image for image in document["images"]}
    categories = {category["id"] for category in document["categories"]}
    for annotation in document["annotations"]:
        image = images.get(annotation["image_id"])
        ids = {"image_id": annotation["image_id"], "annotation_id": annotation["id"]}
        if annotation["category_id"] not in categories:
            message = f"its category_id {annotation['category_id']} is not among the categories"
            yield Problem("error", "unknown-category-id", message, file, **ids)
        if annotation.get("iscrowd"):
            message = "marked as crowd; it is neither trained on nor counted as missed"
            yield Problem("warning", "crowd", message, file, **ids)
        if annotation.get("area") is not None and not _is_area(annotation["area"]):
            message = f'"area" must be a number >= 0, got {annotation["area"]!r}; the area of the box is taken instead'
            yield Problem("warning", "bad-area", message, file, **ids)
        if image is None:
            message = f"its image_id {annotation['image_id']} is not among the images"
            yield Problem("error", "unknown-image-id", message, file, **ids)
        elif (found := box_problem(annotation["bbox"], image["width"], image["height"])) is not None:
            severity, code, message = found
            yield Problem(severity, code, f"{message} ({image['file_name']})", file, **ids)


def box_problem(
    bbox_xywh: Sequence[float], width: int, height: int
) -> tuple[Literal["error", "warning"], str, str] | None:
    """Returns (severity, code, message) for a box that is not wholly inside an image of that many pixels, else None."""
    x, y, w, h = bbox_xywh
    text = f"box x={x:g} y={y:g} width={w:g} height={h:g}"
    if not all(math.isfinite(v) for v in bbox_xywh):
        return "error", "box-not-finite", f"{text} is not finite"
    if w < 0 or h < 0:
        return "error", "box-reversed", f"{text} has a negative side"
    if w * h == 0:
        return "error", "box-zero-area", f"{text} has no area"
    outside = max(-x, -y, x + w - width, y + h - height)
    empty = min(x + w, width) - max(x, 0) <= 0 or min(y + h, height) - max(y, 0) <= 0
    if outside > BORDER_SLACK_PX or empty:
        return "error", "box-outside", f"{text} reaches {outside:g} px outside the image of {width}x{height}"
    if outside > _ROUNDING_PX:
        return "warning", "box-clipped", f"{text} reaches {outside:.3g} px outside {width}x{height}; cut at the border"
    return None


def annotation_area(annotation: dict[str, Any]) -> float:
    """Returns the area that a COCO annotation gives, that of its box if it gives none of use; square pixels."""
    area: Any = annotation.get("area")
    if _is_area(area):
        return float(area)
    return float(annotation["bbox"][2] * annotation["bbox"][3])


def _is_area(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value >= 0


def _check_images(document: dict[str, Any], file: str) -> Iterator[Problem]:
    annotated = {annotation["image_id"] for annotation in document["annotations"]}
    names: dict[str, int] = {}
    for image in document["images"]:
        name, ident = image["file_name"], image["id"]
        if ident not in annotated:
            message = f"{name} has no box; it is kept as background"
            yield Problem("warning", "empty-image", message, file, image_id=ident)
        if name in names:
            message = f"{name} is listed before as image {names[name]}; its boxes are divided"
            yield Problem("error", "duplicate-file-name", message, file, image_id=ident)
        names.setdefault(name, ident)
