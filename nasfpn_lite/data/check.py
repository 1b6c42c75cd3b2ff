"""Finds whatever is broken in a COCO folder: the annotations, every image file, and how the splits fit together."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nasfpn_lite.data.coco import SPLITS, find_image, find_splits
from nasfpn_lite.data.problems import MALFORMED, DatasetError, Problem, check_document, read_document
from nasfpn_lite.preprocess import ImageError, TruncatedImageError, decode_image, is_turned_by_exif, read_image_bytes


@dataclass(frozen=True)
class FileSummary:
    """What one annotation file holds.

    Attributes:
        split: Name of the split, or "all" for an `instances.json`.
        boxes_per_class: Category name -> boxes, crowd included, in the network's order.
        sha256: Of the annotation file, to tell later which data a network has seen.
    """

    split: str
    file: str
    images: int
    boxes: int
    boxes_per_class: dict[str, int]
    sha256: str


@dataclass(frozen=True)
class Examination:
    """All problems of a dataset, and a summary of each annotation file that could be read."""

    problems: tuple[Problem, ...]
    files: tuple[FileSummary, ...]

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)


@dataclass(frozen=True)
class _ImageFindings:
    path: Path
    digest: str | None
    problems: list[Problem]


def examine_dataset(data_dir: Path, progress: Callable[[int, int], None] | None = None) -> Examination:
    """Finds everything that is wrong with a COCO folder, and counts what it holds; every image is read.

    Args:
        data_dir: A COCO folder.
        progress: Called with (images read, images of this annotation file).

    Raises:
        DatasetError: The folder or its annotation files do not exist.
    """
    data_dir = Path(data_dir)
    problems: list[Problem] = []
    summaries: list[FileSummary] = []
    documents: dict[str, dict[str, Any]] = {}
    digests: dict[str, tuple[str, Path]] = {}
    for split, file in _annotation_files(data_dir).items():
        try:
            document = read_document(file)
        except DatasetError as error:
            problems.append(Problem("error", "broken-json", str(error), file.name))
            continue
        found = check_document(document, file.name)
        problems += found
        if any(problem.code in MALFORMED for problem in found):
            continue
        if split == "all" and len(document["images"]) < len(SPLITS):
            message = f"{len(document['images'])} images cannot be divided into train, val and test"
            problems.append(Problem("error", "too-few-images", message, file.name))
        documents[file.name] = document
        summaries.append(_summarise(document, split, file))
        problems += _check_image_files(document, data_dir, split, digests, progress)
    problems += _compare_categories(documents)
    return Examination(tuple(problems), tuple(summaries))


def _annotation_files(data_dir: Path) -> dict[str, Path]:
    files = find_splits(data_dir)
    if len(set(files.values())) < len(files):
        return {"all": next(iter(files.values()))}
    return files


def _summarise(document: dict[str, Any], split: str, file: Path) -> FileSummary:
    counts = Counter(annotation["category_id"] for annotation in document["annotations"])
    categories = sorted(document["categories"], key=lambda category: category["id"])
    return FileSummary(
        split=split,
        file=file.name,
        images=len(document["images"]),
        boxes=len(document["annotations"]),
        boxes_per_class={category["name"]: counts[category["id"]] for category in categories},
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )


def _check_image_files(
    document: dict[str, Any],
    data_dir: Path,
    split: str,
    digests: dict[str, tuple[str, Path]],
    progress: Callable[[int, int], None] | None,
) -> Iterator[Problem]:
    images = document["images"]

    def examine(image: dict[str, Any]) -> _ImageFindings:
        return _examine_image(image, find_image(data_dir, split, image["file_name"]), data_dir)

    with ThreadPoolExecutor() as pool:
        for done, (image, findings) in enumerate(zip(images, pool.map(examine, images), strict=True), start=1):
            yield from findings.problems
            if findings.digest is not None:
                yield from _compare_digest(findings, split, digests, data_dir, image["id"])
            if progress is not None:
                progress(done, len(images))


def _compare_digest(
    findings: _ImageFindings, split: str, digests: dict[str, tuple[str, Path]], data_dir: Path, image_id: int
) -> Iterator[Problem]:
    first_split, first_path = digests.setdefault(findings.digest or "", (split, findings.path))
    if first_split != split:
        message = f"the same image as {_name(first_path, data_dir)} of split {first_split}; AP on it will look too good"
        yield Problem("warning", "image-in-two-splits", message, _name(findings.path, data_dir), image_id)
    elif first_path != findings.path:
        message = f"the same image as {_name(first_path, data_dir)}"
        yield Problem("warning", "duplicate-image", message, _name(findings.path, data_dir), image_id)


def _examine_image(image: dict[str, Any], path: Path, data_dir: Path) -> _ImageFindings:
    problems: list[Problem] = []

    def add(severity: Literal["error", "warning"], code: str, message: str) -> None:
        problems.append(Problem(severity, code, message, _name(path, data_dir), image["id"]))

    if not path.is_file():
        add("error", "image-missing", "there is no such file; training skips the image")
        return _ImageFindings(path, None, problems)
    try:
        data = read_image_bytes(path)
        upright = decode_image(data, path.name)
    except TruncatedImageError:
        add("error", "image-truncated", "the end of the file is missing; training skips the image")
        return _ImageFindings(path, None, problems)
    except ImageError as error:
        add("error", "image-unreadable", f"{error}; training skips the image")
        return _ImageFindings(path, None, problems)
    turned = is_turned_by_exif(data, upright)
    height, width = upright.shape[:2]
    said = f"{image['width']}x{image['height']}"
    if turned:
        add("warning", "exif-rotation", f"its EXIF orientation is honoured: it is used upright, {width}x{height}")
    if (image["width"], image["height"]) == (width, height):
        return _ImageFindings(path, hashlib.sha256(data).hexdigest(), problems)
    if turned and (image["width"], image["height"]) == (height, width):
        message = f"the json says {said}, its size before EXIF rotation, not {width}x{height}; turn the boxes too"
        add("error", "exif-size", message)
    else:
        add("error", "wrong-size", f"the json says {said}, the image has {width}x{height}")
    return _ImageFindings(path, hashlib.sha256(data).hexdigest(), problems)


def _compare_categories(documents: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    first_file, first = None, {}
    for file, document in documents.items():
        names = {category["id"]: category["name"] for category in document["categories"]}
        if first_file is None:
            first_file, first = file, names
            continue
        for ident, name in names.items():
            if first.get(ident) != name:
                message = f"category {ident} ({name!r}) is {first.get(ident, 'no category')!r} in {first_file}"
                yield Problem("error", "categories-differ", message, file)
        for ident in first.keys() - names.keys():
            message = f"category {ident} ({first[ident]!r}) of {first_file} is missing"
            yield Problem("warning", "category-missing", message, file)


def _name(path: Path, data_dir: Path) -> str:
    return str(path.relative_to(data_dir)) if path.is_relative_to(data_dir) else str(path)
