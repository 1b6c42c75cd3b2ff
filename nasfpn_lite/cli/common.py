"""Options that several verbs share, worded once."""

import argparse
import math
from pathlib import Path

from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.variants import VARIANTS, get_spec

LARGEST_SEED = 2**32 - 1


def positive_int(text: str) -> int:
    """Reads a whole number of at least 1, as argparse's `type`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def positive_float(text: str) -> float:
    """Reads a finite number above 0, as argparse's `type`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def seed_number(text: str) -> int:
    """Reads a seed of 0..2**32-1, which is what every generator in use can take, as argparse's `type`."""
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"expected a whole number in 0..{LARGEST_SEED}, got {text!r}")
    return int(text)


def add_variant_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the positional VARIANT and what can be changed of it."""
    parser.add_argument("variant", metavar="VARIANT", help=f"one of {', '.join(VARIANTS)}")
    add_variant_options(parser)


def add_variant_options(parser: argparse.ArgumentParser) -> None:
    """Adds --size, --classes and --genotype, for verbs that name the variant in their own way."""
    group = parser.add_argument_group("changes to the variant")
    group.add_argument("--size", metavar="S", help="input size in pixels: S or HxW, multiples of 64")
    group.add_argument("--classes", metavar="N", type=positive_int, help="number of classes, without background")
    group.add_argument("--genotype", metavar="FILE", type=Path, help="JSON file with the graph of the NAS-FPN neck")


def spec_from_args(args: argparse.Namespace, *, variant: str | None = None) -> DetectorSpec:
    """Builds the spec that the options ask for.

    Args:
        variant: Name to look up; None for `args.variant`.

    Raises:
        SpecError: The name is unknown, or an option does not fit the variant.
    """
    name = args.variant if variant is None else variant
    return get_spec(name, size=args.size, num_classes=args.classes, genotype=args.genotype)


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --json: the figures as one JSON document on stdout."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
