"""Train, convert, score and time a small detector, and write a report to look at.

Without --data a small set of photos is made by code; nothing is downloaded. A second call goes on where the first
one stopped.
"""

import argparse
from pathlib import Path

from nasfpn_lite.cli.common import add_json_argument, positive_int, seed_number
from nasfpn_lite.cli.output import print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="a COCO folder (default: a made set of photos)")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", default=Path("demo"), help="default: %(default)s")
    parser.add_argument("--variant", default="nasfpnlite_3x48", help="default: %(default)s")
    parser.add_argument("--size", help="pixels, S or HxW (default: small enough for two cores)")
    parser.add_argument("--preset", help="paper or finetune (default: a short training of the demo's own)")
    parser.add_argument("--epochs", type=positive_int, help="times through the photos, instead of the preset's")
    parser.add_argument("--seed", type=seed_number, default=0, help="default: %(default)s")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the demo and prints its figures."""
    import dataclasses

    from nasfpn_lite.benchmarks.demo import DemoOptions, find_recipe, run_demo

    options = DemoOptions(output=args.output, data=args.data, variant=args.variant, seed=args.seed)
    if args.size:
        options = dataclasses.replace(options, size=args.size)
    if args.preset is not None:
        options = dataclasses.replace(options, preset=args.preset, recipe=find_recipe(args.preset))
    if args.epochs is not None:
        options = dataclasses.replace(options, recipe=dataclasses.replace(options.recipe, epochs=args.epochs))
    results = run_demo(options)
    if args.json:
        print_json(results)
        return 0
    rows = [
        (Path(f["file"]).name, f["AP"], f["AP50"], f"{f['latency_ms_p50']:.2f}", f"{f['size_bytes'] / 1e6:.2f}")
        for f in results["files"]
    ]
    print_table(("file", "AP", "AP50", "ms", "MB"), rows)
    print(f"\nreport: {args.output / 'report.html'}")
    return 0
