"""Trains one detector by several recipes with several seeds, and tells what each part of a modern recipe is worth.

    python -m nasfpn_lite.benchmarks.modern_recipe --data DIR --epochs 25 --seeds 0 1 2 -o RUNS

Everything else is equal: data, seeds, epochs, steps. A run that is there already is scored, or resumed, not repeated;
`nasfpn-lite compare-runs RUNS/giou/* --against RUNS/finetune/* --data DIR` says which difference is more than chance.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

from nasfpn_lite.cli.common import positive_int, seed_number
from nasfpn_lite.data.coco import find_splits, load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import evaluate
from nasfpn_lite.keras_detector import KerasDetector
from nasfpn_lite.recipes import PRESETS, TrainingRecipe
from nasfpn_lite.train import TrainingJob, train
from nasfpn_lite.variants import get_spec

_GIOU: dict[str, Any] = {"box_loss": "giou"}
_MOSAIC: dict[str, Any] = {"mosaic": 0.5}

# What an arm changes of `finetune`; "mosaic" of its augmentation.
ARMS: dict[str, dict[str, Any]] = {
    "finetune": {},
    "giou": _GIOU,
    "mosaic": _MOSAIC,
    "giou_mosaic": _GIOU | _MOSAIC,
}
_COLUMNS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def make_recipe(arm: str, *, epochs: int, any_orientation: bool) -> TrainingRecipe:
    """Returns the recipe of an arm: `finetune`, but for what the arm changes."""
    changes, recipe = dict(ARMS[arm]), PRESETS["finetune"]
    augment = dataclasses.replace(
        recipe.augment,
        mosaic=changes.pop("mosaic", 0.0),
        vertical_flip=any_orientation,
        rotate_90=any_orientation,
    )
    return dataclasses.replace(recipe, epochs=epochs, augment=augment, validations=0, **changes)


def main(argv: list[str] | None = None) -> int:
    """Prints one row per training; AP in points on the test photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--variant", default="nasfpnlite_3x48")
    parser.add_argument("--size", default="128")
    parser.add_argument("--epochs", type=positive_int, default=25)
    parser.add_argument("--seeds", type=seed_number, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--any-orientation", action="store_true", help="photos without an upside")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        find_splits(args.data)
        print(f"| arm | seed | {' | '.join(_COLUMNS)} | s |\n|{'---|' * (len(_COLUMNS) + 3)}", flush=True)
        for seed in args.seeds:
            for arm in args.arms:
                recipe = make_recipe(arm, epochs=args.epochs, any_orientation=args.any_orientation)
                spec = get_spec(args.variant, size=args.size)
                job = TrainingJob(args.data, spec, recipe, preset=arm, variant=args.variant, seed=seed)
                print(f"| {arm} | {seed} | {_train_and_score(job, args.output / arm / str(seed))} |", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _train_and_score(job: TrainingJob, folder: Path) -> str:
    began, fresh = time.monotonic(), not folder.exists()
    run = train(job, folder, resume=True)
    seconds = f"{time.monotonic() - began:.0f}" if fresh else "–"
    split = load_split(job.data, "test", categories=run.categories, seed=job.seed)
    summary = evaluate(KerasDetector(run.build_model(), run.spec, run.categories), split).summary
    scores = [summary[name] for name in _COLUMNS]
    return " | ".join(["–" if score is None else f"{100 * score:.2f}" for score in scores] + [seconds])


if __name__ == "__main__":
    sys.exit(main())
