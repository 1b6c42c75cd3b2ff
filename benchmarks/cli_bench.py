"""Measure the latency and memory of .tflite files on this machine, side by side in interleaved rounds.

Any .tflite file will do. End to end, one of this project's own is timed from photo to boxes, another's to its outputs.
"""

import argparse
import itertools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.benchmarks.record import DEFAULT_ROUNDS, BenchOptions
from nasfpn_lite.cli.common import add_json_argument, positive_int
from nasfpn_lite.cli.output import print_json, print_table

if TYPE_CHECKING:
    from nasfpn_lite.benchmarks.record import BenchReport

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a .tflite file")
    parser.add_argument("--threads", type=positive_int, default=1, help="of the interpreter (default: %(default)s)")
    parser.add_argument(
        "--rounds",
        type=positive_int,
        default=DEFAULT_ROUNDS,
        help="turns of each file, 6 or more (default: %(default)s)",
    )
    parser.add_argument("--image", type=Path, help="photo for the end-to-end time (default: a made scene, 640x480)")
    parser.add_argument("--no-end-to-end", action="store_true", help="measure the network alone")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Measures and prints."""
    from nasfpn_lite.benchmarks.bench import bench

    options = BenchOptions(
        threads=args.threads, rounds=args.rounds, image=args.image, end_to_end=not args.no_end_to_end
    )
    report = bench(args.files, options, progress=logger.debug)
    if args.json:
        print_json(report)
    else:
        print_report(report)
    for result in report.results:
        for warning in result.warnings:
            logger.warning("not trustworthy: %s: %s", result.file, warning)
    return 0


def print_report(report: "BenchReport") -> None:
    """Prints a table of the files and, for more than one, their ratios."""
    print_table(
        ("file", "ms (median)", "95 % interval", "p90 ms", "to boxes ms", "init ms", "peak MB", "file MB", "GMAdd/s"),
        [
            (
                Path(r.file).name,
                f"{r.latency_ms_p50:.2f}",
                f"{r.latency_ms_ci[0]:.2f}-{r.latency_ms_ci[1]:.2f}",
                f"{r.latency_ms_p90:.2f}",
                None if r.end_to_end_ms_p50 is None else f"{r.end_to_end_ms_p50:.2f}",
                f"{r.init_ms:.1f}",
                f"{r.peak_memory_bytes / 1e6:.0f}",
                f"{r.size_bytes / 1e6:.2f}",
                None if r.gmadds_per_s is None else f"{r.gmadds_per_s:.1f}",
            )
            for r in report.results
        ],
    )
    exits = [
        (Path(r.file).name, number, f"{ended:.2f}", f"{ended - before:.2f}")
        for r in report.results
        for number, (before, ended) in enumerate(itertools.pairwise((0.0, *r.exits_ms_p50)), start=1)
    ]
    if exits:
        print()
        print_table(("file", "exit", "ms (median)", "its own ms"), exits)
    if report.ratios:
        print()
        print_table(
            ("file", "against", "latency ratio", "95 % interval"),
            [
                (
                    Path(r.file).name,
                    Path(r.to).name,
                    r.latency_ratio,
                    f"{r.latency_ratio_ci[0]:.3f}-{r.latency_ratio_ci[1]:.3f}",
                )
                for r in report.ratios
            ],
        )
    machine = report.machine
    print(f"\n{machine.cpu}, {machine.cores} cores, {report.results[0].threads} thread(s), load {machine.load_average}")
