"""Quantization-aware training of a run: train on int8 grids, then make the .tflite files.

Batch normalizations are folded into convolutions before the first step, so their statistics are frozen throughout. The
training does not start if the network on its grids is far worse than in float.
"""

import argparse
import dataclasses
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.cli import PROGRAM
from nasfpn_lite.cli.common import add_json_argument, positive_int, seed_number
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.converters.cli_budget import (
    add_budget_arguments,
    budget_from_args,
    checking_commands,
    permission_again,
    print_comparison,
    print_judged,
)
from nasfpn_lite.converters.qat_recipe import QAT_FOLDER, QatJob, QatRecipe
from nasfpn_lite.converters.recipes import QAT
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.compare import Budget
    from nasfpn_lite.converters.budget import Judged, Scoring
    from nasfpn_lite.converters.calibration import Calibration
    from nasfpn_lite.converters.convert import Source, Target
    from nasfpn_lite.data.records import Split

_CHEAPER = "static_wi8_ai8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    recipe = QatRecipe()
    parser.add_argument("run", metavar="RUN", type=Path, help="run folder of `train`")
    parser.add_argument("--recipe", metavar="R", choices=(QAT.name,), default=QAT.name, help="%(choices)s")
    parser.add_argument("--form", nargs="+", choices=("raw", "detect"), default=["raw"], help="as for `convert`")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="for the files (default: RUN/quantized)")
    parser.add_argument("--data", metavar="DIR", type=Path, help="photos to train on and to score (default: the run's)")
    parser.add_argument("--epochs", type=positive_int, default=recipe.epochs, help="default: %(default)s")
    parser.add_argument("--batch-size", type=positive_int, default=recipe.batch_size, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=recipe.learning_rate, help="default: %(default)s")
    parser.add_argument("--seed", type=seed_number, default=0, help="decides everything random (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted training of the same options")
    parser.add_argument("--few-images", action="store_true", help="as for `convert`")
    parser.add_argument("--force", action="store_true", help="overwrite files; implies --few-images")
    parser.add_argument(
        "--advise", action="store_true", help=f"only tell whether {_CHEAPER} is within the budget, with no training"
    )
    add_budget_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Trains, converts and prints what was made."""
    from nasfpn_lite.converters.certificate import certificate_path
    from nasfpn_lite.converters.cli_convert import find_training_data
    from nasfpn_lite.converters.convert import Source, Target, check_free, convert_all
    from nasfpn_lite.converters.quantize import train_on_grids
    from nasfpn_lite.runs import load_run

    trained = load_run(args.run)
    budget = budget_from_args(args)
    data = args.data or find_training_data(trained.recipe, "training on int8 grids needs photos")
    if args.advise:
        if budget is None:
            raise UserError("--advise compares with a budget; add --max-ap-drop, for example 0.5 points")
        return _advise(args, Source.from_run(trained), _scoring(data, args, Source.from_run(trained)), budget)
    recipe = QatRecipe(epochs=args.epochs, batch_size=args.batch_size, learning_rate=args.learning_rate)
    job = QatJob(args.run.resolve(), data.resolve(), recipe, seed=args.seed, force=args.force or args.few_images)
    output = args.output or args.run / "quantized"
    name = args.run.resolve().name
    targets = [Target(QAT.name, form, output / f"{name}_{QAT.name}_{form}.tflite") for form in dict.fromkeys(args.form)]
    paths = [target.path for target in targets]
    certificates = [certificate_path(path) for path in paths]
    check_free([*paths, *(certificates if budget else [])], force=args.force)
    if not args.resume:  # what is wrong with the photos is told now, not by the training's process
        _load_photos(data, Source.from_run(trained), force=args.force or args.few_images)
    scoring = _scoring(data, args, Source.from_run(trained)) if budget else None
    source = train_on_grids(job, output / QAT_FOLDER, resume=args.resume)
    if budget is not None and scoring is not None:
        judged = _convert_within(args, source, targets, scoring, budget)
        return print_judged(judged, as_json=args.json)
    made = convert_all(source, targets, force=args.force)
    for certificate in certificates:
        certificate.unlink(missing_ok=True)  # it spoke of the file that was there before
    if args.json:
        print_json({"files": [dataclasses.asdict(file) for file in made]})
        return 0
    print_table(("file", "size"), [(str(f.path), f"{f.size_bytes / 1e6:.2f} MB") for f in made])
    return 0


def _scoring(data: Path, args: argparse.Namespace, source: "Source") -> "Scoring":
    from nasfpn_lite.converters.budget import Scoring, choose_split
    from nasfpn_lite.converters.cli_eval import show_progress
    from nasfpn_lite.data.coco import load_split

    name = choose_split(data, args.budget_split)
    split = load_split(data, name, categories=source.categories, seed=source.split_seed or 0)
    return Scoring(data, split, threads=os.cpu_count() or 1, progress=show_progress if sys.stderr.isatty() else None)


def _convert_within(
    args: argparse.Namespace, source: "Source", targets: "list[Target]", scoring: "Scoring", budget: "Budget"
) -> "list[Judged]":
    from nasfpn_lite.converters.budget import convert_within_budget

    def commands(target: "Target") -> dict[str, str]:
        options = [("epochs", args.epochs), ("batch-size", args.batch_size), ("learning-rate", args.learning_rate)]
        options += [("seed", args.seed), ("form", target.form), ("max-ap-drop", args.max_ap_drop)]
        options += [("max-class-drop", args.max_class_drop), ("budget-split", scoring.split.name)]
        chosen = [f"--{name}={value}" for name, value in options if value is not None]
        where = ["--data", str(scoring.folder), "-o", str(target.path.parent / "again")]
        force = permission_again(args)
        return {
            "file, differences and intervals": shlex.join(
                [PROGRAM, "quantize", str(args.run), *where, *chosen, *force, "--json"]
            ),
            **checking_commands(str(args.run), target, scoring.folder, scoring.split.name, *force),
        }

    photos, calibration = _load_photos(scoring.folder, source, force=args.force or args.few_images)
    judged = []
    for target in targets:  # each form has a float32 file of its own form beside it
        judged += convert_within_budget(
            source,
            [target],
            scoring,
            budget,
            calibration=calibration,
            commands=commands,
            training=photos,
            force=True,
        )
    return judged


def _load_photos(folder: Path, source: "Source", *, force: bool) -> "tuple[Split, Calibration]":
    """Returns the photos to train on, and those of them that ranges are measured on."""
    from nasfpn_lite.converters.calibration import load_calibration
    from nasfpn_lite.data.coco import load_split

    photos = load_split(folder, "train", categories=source.categories, seed=source.split_seed or 0)
    return photos, load_calibration(photos, source.spec, source=f"{folder.resolve().name}/train", force=force)


def _advise(args: argparse.Namespace, source: "Source", scoring: "Scoring", budget: "Budget") -> int:
    """Converts without training into a folder that is thrown away, and says whether that is enough."""
    from nasfpn_lite.converters.budget import convert_within_budget
    from nasfpn_lite.converters.convert import Target

    _, calibration = _load_photos(scoring.folder, source, force=args.force or args.few_images)
    with tempfile.TemporaryDirectory() as folder:
        target = Target(_CHEAPER, "raw", Path(folder) / f"{_CHEAPER}.tflite")
        judged = convert_within_budget(
            source, [target], scoring, budget, calibration=calibration, commands=lambda target: {}, force=True
        )[0]
    judgement = judged.judgement
    if args.json:
        print_json(
            {
                "recipe": _CHEAPER,
                "within_budget": judgement.within_budget,
                "violations": list(judgement.violations),
                "comparison": judgement.comparison.to_dict(),
            }
        )
        return 0
    print_comparison(_CHEAPER, args.run, judgement.comparison)
    for violation in judgement.violations:
        print(violation)
    if judgement.within_budget:
        print(f"{_CHEAPER} is within the budget: no training is needed; make it with `{PROGRAM} convert`")
    else:
        print(f"{_CHEAPER} is over the budget: train on int8 grids with `{PROGRAM} quantize` and the same budget")
    return 0
