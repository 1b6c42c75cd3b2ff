"""What the importers read foreign datasets into, and how that is written as a COCO folder."""

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from nasfpn_lite.data.coco import SPLITS, save_coco
from nasfpn_lite.data.problems import DatasetError, box_problem

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_FOLDERS_WITHOUT_MEANING = ("images", "jpegimages", "obj_train_data")
_SHOWN_FAULTS = 20


@dataclass(frozen=True)
class LabelledBox:
    """A box of class `name`; xyxy pixels, the far edges exclusive."""

    name: str
    xyxy: tuple[float, float, float, float]
    crowd: bool = False


@dataclass(frozen=True)
class LabelledImage:
    """An image of a foreign dataset.

    Attributes:
        split: "train", "val", "test", or None where the source has no splits.
        file_name: Where it goes below the folder of its split, with "/".
        height, width: Pixels of the upright image.
    """

    path: Path
    split: str | None
    file_name: str
    height: int
    width: int
    boxes: tuple[LabelledBox, ...]


@dataclass
class Faults:
    """Collects what is wrong in a source, so that one message can name it all."""

    lines: list[str] = field(default_factory=list)

    def add(self, place: str, message: str) -> None:
        """Notes one fault; place is a file with line or object number."""
        self.lines.append(f"{place}: {message}")

    def refuse(self) -> None:
        """Raises DatasetError if there is any fault."""
        if self.lines:
            more = [f"... and {len(self.lines) - _SHOWN_FAULTS} more"] if len(self.lines) > _SHOWN_FAULTS else []
            raise DatasetError(
                f"{len(self.lines)} faulty labels; mend them, or leave them out with --skip-bad:\n"
                + "\n".join(self.lines[:_SHOWN_FAULTS] + more)
            )


@dataclass(frozen=True)
class ImportResult:
    """What an import wrote.

    Attributes:
        images: Split -> images; the split is "all" where the source has none.
        skipped: One line for each faulty label or image left out.
        notes: What else was left out.
    """

    output: Path
    images: dict[str, int]
    boxes: int
    categories: tuple[str, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def read_lines(path: Path) -> list[str]:
    """Reads the lines of a UTF-8 text file, with or without a byte order mark.

    Raises:
        DatasetError: The file cannot be read, or is no such text; the message names it.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: expected UTF-8 text: {error}; save it as UTF-8") from error
    except OSError as error:
        raise DatasetError(f"{path}: expected UTF-8 text: {error.strerror}") from error


def find_images(source: Path) -> list[Path]:
    """Returns all images below a folder, sorted."""
    return sorted(path for path in source.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


def split_and_name(path: Path, source: Path) -> tuple[str | None, str]:
    """Reads the split off an image's folders, and what remains as its name: images/train/a.jpg -> train, a.jpg."""
    parts = path.relative_to(source).parts
    split, kept = None, []
    for folder in parts[:-1]:
        if split is None and folder.lower() in _SPLIT_NAMES:
            split = _SPLIT_NAMES[folder.lower()]
        elif folder.lower() not in _FOLDERS_WITHOUT_MEANING:
            kept.append(folder)
    return split, str(PurePosixPath(*kept, parts[-1]))


def keep_good_box(box: LabelledBox, size: tuple[int, int], place: str, faults: Faults) -> LabelledBox | None:
    """Cuts a box at the border of an image of (height, width) pixels; a box of no use is noted as a fault."""
    height, width = size
    x0, y0, x1, y1 = box.xyxy
    problem = box_problem((x0, y0, x1 - x0, y1 - y0), width, height)
    if problem is not None and problem[0] == "error":
        faults.add(place, problem[2])
        return None
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    return LabelledBox(box.name, inside, box.crowd)


def write_dataset(
    images: Sequence[LabelledImage], names: Sequence[str], output: Path, *, force: bool
) -> dict[str, int]:
    """Writes a COCO folder, whole or not at all; images are hard-linked where possible, else copied.

    Args:
        names: Categories in order; their ids are 1..K.
        output: Must not exist or be empty, unless `force` and it is a COCO folder.

    Returns:
        Split -> number of images; the split is "all" for an `instances.json`.
    """
    _check_replaceable(output, force)
    if not names:
        raise DatasetError("found no labelled box to import")
    splits = _group_by_split(images)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        fresh = Path(folder) / "new"
        for split, members in splits.items():
            image_dir = fresh / ("images" if split == "all" else split)
            for image in members:
                _link_or_copy(image.path.resolve(), image_dir / image.file_name)
            file = "instances.json" if split == "all" else f"instances_{split}.json"
            save_coco(fresh / file, _to_document(members, names))
        _exchange(fresh, output, Path(folder) / "old")
    return {split: len(members) for split, members in splits.items()}


def _exchange(fresh: Path, output: Path, old: Path) -> None:
    if output.exists():
        output.rename(old)
    try:
        fresh.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise


def check_folders(source: Path, output: Path) -> None:
    """Refuses a source that is no folder, and an output that would mix with it."""
    if not source.is_dir():
        raise DatasetError(f"{source}: expected a folder with images and labels, but there is no such folder")
    inner, outer = output.resolve(), source.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise DatasetError(f"{output}: the output must be a folder apart from the source {source}")


def _check_replaceable(output: Path, force: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not force:
        raise DatasetError(f"{output} exists already; choose another folder, or replace it with --force")
    if not output.is_dir() or not any(output.glob("instances*.json")):
        raise DatasetError(f"{output} is not a COCO folder; --force replaces nothing else")


def _group_by_split(images: Sequence[LabelledImage]) -> dict[str, list[LabelledImage]]:
    groups: dict[str | None, list[LabelledImage]] = defaultdict(list)
    for image in images:
        groups[image.split].append(image)
    if not groups:
        raise DatasetError("found no labelled image to import")
    if None in groups and len(groups) > 1:
        raise DatasetError(
            f"{groups[None][0].path} and {len(groups[None]) - 1} more belong to no split, while others belong to "
            f"{', '.join(sorted(split for split in groups if split))}"
        )
    ordered = {"all": groups[None]} if None in groups else {split: groups[split] for split in SPLITS if split in groups}
    for split, members in ordered.items():
        seen: dict[str, Path] = {}
        for image in members:
            if image.file_name in seen:
                raise DatasetError(f"{image.path} and {seen[image.file_name]} would get the same name in split {split}")
            seen[image.file_name] = image.path
    return ordered


def _to_document(images: Sequence[LabelledImage], names: Sequence[str]) -> dict[str, Any]:
    category_id = {name: index for index, name in enumerate(names, start=1)}
    annotations: list[dict[str, Any]] = []
    entries = []
    for image_id, image in enumerate(images, start=1):
        entries.append({"id": image_id, "file_name": image.file_name, "width": image.width, "height": image.height})
        for box in image.boxes:
            x0, y0, x1, y1 = box.xyxy
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_id[box.name],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": int(box.crowd),
                }
            )
    categories = [{"id": ident, "name": name} for name, ident in category_id.items()]
    return {"images": entries, "annotations": annotations, "categories": categories}


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
