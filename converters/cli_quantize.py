"""Quantization-aware training of a run: train on int8 grids, then make the .tflite files."""

import argparse
import dataclasses
from pathlib import Path

from nasfpn_lite.cli.common import add_json_argument, positive_int, seed_number
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.converters.qat_recipe import QatJob, QatRecipe
from nasfpn_lite.converters.recipes import QAT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    recipe = QatRecipe()
    parser.add_argument("run", metavar="RUN", type=Path, help="run folder of `train`")
    parser.add_argument("--recipe", metavar="R", choices=(QAT.name,), default=QAT.name, help="%(choices)s")
    parser.add_argument("--form", nargs="+", choices=("raw", "detect"), default=["raw"], help="as for `convert`")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="for the files (default: RUN/quantized)")
    parser.add_argument("--data", metavar="DIR", type=Path, help="photos to train on (default: the run's own)")
    parser.add_argument("--epochs", type=positive_int, default=recipe.epochs, help="default: %(default)s")
    parser.add_argument("--batch-size", type=positive_int, default=recipe.batch_size, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=recipe.learning_rate, help="default: %(default)s")
    parser.add_argument("--seed", type=seed_number, default=0, help="decides everything random (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted training of the same options")
    parser.add_argument("--force", action="store_true", help="overwrite files, and calibrate with few images")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Trains, converts and prints what was made."""
    from nasfpn_lite.converters.cli_convert import find_training_data
    from nasfpn_lite.converters.quantize import quantize
    from nasfpn_lite.runs import load_run

    data = args.data or find_training_data(load_run(args.run).recipe, "training on int8 grids needs photos")
    recipe = QatRecipe(epochs=args.epochs, batch_size=args.batch_size, learning_rate=args.learning_rate)
    job = QatJob(args.run.resolve(), data.resolve(), recipe, seed=args.seed, force=args.force)
    made = quantize(job, args.output or args.run / "quantized", args.form, resume=args.resume)
    if args.json:
        print_json({"files": [dataclasses.asdict(file) for file in made]})
        return 0
    print_table(("file", "size"), [(str(f.path), f"{f.size_bytes / 1e6:.2f} MB") for f in made])
    return 0
