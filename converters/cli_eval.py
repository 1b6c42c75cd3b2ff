"""`nasfpn-lite eval`: COCO AP of a run or a .tflite file."""

import argparse
import hashlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.cli.common import add_json_argument, positive_int, seed_number
from nasfpn_lite.cli.output import print_json, print_table

if TYPE_CHECKING:
    from nasfpn_lite.data.records import Split

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("model", metavar="RUN|FILE", type=Path, help="run folder or .tflite file")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder (see `data check`)")
    parser.add_argument("--split", default="test", help="train, val or test (default: %(default)s)")
    parser.add_argument(
        "--seed", type=seed_number, help="how one instances.json is divided; by default the training's own"
    )
    parser.add_argument(
        "--threads", type=positive_int, default=os.cpu_count() or 1, help="for a .tflite file (default: %(default)s)"
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints."""
    from nasfpn_lite.converters.load_detector import load_detector
    from nasfpn_lite.evaluate import evaluate

    split = load_split_for(args.model, args.data, args.split, seed=args.seed)
    detector = load_detector(args.model, threads=args.threads)
    result = evaluate(detector, split, progress=show_progress if sys.stderr.isatty() else None)
    figures = {"model": str(args.model), "data": str(args.data), "split": args.split, **result.to_dict()}
    if args.model.is_file():  # what tells later which file it was
        figures["sha256"] = hashlib.sha256(args.model.read_bytes()).hexdigest()
    if args.json:
        print_json(figures)
    else:
        _print_tables(figures)
    return 0


def load_split_for(model: Path, data: Path, name: str, *, seed: int | None) -> "Split":
    """Loads a split; one instances.json is divided as in the model's training unless a seed is given.

    Raises:
        UserError: There is no such split, or its files have errors.
    """
    from nasfpn_lite.converters.load_detector import find_seed
    from nasfpn_lite.data.coco import find_splits, load_split

    seed = find_seed(model) if seed is None else seed
    one_file = seed is None and find_splits(data).get(name, data).name == "instances.json"
    if one_file and model.exists():
        logger.warning("%s does not know its training seed: instances.json is divided with seed 0", model)
    return load_split(data, name, seed=seed or 0)


def show_progress(done: int, total: int) -> None:
    """Keeps one line on stderr up to date."""
    print(f"\r{done}/{total} images", end="\n" if done == total else "", file=sys.stderr, flush=True)


_EXPLANATIONS = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "IoU 0.50",
    "AP75": "IoU 0.75",
    "APs": "objects under 32 x 32 pixels",
    "APm": "up to 96 x 96",
    "APl": "larger",
    "AR1": "recall with 1 detection an image",
    "AR10": "with 10",
    "AR100": "with 100",
    "ARs": "recall of objects under 32 x 32 pixels",
    "ARm": "up to 96 x 96",
    "ARl": "larger",
}


def _print_tables(figures: dict[str, Any]) -> None:
    print(f"{figures['model']} on {figures['images']} images, {figures['objects']} objects ({figures['split']})\n")
    print_table(("metric", "0..1", "meaning"), [(name, figures[name], text) for name, text in _EXPLANATIONS.items()])
    print()
    print_table(("class", "AP"), list(figures["per_class"].items()))
