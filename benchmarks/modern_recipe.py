"""Trains one detector by several recipes with several seeds, and tells what each part of the modern recipe is worth.

    python -m nasfpn_lite.benchmarks.modern_recipe --data DIR --epochs 25 --seeds 0 1 2 -o RUNS

Everything else is equal: data, seeds, epochs, steps. A run that is there already is scored, or resumed, not repeated;
`nasfpn-lite compare-runs RUNS/atss/* --against RUNS/finetune/* --data DIR` says which difference is more than chance.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import evaluate
from nasfpn_lite.keras_detector import KerasDetector
from nasfpn_lite.recipes import PRESETS, TrainingRecipe
from nasfpn_lite.train import TrainingJob, train
from nasfpn_lite.variants import get_spec

ATSS: dict[str, Any] = {"assignment": "atss"}
QUALITY: dict[str, Any] = {"class_loss": "quality_focal"}
GIOU: dict[str, Any] = {"box_loss": "giou"}
MOSAIC: dict[str, Any] = {"mosaic": 0.5}
ARMS: dict[str, dict[str, Any]] = {
    "finetune": {},
    "atss": ATSS,
    "atss_quality": ATSS | QUALITY,
    "atss_giou": ATSS | GIOU,
    "atss_quality_giou": ATSS | QUALITY | GIOU,
    "atss_mosaic": ATSS | MOSAIC,
    "mosaic": MOSAIC,
    "quality": QUALITY,
    "giou": GIOU,
    "all": ATSS | QUALITY | GIOU | MOSAIC,
}


def make_recipe(arm: str, *, epochs: int, any_orientation: bool) -> TrainingRecipe:
    """Returns the recipe of an arm: `finetune`, but for what the arm changes."""
    changes = dict(ARMS[arm])
    recipe = PRESETS["finetune"]
    augment = dataclasses.replace(recipe.augment, mosaic=changes.pop("mosaic", 0.0))
    if any_orientation:
        augment = dataclasses.replace(augment, vertical_flip=True, rotate_90=True)
    return dataclasses.replace(recipe, epochs=epochs, augment=augment, validations=0, **changes)


def main(argv: list[str] | None = None) -> int:
    """Prints one row per training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--variant", default="nasfpnlite_3x48")
    parser.add_argument("--size", default="128")
    parser.add_argument("--epochs", type=positive_int, default=25)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--any-orientation", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        print("| arm | seed | AP | AP50 | AP75 | AP small | AP medium | AP large | s |\n|" + "---|" * 9, flush=True)
        for seed in args.seeds:
            for arm in args.arms:
                print(_train_and_score(args, arm, seed), flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _train_and_score(args: argparse.Namespace, arm: str, seed: int) -> str:
    recipe = make_recipe(arm, epochs=args.epochs, any_orientation=args.any_orientation)
    began = time.monotonic()
    job = TrainingJob(args.data, get_spec(args.variant, size=args.size), recipe, variant=args.variant, seed=seed)
    run = train(job, args.output / arm / str(seed), resume=True)
    seconds = time.monotonic() - began
    detector = KerasDetector(run.build_model(), run.spec, run.categories)
    summary = evaluate(detector, load_split(args.data, "test", categories=run.categories)).summary
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    scores = [f"{100 * summary[name]:.2f}" if summary.get(name) is not None else "–" for name in names]
    return f"| {arm} | {seed} | {' | '.join(scores)} | {seconds:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
