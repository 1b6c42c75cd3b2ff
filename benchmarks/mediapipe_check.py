"""Compares MediaPipe Tasks' ObjectDetector with this package's own decoder on photos; both run one `detect` file.

    python -m nasfpn_lite.benchmarks.mediapipe_check FILE PHOTO... --python PYTHON_WITH_MEDIAPIPE -o DIR

MediaPipe gets every photo twice. "same pixels": first brought to the network's size as in training, then every pixel
repeated, so that MediaPipe's own resizing changes nothing and its whole-pixel boxes are fine enough. "own resizing":
the photo itself, which MediaPipe stretches without the averaging that the network was trained with: boxes and scores
differ, and an app does better to scale its photos down itself. Boxes then come in whole pixels.

Exits with 1 when, for the same pixels, a box has no partner with an overlap (IoU) above 0.99.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nasfpn_lite.boxes import iou, to_yxyx_from_xywh
from nasfpn_lite.cli.common import add_json_argument
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.converters.tflite_detector import TFLiteDetector
from nasfpn_lite.converters.tflite_metadata import to_label
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.drawing import draw_detections, save_image
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import to_original
from nasfpn_lite.preprocess import fit_image, read_image

PYTHON_VARIABLE = "NASFPN_MEDIAPIPE_PYTHON"
LEAST_IOU = 0.99
REPEATS = 16
SAME_PIXELS, OWN_RESIZING = "same pixels", "own resizing"
_RUNNER = Path(__file__).with_name("mediapipe_runner.py")
_SHOWN_LINES = 6
_CAPTION_HEIGHT = 32


@dataclass(frozen=True)
class Pair:
    """A box of one side and the best of its class on the other.

    Attributes:
        score, mediapipe_score: None where that side has no box of the class that overlaps.
    """

    name: str
    score: float | None
    mediapipe_score: float | None
    iou: float


@dataclass(frozen=True)
class Comparison:
    """One photo, fed to MediaPipe in one way."""

    photo: str
    fed: str
    pairs: tuple[Pair, ...]

    @property
    def lowest_iou(self) -> float:
        """The IoU of the worst pair; 1.0 where neither found anything."""
        return min((pair.iou for pair in self.pairs), default=1.0)


def pair_up(ours: Detections, theirs: Detections, categories: Sequence[Category], min_score: float) -> tuple[Pair, ...]:
    """Finds a partner for every box of at least `min_score` on either side; the partner may score lower."""
    same_class = ours.classes[:, None] == theirs.classes[None]
    overlaps = np.where(same_class, iou(ours.boxes_yxyx, theirs.boxes_yxyx), 0)

    def pair(label: int, i: int | None, j: int | None) -> Pair:
        overlap = 0.0 if i is None or j is None else float(overlaps[i, j])
        return Pair(categories[label].name, _score(ours, i), _score(theirs, j), overlap)

    partners = {i: _best(overlaps[i]) for i in np.flatnonzero(ours.scores >= min_score).tolist()}
    left_over = set(np.flatnonzero(theirs.scores >= min_score).tolist()) - set(partners.values())
    return (
        *(pair(int(ours.classes[i]), i, j) for i, j in partners.items()),
        *(pair(int(theirs.classes[j]), _best(overlaps[:, j]), j) for j in sorted(left_over)),
    )


def _best(overlaps: np.ndarray) -> int | None:
    return int(overlaps.argmax()) if overlaps.any() else None


def _score(detections: Detections, index: int | None) -> float | None:
    return None if index is None else float(detections.scores[index])


def run_mediapipe(
    python: str, model: Path, images: Sequence[tuple[np.ndarray, int]], categories: Sequence[Category]
) -> list[Detections]:
    """Runs MediaPipe's ObjectDetector in a process of its own.

    Args:
        python: An interpreter with mediapipe.
        images: (h, w, 3) uint8 RGB, and how often each of its pixels is repeated both ways.

    Returns:
        Detections in pixels of each image before the repeating.

    Raises:
        UserError: The process failed, for instance because MediaPipe refuses the file; with the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="nasfpn-lite-mediapipe-") as name:
        items = []
        for number, (image, repeats) in enumerate(images):
            file = Path(name) / f"{number}.npy"
            np.save(file, image)
            items.append({"image": str(file), "repeats": repeats})
        job = Path(name) / "job.json"
        job.write_text(json.dumps(items), encoding="utf-8")
        command = [python, str(_RUNNER), str(model), str(job)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            raise UserError(f"expected a Python with mediapipe, but cannot start {python}: {error.strerror}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()][-_SHOWN_LINES:]
        raise UserError("MediaPipe failed; the end of what it said:\n" + "\n".join(lines))
    results = json.loads(done.stdout)
    return [_to_detections(found, r, categories) for found, (_, r) in zip(results, images, strict=True)]


def _to_detections(found: list[dict[str, Any]], repeats: int, categories: Sequence[Category]) -> Detections:
    numbers = {to_label(category.name): number for number, category in enumerate(categories)}
    # MediaPipe cuts the fractions off; half a pixel makes up for what is lost on average.
    boxes_xywh = np.array([item["box_xywh"] for item in found], np.float32).reshape(-1, 4) + np.float32(0.5)
    return Detections(
        boxes_yxyx=to_yxyx_from_xywh(boxes_xywh) / np.float32(repeats),
        scores=np.array([item["score"] for item in found], np.float32),
        classes=np.array([numbers[item["name"]] for item in found], np.int32),
    )


def compare(model: Path, photos: Sequence[Path], python: str, output: Path, min_score: float) -> list[Comparison]:
    """Runs both on every photo and draws DIR/<stem>_mediapipe.png."""
    detector = TFLiteDetector(model)
    if detector.metadata.form != "detect":
        raise UserError(f"MediaPipe needs suppression inside the file; convert {model} again with --form detect")
    images = [read_image(path) for path in photos]
    fitted = [fit_image(image, detector.spec.image_size, detector.spec.resize) for image in images]
    feeds = [(image, REPEATS) for image, _ in fitted] + [(image, 1) for image in images]
    results = run_mediapipe(python, model, feeds, detector.categories)
    comparisons = []
    for number, (path, image) in enumerate(zip(photos, images, strict=True)):
        ours, same, own = detector.detect(image), results[number], results[len(images) + number]
        size = image.shape[:2]
        theirs = {
            SAME_PIXELS: to_original(same, fitted[number][1], size),
            OWN_RESIZING: to_original(own, (1.0, 1.0), size),
        }
        for fed, found in theirs.items():
            pairs = pair_up(ours, found, detector.categories, min_score)
            comparisons.append(Comparison(path.name, fed, pairs))
        columns = {"nasfpn-lite": ours, **{f"MediaPipe, {fed}": found for fed, found in theirs.items()}}
        picture = _draw_columns(image, columns, detector.categories, min_score)
        save_image(picture, output / f"{path.stem}_mediapipe.png")
    return comparisons


def _draw_columns(
    image: np.ndarray, columns: dict[str, Detections], categories: Sequence[Category], min_score: float
) -> np.ndarray:
    parts = []
    for caption, found in columns.items():
        drawn = draw_detections(image, found, categories, min_score=min_score)
        band = np.full((_CAPTION_HEIGHT, drawn.shape[1], 3), 255, np.uint8)
        cv2.putText(band, caption, (8, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 1, cv2.LINE_AA)
        parts.append(np.concatenate([band, drawn]))
    return np.concatenate(parts, axis=1)


def main(argv: list[str] | None = None) -> int:
    """Compares, prints and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="FILE", type=Path, help="a detect file of `nasfpn-lite convert`")
    parser.add_argument("photos", metavar="PHOTO", type=Path, nargs="+")
    parser.add_argument("--python", default=os.environ.get(PYTHON_VARIABLE), help=f"default: ${PYTHON_VARIABLE}")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--min-score", type=float, default=0.3, help="lowest score to compare (default: %(default)s)")
    add_json_argument(parser)
    args = parser.parse_args(argv)
    if not args.python:
        parser.error(f"give a Python that has mediapipe with --python, or in {PYTHON_VARIABLE}")
    try:
        comparisons = compare(args.model, args.photos, args.python, args.output, args.min_score)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_comparisons(comparisons, as_json=args.json)
    return 0 if all(c.lowest_iou > LEAST_IOU for c in comparisons if c.fed == SAME_PIXELS) else 1


def print_comparisons(comparisons: Sequence[Comparison], *, as_json: bool) -> None:
    """Prints every pair, and a summary of each way of feeding."""
    summary = [_summarise(fed, [c for c in comparisons if c.fed == fed]) for fed in (SAME_PIXELS, OWN_RESIZING)]
    if as_json:
        print_json({"least_iou": LEAST_IOU, "summary": summary, "comparisons": comparisons})
        return
    rows = [
        (c.photo, c.fed, pair.name, pair.score, pair.mediapipe_score, f"{pair.iou:.4f}")
        for c in comparisons
        for pair in c.pairs
    ]
    print_table(("photo", "fed", "class", "score", "MediaPipe's", "IoU"), rows)
    print()
    print_table(tuple(summary[0]), [[_show(value) for value in row.values()] for row in summary])


def _show(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value


def _summarise(fed: str, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    pairs = [pair for comparison in comparisons for pair in comparison.pairs]
    differences = [
        abs(pair.score - pair.mediapipe_score)
        for pair in pairs
        if pair.score is not None and pair.mediapipe_score is not None
    ]
    overlaps = [pair.iou for pair in pairs]
    return {
        "fed": fed,
        "boxes": len(pairs),
        "lowest_iou": min(overlaps, default=1.0),
        "median_iou": statistics.median(overlaps) if overlaps else 1.0,
        "largest_score_difference": max(differences, default=0.0),
    }


if __name__ == "__main__":
    sys.exit(main())
