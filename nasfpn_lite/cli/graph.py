"""`nasfpn-lite graph`: draws the pyramid of a variant, or a genotype, as the paper's figure 7 does."""

import argparse
from pathlib import Path

from nasfpn_lite.cli.common import add_genotype_argument
from nasfpn_lite.errors import UserError
from nasfpn_lite.specs import NeckSpec
from nasfpn_lite.variants import VARIANTS, get_spec

SUFFIXES = (".svg", ".png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("variant", metavar="VARIANT", help=f"one of {', '.join(VARIANTS)}")
    add_genotype_argument(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="picture: .svg or .png")


def run(args: argparse.Namespace) -> int:
    """Draws."""
    neck = get_spec(args.variant, genotype=args.genotype).neck
    if args.output.suffix.lower() not in SUFFIXES or args.output.is_dir():
        raise UserError(f"-o names the picture to write, FILE.svg or FILE.png, got {args.output}")
    from nasfpn_lite.pyramid_chart import write_chart
    from nasfpn_lite.pyramid_graph import graph_of_neck

    write_chart(graph_of_neck(neck), args.output, title=_title(args, neck))
    print(args.output)
    return 0


def _title(args: argparse.Namespace, neck: NeckSpec) -> str:
    name = args.variant if args.genotype is None else args.genotype.stem
    cells = "FPN" if neck.genotype is None else f"{len(neck.genotype.cells)} cells"
    stacked = f", the first of {neck.repeats} pyramids" if neck.kind == "fpn" and neck.repeats > 1 else ""
    stacked = f", stacked {neck.repeats} times" if neck.genotype is not None and neck.repeats > 1 else stacked
    return f"{name}: {cells}, P{neck.min_level} to P{neck.max_level}{stacked}"
