"""What quantization-aware training would do to each layer of a variant, before any training."""

import argparse
from pathlib import Path

from nasfpn_lite.cli.common import add_json_argument, add_variant_options, spec_from_args
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("--qat", metavar="VARIANT|RUN", required=True, help="a variant's name, or a run folder")
    add_variant_options(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the plan."""
    from nasfpn_lite.runs import load_run

    folder = Path(args.qat)
    if folder.is_dir() and (args.size or args.classes or args.genotype):
        raise UserError("--size, --classes and --genotype change a variant; a trained run keeps what it has")
    spec = load_run(folder).spec if folder.is_dir() else spec_from_args(args, variant=args.qat)
    # Keras takes seconds to come: mistakes in the command are told before.
    from nasfpn_lite.converters.qat_plan import plan_quantization
    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.folding import unshare

    plan = plan_quantization(build_detector(unshare(spec, {})[0], folded=True))
    if args.json:
        print_json({"layers": [layer.to_dict() for layer in plan]})
        return 0
    rows = [(p.name, p.kind, "int8 per channel" if p.weights else "", p.output, p.explanation) for p in plan]
    print_table(("layer", "kind", "weights", "output", "meaning"), rows)
    grids = sum(layer.output in ("learned", "fixed") for layer in plan)
    print(f"\n{len(plan)} layers, all covered: {sum(p.weights for p in plan)} kernels, {grids} grids of activations")
    return 0
