"""`convert --auto`: an int8 file with as few stages in float as an AP budget allows, and what each of them costs."""

import argparse
import functools
import sys
from typing import TYPE_CHECKING, Any

from nasfpn_lite.cli import EXIT_OVER_BUDGET
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.converters.cli_budget import print_comparison, reproducing_commands
from nasfpn_lite.converters.recipes import SELECTIVE
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.compare import Budget
    from nasfpn_lite.converters.boundary import Boundary
    from nasfpn_lite.converters.budget import Scoring
    from nasfpn_lite.converters.calibration import Calibration
    from nasfpn_lite.converters.convert import Source, Target

_PLAIN = "static_wi8_ai8"


def add_auto_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --auto."""
    parser.add_argument(
        "--auto",
        action="store_true",
        help=f"with {_PLAIN} and a budget: find the fewest stages to keep in float ({SELECTIVE.name}); takes minutes",
    )


def check_auto(args: argparse.Namespace, budget: "Budget | None") -> None:
    """Refuses what --auto cannot work with, before anything is read.

    Raises:
        UserError: Another recipe, no budget, or random weights.
    """
    if list(dict.fromkeys(args.recipe)) != [_PLAIN]:
        raise UserError(f"--auto begins with int8: expected --recipe {_PLAIN}, got {' '.join(args.recipe)}")
    if budget is None:
        raise UserError("--auto keeps a budget; add --max-ap-drop, for example 0.5 points")
    if args.random_weights:
        raise UserError("random weights have no AP to lose; leave --auto out, or give the run of a training")


def run_auto(
    source: "Source",
    plain: "Target",
    scoring: "Scoring",
    budget: "Budget",
    calibration: "Calibration",
    args: argparse.Namespace,
) -> int:
    """Searches, prints what was found, and returns the exit code."""
    from nasfpn_lite.converters.boundary import convert_automatically

    end = f"_{plain.form}.tflite"
    selective_name = f"{plain.path.name.removesuffix(_PLAIN + end)}{SELECTIVE.name}{end}"
    boundary = convert_automatically(
        source,
        (plain, selective_name),
        scoring,
        budget,
        calibration=calibration,
        commands=functools.partial(reproducing_commands, args, scoring.folder, scoring.split.name),
        say=lambda line: print(line, file=sys.stderr, flush=True),
        force=args.force,
    )
    if args.json:
        print_json(to_dict(boundary))
    elif boundary.judged.judgement.within_budget:
        _print(boundary)
    return report_failure(boundary)


def report_failure(boundary: "Boundary") -> int:
    """Says on stderr what even float stages lose beyond the budget; returns the exit code."""
    judgement = boundary.judged.judgement
    if judgement.within_budget:
        return 0
    reasons = "\n".join(f"  {violation}" for violation in judgement.violations)
    print(
        f"over budget even with every stage in float, not written; allow more, or train longer\n{reasons}",
        file=sys.stderr,
    )
    return EXIT_OVER_BUDGET


def to_dict(boundary: "Boundary") -> dict[str, Any]:
    """Returns what JSON can hold."""
    judged = boundary.judged
    return {
        **vars(judged.converted),
        "kept": judged.judgement.within_budget,
        "violations": list(judged.judgement.violations),
        "budget": judged.judgement.budget,
        "comparison": judged.judgement.comparison.to_dict(),
        "float_stages": [vars(stage) for stage in boundary.stages],
        "latency_ms": boundary.latency_ms,
        "tried": boundary.tried,
    }


def _print(boundary: "Boundary") -> None:
    converted, latency_ms = boundary.judged.converted, boundary.latency_ms
    this_ms = latency_ms["this file"]
    print_comparison(converted.recipe, converted.path, boundary.judged.judgement.comparison)
    if boundary.stages:
        print(f"kept in float: {len(boundary.stages)} (none can be left out); files scored: {boundary.tried}")
        rows = [
            (
                s.stage,
                f"{s.error_share:.1%}",
                f"{this_ms:.2f} ms",
                f"{s.latency_ms_without:.2f} ms",
                f"{this_ms - s.latency_ms_without:+.2f} ms",
            )
            for s in boundary.stages
        ]
        print_table(("stage in float", "share of error", "latency with it", "without it", "its cost"), rows)
    else:
        print("plain int8 is within the budget: nothing is kept in float")
    print()
    print_table(("one thread, median", "latency"), [(name, f"{ms:.2f} ms") for name, ms in latency_ms.items()])
