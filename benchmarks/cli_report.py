"""Write report.html of a run folder again, from what the folder holds."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a run folder, as `demo` or `train` leaves it")


def run(args: argparse.Namespace) -> int:
    """Writes the report and prints its path."""
    from nasfpn_lite.benchmarks.report import write_report

    print(write_report(args.run_folder))
    return 0
