"""`nasfpn-lite predict`: draw what a run or a .tflite file finds in photos."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.cli.common import add_json_argument, positive_float, positive_int
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.data.records import Detections
    from nasfpn_lite.evaluate import Detector

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("model", metavar="RUN|FILE", type=Path, help="run folder or .tflite file")
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="photos, or folders of photos")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the drawings")
    parser.add_argument(
        "--min-score",
        type=_share,
        default=0.3,
        help="lowest score to draw, 0..1; none is under 0.05 (default: %(default)s)",
    )
    parser.add_argument(
        "--budget-ms", type=positive_float, metavar="MS", help="take the last exit that ends in time, photo to boxes"
    )
    parser.add_argument("--force", action="store_true", help="replace drawings that are there already")
    parser.add_argument(
        "--threads", type=positive_int, default=os.cpu_count() or 1, help="for a .tflite file (default: %(default)s)"
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Detects, draws and prints what was found."""
    from nasfpn_lite.converters.load_detector import load_anytime, load_detector
    from nasfpn_lite.preprocess import ImageError

    targets = plan_drawings(find_images(args.images), args.output, force=args.force)
    load = load_detector if args.budget_ms is None else load_anytime
    detector = load(args.model, threads=args.threads)
    rows, unreadable = [], []
    for source, target in targets.items():
        try:
            rows.append(_predict(detector, source, target, args))
        except ImageError as error:
            unreadable.append(str(error))
    _print(rows, args)
    if unreadable:
        raise UserError(f"{len(unreadable)} of {len(targets)} images were left out:\n" + "\n".join(unreadable))
    return 0


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Returns image files as given, and those of the given folders in the order of their names.

    Raises:
        UserError: A path does not exist, or a folder holds no images.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise UserError(
                    f"expected photos ({' '.join(IMAGE_SUFFIXES)}) in {path}, found none (not looking deeper)"
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"expected a photo or a folder of photos, but there is no {path}")
    return list(dict.fromkeys(found))


def plan_drawings(images: Sequence[Path], output: Path, *, force: bool) -> dict[Path, Path]:
    """Returns where the drawing of each image goes: <stem>.png for a PNG, else <stem>.jpg.

    Raises:
        UserError: A drawing would replace a photo, another drawing of the same command, or any file unless `force`.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"expected a folder for the drawings, but {output} is a file")
    photos = {image.resolve() for image in images}
    targets: dict[Path, Path] = {}
    for image in images:
        target = output / f"{image.stem}{'.png' if image.suffix.lower() == '.png' else '.jpg'}"
        other = next((source for source, taken in targets.items() if taken == target), None)
        if other is not None:
            raise UserError(f"{other} and {image} would both be drawn to {target}; give them to two commands")
        if target.resolve() in photos:
            raise UserError(f"the drawing {target} would replace a photo; choose another folder with -o")
        if target.exists() and not force:
            raise UserError(f"{target} is there already; add --force to replace it, or choose another folder with -o")
        targets[image] = target
    return targets


def _predict(detector: "Detector", source: Path, target: Path, args: argparse.Namespace) -> dict[str, Any]:
    from nasfpn_lite.anytime import Anytime, AnytimeDetections
    from nasfpn_lite.drawing import draw_detections, save_image
    from nasfpn_lite.preprocess import read_image

    image = read_image(source)
    detections = detector.detect(image, args.budget_ms) if isinstance(detector, Anytime) else detector.detect(image)
    save_image(draw_detections(image, detections, detector.categories, min_score=args.min_score), target)
    row = {"image": source, "drawing": target, "detections": _describe(detections, detector, args.min_score)}
    if isinstance(detections, AnytimeDetections):
        row |= {"exit": detections.exit, "elapsed_ms": round(detections.elapsed_ms, 3)}
    return row


def _describe(detections: "Detections", detector: "Detector", min_score: float) -> list[dict[str, Any]]:
    from nasfpn_lite.boxes import to_xywh_from_yxyx

    boxes_xywh = to_xywh_from_yxyx(detections.boxes_yxyx).round(2).tolist()
    rows = zip(detections.classes.tolist(), detections.scores.tolist(), boxes_xywh, strict=True)
    return [
        {
            "category": detector.categories[label].name,
            "category_id": detector.categories[label].id,
            "score": round(score, 4),
            "bbox_xywh": [round(value, 2) for value in box],
        }
        for label, score, box in rows
        if score >= min_score
    ]


def _print(rows: Sequence[dict[str, Any]], args: argparse.Namespace) -> None:
    if args.json:
        print_json({"model": args.model, "min_score": args.min_score, "images": rows})
        return
    cells = []
    for row in rows:
        counts = Counter(detection["category"] for detection in row["detections"])
        found = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing"
        answered = (row["exit"], f"{row['elapsed_ms']:.1f}") if "exit" in row else ()
        cells.append((str(row["image"]), found, str(row["drawing"]), *answered))
    names = ("photo", "found", "drawing")
    print_table((*names, "exit", "ms") if rows and "exit" in rows[0] else names, cells)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a number in 0..1, got {text!r}")
    return value
