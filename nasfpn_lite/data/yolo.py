"""Reads YOLO folders: one text file per image with lines `class centre_x centre_y width height`, all in 0..1.

Images in `images/` with labels in `labels/`, or labels beside the images; `train/`, `val/` (or `valid/`) and `test/`
above or below those, where there are splits. A line with a polygon instead of a box gives the box around it. An image
without a label file is background, as YOLO has it.
"""

import math
from pathlib import Path

from nasfpn_lite.data.labelled import (
    Faults,
    LabelledBox,
    LabelledImage,
    find_images,
    keep_good_box,
    read_lines,
    split_and_name,
)
from nasfpn_lite.data.problems import DatasetError
from nasfpn_lite.preprocess import ImageError, read_image


def read_yolo(source: Path, names: tuple[str, ...], faults: Faults) -> list[LabelledImage]:
    """Reads a YOLO folder.

    Args:
        names: Class names; the number in a line is a place in this tuple.
    """
    paths = find_images(source)
    if not any(_label_file(path, source).is_file() for path in paths):
        raise DatasetError(
            f"{source}: found no image with a YOLO label file; expected images/ and labels/, or .txt files beside "
            "the images"
        )
    _note_orphans(source, {_label_file(path, source) for path in paths}, faults)
    images = []
    for path in paths:
        try:
            height, width = read_image(path).shape[:2]
        except ImageError as error:
            faults.add(str(path), str(error).removeprefix(f"{path}: "))
            continue
        split, file_name = split_and_name(path, source)
        label_file = _label_file(path, source)
        try:
            lines = read_lines(label_file) if label_file.is_file() else []
        except DatasetError as error:
            # The image goes too: without its labels it would pass for background.
            faults.add(str(label_file), str(error).removeprefix(f"{label_file}: "))
            continue
        boxes = _read_labels(lines, label_file, names, (height, width), faults)
        images.append(LabelledImage(path, split, file_name, height, width, boxes))
    return images


def _note_orphans(source: Path, known: set[Path], faults: Faults) -> None:
    for path in sorted(source.rglob("*.txt")):
        if "labels" in path.relative_to(source).parts[:-1] and path.name != "classes.txt" and path not in known:
            faults.add(str(path), "there is no image of this name")


def _label_file(image: Path, source: Path) -> Path:
    parts = list(image.relative_to(source).with_suffix(".txt").parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part.lower() == "images"]
    if folders:
        parts[folders[-1]] = "labels"
        label = source.joinpath(*parts)
        if label.is_file():
            return label
    return image.with_suffix(".txt")


def _read_labels(
    lines: list[str], path: Path, names: tuple[str, ...], size: tuple[int, int], faults: Faults
) -> tuple[LabelledBox, ...]:
    boxes = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        box = _parse_line(line, names, size, place, faults)
        kept = keep_good_box(box, size, place, faults) if box is not None else None
        if kept is not None:
            boxes.append(kept)
    return tuple(boxes)


def _parse_line(
    line: str, names: tuple[str, ...], size: tuple[int, int], place: str, faults: Faults
) -> LabelledBox | None:
    label, *texts = line.split()
    if not label.isdecimal() or int(label) >= len(names):
        faults.add(place, f"expected a class number from 0 to {len(names) - 1}, got {label!r}")
        return None
    try:
        values = [float(text) for text in texts]
    except ValueError:
        values = []
    is_polygon = len(values) >= 6 and len(values) % 2 == 0
    if not (len(values) == 4 or is_polygon) or not all(math.isfinite(value) for value in values):
        faults.add(place, f"expected `class centre_x centre_y width height`, got {line.strip()[:80]!r}")
        return None
    height, width = size
    if is_polygon:
        xs, ys = values[0::2], values[1::2]
        edges = (min(xs), min(ys), max(xs), max(ys))
    else:
        cx, cy, w, h = values
        edges = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    scaled = (edges[0] * width, edges[1] * height, edges[2] * width, edges[3] * height)
    return LabelledBox(names[int(label)], scaled)
