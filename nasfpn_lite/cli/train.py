"""`nasfpn-lite train`: from a folder of photos to a run folder."""

import argparse
import dataclasses
from contextlib import nullcontext
from pathlib import Path

from nasfpn_lite.cli.common import (
    add_json_argument,
    add_variant_options,
    positive_float,
    positive_int,
    seed_number,
    spec_from_args,
)
from nasfpn_lite.cli.output import native_output_on_stderr, print_json
from nasfpn_lite.cli.team import add_team_arguments, leaving_lost_peers, team_from_args
from nasfpn_lite.errors import UserError
from nasfpn_lite.preset_notes import PRESET_NOTES, describe_presets
from nasfpn_lite.specs import DetectorSpec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"presets:\n{describe_presets()}"
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder (see `data check`)")
    parser.add_argument("--variant", default="nasfpnlite_3x48", help="detector to train (default: %(default)s)")
    add_variant_options(parser)
    parser.add_argument("--preset", default="finetune", help=f"{', '.join(PRESET_NOTES)} (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="run folder to write")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--batch-size", type=int, help="instead of the preset's")
    parser.add_argument("--learning-rate", type=float, help="peak, instead of the preset's")
    parser.add_argument(
        "--accumulate", type=positive_int, metavar="N", help="compute each batch in N parts, to need less memory"
    )
    parser.add_argument(
        "--drop-block", type=positive_float, metavar="KEEP", help="DropBlock's keep probability; 1: no DropBlock"
    )
    parser.add_argument(
        "--exits", metavar="E", help="train the head after every pyramid (`every`) or after some, as 1,3,7: see README"
    )
    parser.add_argument("--exit-weights", metavar="W", type=_numbers, default=(), help="of the exits' losses: 1,1,2")
    parser.add_argument("--seed", type=seed_number, default=0, help="decides everything random (default: %(default)s)")
    parser.add_argument("--any-orientation", action="store_true", help="photos without an upside: turn them all ways")
    parser.add_argument("--no-pretrained", action="store_true", help="start from random weights")
    parser.add_argument("--backbone-weights", metavar="PATH", help=".npz or .h5 instead of the package's, or `keras`")
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), help="of the arithmetic")
    parser.add_argument("--tensorboard", action="store_true", help="also write RUN/tensorboard")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run of the same options")
    add_team_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Trains."""
    spec = with_exits(spec_from_args(args), args.exits)
    team = team_from_args(args)
    from nasfpn_lite.data.coco import find_splits, load_split
    from nasfpn_lite.recipes import PRESETS, RecipeError

    if args.preset not in PRESETS:
        raise RecipeError(f"unknown preset {args.preset!r}; there are {', '.join(PRESETS)}")
    if args.classes is not None:
        found = len(load_split(args.data, "train", seed=args.seed).categories)
        if args.classes != found:
            raise UserError(f"--classes says {args.classes}, but {args.data} has {found}; leave --classes out")
    recipe = PRESETS[args.preset]
    names = ("epochs", "batch_size", "learning_rate", "precision", "accumulate")
    changes = {"drop_block_keep": args.drop_block, **{name: getattr(args, name) for name in names}}
    recipe = dataclasses.replace(recipe, **{name: value for name, value in changes.items() if value is not None})
    recipe = dataclasses.replace(recipe, exit_weights=args.exit_weights)
    if args.any_orientation:
        turned = dataclasses.replace(recipe.augment, vertical_flip=True, rotate_90=True)
        recipe = dataclasses.replace(recipe, augment=turned)
    find_splits(args.data)  # a mistyped folder is told before Keras is loaded, which takes seconds
    from nasfpn_lite.train import TrainingJob, train

    job = TrainingJob(
        data=args.data,
        spec=spec,
        recipe=recipe,
        preset=args.preset,
        variant=args.variant,
        seed=args.seed,
        backbone_weights=None if args.no_pretrained else args.backbone_weights or "imagenet",
    )
    with native_output_on_stderr() if team.processes > 1 else nullcontext(), leaving_lost_peers():
        result = train(job, args.output, resume=args.resume, tensorboard=args.tensorboard, team=team)
    if team.process_id:
        return 0  # the first process speaks for all
    if args.json:
        print_json({"run": str(result.folder), "categories": [c.name for c in result.categories]})
    else:
        print(result.folder)
    return 0


def with_exits(spec: DetectorSpec, exits: str | None) -> DetectorSpec:
    """Returns the spec with exits after `every` pyramid, or after those of a list such as 1,3,7; None for none."""
    if exits is None:
        return spec
    if exits == "every":
        return dataclasses.replace(spec, exits=tuple(range(1, spec.neck.repeats + 1)))
    numbers = exits.split(",")
    if not all(number.isdecimal() for number in numbers):
        raise UserError(f"--exits takes `every` or pyramids counted from 1, as 1,3,7, got {exits!r}")
    return dataclasses.replace(spec, exits=tuple(int(number) for number in numbers))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers as 1,1,2, got {text!r}") from error
