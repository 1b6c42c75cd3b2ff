"""Make .tflite files of a trained run, or of a variant with random weights (for latency)."""

import argparse
import dataclasses
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.cli.common import add_json_argument, add_variant_options, spec_from_args
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.converters.cli_auto import add_auto_argument, check_auto, run_auto
from nasfpn_lite.converters.cli_budget import add_budget_arguments, budget_from_args, print_judged, reproducing_commands
from nasfpn_lite.converters.cli_eval import show_progress
from nasfpn_lite.converters.progress import shown
from nasfpn_lite.converters.recipes import CONVERTIBLE, SELECTIVE, get_recipe
from nasfpn_lite.errors import UserError
from nasfpn_lite.variants import VARIANTS

if TYPE_CHECKING:
    from nasfpn_lite.compare import Budget
    from nasfpn_lite.converters.budget import Judged, Scoring
    from nasfpn_lite.converters.calibration import Calibration
    from nasfpn_lite.converters.convert import Source, Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("source", metavar="RUN|VARIANT", help="run folder of `train`, or a variant's name")
    parser.add_argument("--random-weights", action="store_true", help="convert a variant that nobody trained")
    parser.add_argument(
        "--recipe",
        metavar="R",
        nargs="+",
        required=True,
        choices=list(CONVERTIBLE),
        help=f"of {', '.join(CONVERTIBLE)}",
    )
    parser.add_argument(
        "--float-stages", metavar="S", nargs="+", default=[], help=f"what {SELECTIVE.name} keeps in float: block_5 ..."
    )
    parser.add_argument(
        "--form", choices=("raw", "detect"), required=True, help="separate boxes and scores, or suppression inside"
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the files")
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="photos to calibrate with, and to score (default: the run's own)"
    )
    parser.add_argument(
        "--few-images", action="store_true", help="calibrate with fewer than 100 photos, at the price of accuracy"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files; implies --few-images")
    add_budget_arguments(parser)
    add_auto_argument(parser)
    add_variant_options(parser)
    add_json_argument(parser)


@shown()
def run(args: argparse.Namespace) -> int:
    """Converts and prints what was made."""
    from nasfpn_lite.converters.certificate import certificate_path
    from nasfpn_lite.converters.convert import Target, check_free, convert_all

    budget = budget_from_args(args)
    if args.output.exists() and not args.output.is_dir():
        raise UserError(f"expected a folder for the files, but {args.output} is a file; name another with -o")
    recipes = list(dict.fromkeys(args.recipe))
    name = args.source if args.random_weights else Path(args.source).resolve().name
    kept = tuple(dict.fromkeys(args.float_stages))
    if kept and SELECTIVE.name not in recipes:
        raise UserError(f"--float-stages goes with --recipe {SELECTIVE.name}")
    targets = [
        Target(r, args.form, args.output / f"{name}_{r}_{args.form}.tflite", kept if r == SELECTIVE.name else ())
        for r in recipes
    ]
    if args.auto:
        check_auto(args, budget)
    check_free([target.path for target in targets], force=args.force)
    needs_calibration = any(get_recipe(recipe).needs_calibration for recipe in recipes)
    source, calibration = _load(args, needs_calibration=needs_calibration)
    if args.auto and budget is not None and calibration is not None:
        return run_auto(source, targets[0], _scoring(args, source), budget, calibration, args)
    if budget is not None:
        return print_judged(_convert_within(budget, args, source, targets, calibration), as_json=args.json)
    made = convert_all(source, targets, calibration=calibration, force=args.force)
    for target in targets:
        certificate_path(target.path).unlink(missing_ok=True)  # it spoke of the file that was there before
    if args.json:
        print_json({"files": [dataclasses.asdict(file) for file in made]})
        return 0
    rows = [(str(f.path), f"{f.size_bytes / 1e6:.2f} MB", f"{f.seconds:.1f} s") for f in made]
    print_table(("file", "size", "time"), rows)
    return 0


def _load(args: argparse.Namespace, *, needs_calibration: bool) -> "tuple[Source, Calibration | None]":
    from nasfpn_lite.converters.calibration import make_synthetic_calibration
    from nasfpn_lite.converters.convert import Source

    if args.random_weights:
        if budget_from_args(args) is not None:
            raise UserError("random weights have no AP to lose; leave the budget out, or give the run of a training")
        if args.data is not None:
            raise UserError("--random-weights is calibrated with made-up images; leave --data out")
        spec = spec_from_args(args, variant=args.source)
        return Source.random(spec), make_synthetic_calibration(spec) if needs_calibration else None
    if args.source in VARIANTS and not Path(args.source).exists():
        raise UserError(
            f"{args.source} is a variant, which has no weights of its own; train it first and give the run folder, "
            "or add --random-weights to measure its latency"
        )
    if args.size or args.classes or args.genotype:
        raise UserError(
            "--size, --classes and --genotype change a variant; a trained run keeps what it was trained with"
        )
    return _load_run(args, needs_calibration=needs_calibration)


def _load_run(args: argparse.Namespace, *, needs_calibration: bool) -> "tuple[Source, Calibration | None]":
    from nasfpn_lite.converters.calibration import load_calibration
    from nasfpn_lite.converters.convert import Source
    from nasfpn_lite.data.coco import load_split
    from nasfpn_lite.runs import load_run

    run = load_run(Path(args.source))
    source = Source.from_run(run)
    if not needs_calibration:
        return source, None
    data = args.data or find_training_data(run.recipe, "int8 needs photos to calibrate with")
    split = load_split(data, "train", categories=run.categories, seed=int(run.recipe.get("seed", 0)))
    return source, load_calibration(
        split, run.spec, source=f"{data.resolve().name}/train", force=args.force or args.few_images
    )


def _convert_within(
    budget: "Budget",
    args: argparse.Namespace,
    source: "Source",
    targets: "list[Target]",
    calibration: "Calibration | None",
) -> "list[Judged]":
    from nasfpn_lite.converters.budget import convert_within_budget

    scoring = _scoring(args, source)
    commands = functools.partial(reproducing_commands, args, scoring.folder, scoring.split.name)
    return convert_within_budget(
        source, targets, scoring, budget, calibration=calibration, commands=commands, force=args.force
    )


def _scoring(args: argparse.Namespace, source: "Source") -> "Scoring":
    from nasfpn_lite.converters.budget import Scoring, choose_split
    from nasfpn_lite.data.coco import load_split
    from nasfpn_lite.runs import load_run

    data = args.data or find_training_data(load_run(Path(args.source)).recipe, "a budget needs photos to score")
    name = choose_split(data, args.budget_split)
    split = load_split(data, name, categories=source.categories, seed=source.split_seed or 0)
    return Scoring(data, split, threads=os.cpu_count() or 1, progress=show_progress if sys.stderr.isatty() else None)


def find_training_data(recipe: dict[str, Any], purpose: str) -> Path:
    """Returns the folder that a run was trained on, as its recipe.json has it.

    Args:
        purpose: What needs photos, for the error.

    Raises:
        UserError: The folder is not recorded, or gone.
    """
    recorded = recipe.get("data")
    if not recorded:
        raise UserError(f"{purpose}; give their COCO folder with --data DIR")
    if not Path(recorded).is_dir():
        raise UserError(
            f"{purpose}, but the folder that the run was trained on, {recorded}, is gone; give a COCO folder with "
            "--data DIR"
        )
    return Path(recorded)
