"""`nasfpn-lite compare-runs`: several seeds of one recipe against several of another, and what is chance in it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.cli.common import add_json_argument, seed_number
from nasfpn_lite.cli.output import print_json, print_table

if TYPE_CHECKING:
    from nasfpn_lite.compare_runs import RunComparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="A", help="side A: run folders, one per seed, at least 2")
    parser.add_argument(
        "--against", nargs="+", type=Path, required=True, metavar="B", help="side B: run folders, one per seed"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder (see `data check`)")
    parser.add_argument("--split", default="test", help="train, val or test (default: %(default)s)")
    parser.add_argument(
        "--bootstrap",
        type=seed_number,
        default=1000,
        metavar="N",
        help="draws for the interval over photos, 0 for none (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also draw the seeds, as SVG")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluates all runs, compares and prints."""
    from nasfpn_lite.data.coco import find_splits
    from nasfpn_lite.errors import UserError
    from nasfpn_lite.run_sides import check_sides
    from nasfpn_lite.runs import load_run

    if args.output is not None and args.output.suffix.lower() != ".svg":
        raise UserError(f"the drawing is an SVG: expected a name that ends in .svg, got {args.output}")
    find_splits(args.data)  # a mistyped folder is told before Keras is loaded, which takes seconds
    sides = [[load_run(folder) for folder in side] for side in (args.runs, args.against)]
    differences = check_sides(*sides)
    from nasfpn_lite.compare_runs import compare_scored, score_runs

    scored = score_runs([*sides[0], *sides[1]], args.data, args.split)
    cut = len(sides[0])
    result = compare_scored(scored[:cut], scored[cut:], differences=differences, bootstrap=args.bootstrap)
    if args.output is not None:
        from nasfpn_lite.files import write_text_atomically
        from nasfpn_lite.seed_chart import draw_seeds

        write_text_atomically(args.output, draw_seeds(result))
    if args.json:
        names = {name: [str(run.folder) for run in side] for name, side in zip("AB", sides, strict=True)}
        print_json({"data": str(args.data), "split": args.split, "runs": names, **result.to_dict()})
    else:
        _print_comparison(result, args)
    return 0


def _print_comparison(result: "RunComparison", args: argparse.Namespace) -> None:
    rows = [
        (
            name,
            f"{mean.mean:.2f}",
            f"{mean.low:.2f}..{mean.high:.2f}",
            ", ".join(f"{seed}: {ap:.2f}" for seed, ap in sorted(values.items())),
        )
        for name, values, mean in zip("AB", result.values, result.means, strict=True)
    ]
    print(f"AP points on {result.images} photos of {args.data} ({args.split})\n")
    print_table(("side", "mean", "95 % interval", "by seed"), rows)
    test = result.test
    print(
        f"\nA less B: {test.difference:+.2f}, 95 % interval {test.interval[0]:+.2f}..{test.interval[1]:+.2f} by a "
        f"{test.method} with {test.degrees:.3g} degrees of freedom, p = {test.p_value:.3f}"
    )
    print(f"  assumed: {test.assumption}")
    if result.image_interval is not None:
        low, high = result.image_interval
        print(f"  over other photos, for these networks: {low:+.2f}..{high:+.2f} ({result.bootstrap} bootstrap draws)")
    for note in result.notes:
        print(f"  note: {note}")
    print("\nwhat differs: " + ("; ".join(result.differences) or "nothing but the seeds, as far as the runs tell"))
    print(f"\n{result.verdict}")
