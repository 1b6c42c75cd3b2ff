"""Trains a detector with symmetric and one with "same" padding from the same ImageNet weights, and compares their AP.

    python -m nasfpn_lite.benchmarks.finetune_padding --data DIR --epochs 30 -o RUNS

Everything else is equal: seed, recipe, photos. A run that is there already is scored, or resumed, not repeated.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from nasfpn_lite.backbones.pretrained import SHIPPED
from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.data.coco import find_splits, load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import evaluate
from nasfpn_lite.keras_detector import KerasDetector
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.train import TrainingJob, train
from nasfpn_lite.variants import get_spec

ARMS = {"symmetric": True, "same": False}


def make_job(arm: str, data: Path, variant: str, epochs: int) -> TrainingJob:
    """Returns the training of one arm: `finetune` for photos without an upside."""
    recipe = PRESETS["finetune"]
    turned = dataclasses.replace(recipe.augment, vertical_flip=True, rotate_90=True)
    recipe = dataclasses.replace(recipe, epochs=epochs, augment=turned, validations=0)
    spec = get_spec(variant)
    backbone = dataclasses.replace(spec.backbone, symmetric_padding=ARMS[arm])
    # As a path, for "imagenet" would set the padding that belongs to the weights.
    return TrainingJob(data, dataclasses.replace(spec, backbone=backbone), recipe, backbone_weights=str(SHIPPED))


def main(argv: list[str] | None = None) -> int:
    """Prints one row per arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--variant", default="nasfpnlite_3x48")
    parser.add_argument("--epochs", type=positive_int, default=30)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        splits = [name for name in ("val", "test") if name in find_splits(args.data)]
        print("| padding | " + " | ".join(f"AP {name}" for name in splits) + " |\n|" + "---|" * (len(splits) + 1))
        for arm in ARMS:
            run = train(make_job(arm, args.data, args.variant, args.epochs), args.output / arm, resume=True)
            detector = KerasDetector(run.build_model(), run.spec, run.categories)
            scores = [
                evaluate(detector, load_split(args.data, name, categories=run.categories)).summary["AP"] or 0.0
                for name in splits
            ]
            print(f"| {arm} | " + " | ".join(f"{score:.4f}" for score in scores) + " |", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
