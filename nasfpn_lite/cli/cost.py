"""`nasfpn-lite cost`: parameters and FLOPs of a variant."""

import argparse

from nasfpn_lite.cli.common import add_json_argument, add_variant_arguments, spec_from_args
from nasfpn_lite.cli.output import print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    add_variant_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Counts and prints."""
    spec = spec_from_args(args)
    from nasfpn_lite.cost import count_cost_of

    cost = count_cost_of(spec)
    result = {
        "variant": args.variant,
        "params": cost.params,
        "flops": cost.flops,
        "image_size": list(spec.image_size),
        "classes": spec.num_classes,
    }
    if args.json:
        print_json(result)
        return 0
    size = "x".join(str(side) for side in spec.image_size)
    row = (args.variant, size, spec.num_classes, f"{cost.params / 1e6:.3f} M", f"{cost.flops / 1e9:.3f} B")
    print_table(("variant", "size", "classes", "parameters", "FLOPs"), [row])
    return 0
