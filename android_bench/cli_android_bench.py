"""Measure .tflite files on all attached phones at once, in interleaved rounds, one thread on one big core by default.

Writes one JSON file for each phone, and a page of all that lie in the same folder. Exit code 0: all figures are
trustworthy; 1: some are not; 2: a phone or a file failed; 130: interrupted. A session that was cut short goes on where
it ended when the same command is run again.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.android_bench.cli_common import (
    add_phone_arguments,
    add_runner_arguments,
    add_session_arguments,
)
from nasfpn_lite.android_bench.cli_fleet import report_errors, run_fleet
from nasfpn_lite.android_bench.compare_files import compare_all, compare_to_fastest, find_slow_int8
from nasfpn_lite.android_bench.fleet import Outcome, find_exit_code
from nasfpn_lite.android_bench.model_files import read_model_files
from nasfpn_lite.android_bench.page_parts import base_names
from nasfpn_lite.android_bench.page_words import describe_how, describe_trust, format_memory, format_ms, name_phone
from nasfpn_lite.android_bench.record_files import AnyResult
from nasfpn_lite.android_bench.records import FileFigures, SessionResult
from nasfpn_lite.android_bench.session import Control, measure
from nasfpn_lite.android_bench.session_options import SessionOptions
from nasfpn_lite.android_bench.session_page import write_page
from nasfpn_lite.android_bench.sustained import measure_sustained
from nasfpn_lite.android_bench.sustained_page import describe_ranking
from nasfpn_lite.android_bench.sustained_record import SustainedResult, describe_throttling
from nasfpn_lite.benchmarks.statistics import CONFIDENCE
from nasfpn_lite.cli.common import add_json_argument, positive_float
from nasfpn_lite.cli.output import Cell, format_table, print_json

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a .tflite file")
    parser.add_argument(
        "--sustained",
        type=positive_float,
        metavar="MINUTES",
        help="keep the phone busy for so long, and give latency over time instead",
    )
    add_phone_arguments(parser)
    add_runner_arguments(parser)
    add_session_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Measures, writes and prints."""
    files = read_model_files(args.files)

    def run_one(device: "Device", runner: "Runner", options: SessionOptions, control: Control) -> AnyResult:
        if args.sustained is None:
            return measure(device, files, runner, options, control=control)
        return measure_sustained(device, files, runner, options, minutes=args.sustained, control=control)

    outcomes = run_fleet(args, "bench" if args.sustained is None else "sustained", run_one)
    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    if results:
        logger.info("page: %s", write_page(args.output))
    if args.json:
        print_json(to_data(outcomes))
    else:
        for result in results:
            print(describe_result(result), end="\n\n")
    report_errors(outcomes)
    return find_exit_code(outcomes)


def to_data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Returns what --json prints."""
    return {
        "phones": [
            {
                "serial": outcome.serial,
                "file": outcome.file,
                "error": None if outcome.error is None else str(outcome.error),
                "result": outcome.result,
                "ratios": compare_all(outcome.result) if isinstance(outcome.result, SessionResult) else (),
            }
            for outcome in outcomes
        ]
    }


def describe_result(result: AnyResult) -> str:
    """Returns a phone's figures for people."""
    lines = [f"{name_phone(result.phone)}: {describe_how(result.phone, result.how)}"]
    lines += [f"not trustworthy: {reason}" for reason in result.reasons]
    lines += _describe_session(result) if isinstance(result, SessionResult) else _describe_sustained(result)
    lines += [f"note: {text}" for text in describe_trust(result.verdict, result.how)]
    if result.origin.resumed:
        lines.append(f"note: begun at {result.origin.started}, and gone on with after {result.origin.resumed} break(s)")
    lines += [f"note: {note}" for note in result.phone.notes]
    return "\n".join(lines)


def _describe_session(result: SessionResult) -> list[str]:
    headers = ("file", "ms (median)", "95% interval", "p90 ms", "init ms", "peak or +growth MB", "delegates", "runner")
    names = base_names([file.file for file in result.files])
    named = list(zip(names, result.files, strict=True))
    lines = [format_table(headers, [[name, *_to_row(file)] for name, file in named])]
    lines += [f"round {item.number} was discarded: {'; '.join(item.reasons)}" for item in result.discarded]
    if not result.reasons:
        lines += [f"{name} is not trustworthy: {'; '.join(file.reasons)}" for name, file in named if file.reasons]
    for name, file in named:
        if file.coverage is not None and (file.coverage.share or 0) < 1:
            known = file.coverage.share is not None
            told = f"delegates took {file.coverage.text}" if known else "the log does not tell what delegates took"
            lines.append(f"{name}: {told}")
    ratios = compare_to_fastest(result)
    lines += [ratio.text for ratio in ratios]
    if len(ratios) > 1:
        lines.append("any other two: `nasfpn-lite android compare A B --from JSON`, with the file of this session")
    return lines + [f"warning: {text}" for text in find_slow_int8(result)]


def _to_row(file: FileFigures) -> list[Cell]:
    if file.latency_ms_p50 is None or file.latency_ms_ci is None:
        return ["not trustworthy", *[None] * 5, file.runner]
    low, high = file.latency_ms_ci
    coverage = file.ci_coverage or 0.0
    return [
        format_ms(file.latency_ms_p50),
        f"{format_ms(low)}-{format_ms(high)}" + (f" ({coverage:.0%})" if coverage < CONFIDENCE else ""),
        None if file.latency_ms_p90 is None else f"{format_ms(file.latency_ms_p90)} (of {file.p90_of})",
        None if file.init_ms is None else f"{file.init_ms:.1f}",
        format_memory(file),
        None if file.coverage is None or file.coverage.share is None else f"{file.coverage.share:.0%}",
        file.runner,
    ]


def _describe_sustained(result: SustainedResult) -> list[str]:
    headers = ("file", "first minute ms", "last minute ms", "times as long", "runner")
    names = base_names([file.file for file in result.files])
    rows: list[list[Cell]] = [
        [name, format_ms(file.first_ms), format_ms(file.last_ms), f"{file.slowdown:.2f}", file.runner]
        for name, file in zip(names, result.files, strict=True)
    ]
    lines = [format_table(headers, rows)] if rows else []
    return [*lines, *describe_ranking(result), *describe_throttling(result)]
