"""Say which of two .tflite files is faster on a phone: the ratio of their latencies, paired by round, with interval.

No winner is named where the interval holds 1. --from takes the two files out of a session that was measured before.
Exit codes and what is written are as for `android bench`.
"""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.android_bench.cli_common import (
    add_phone_arguments,
    add_runner_arguments,
    add_session_arguments,
)
from nasfpn_lite.android_bench.cli_fleet import report_errors, run_fleet
from nasfpn_lite.android_bench.compare_files import CompareError, FileRatio, compare_rounds, find_file, find_slow_int8
from nasfpn_lite.android_bench.fleet import EXIT_NOT_TRUSTWORTHY, EXIT_OK, Outcome, find_exit_code
from nasfpn_lite.android_bench.model_files import read_model_files
from nasfpn_lite.android_bench.page_words import describe_how, describe_trust, name_phone
from nasfpn_lite.android_bench.record_files import AnyResult, read_record
from nasfpn_lite.android_bench.records import SessionResult
from nasfpn_lite.android_bench.session import Control, measure
from nasfpn_lite.android_bench.session_options import SessionOptions
from nasfpn_lite.android_bench.session_page import write_page
from nasfpn_lite.cli.common import add_json_argument
from nasfpn_lite.cli.output import print_json

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("first", metavar="A", help="a .tflite file; with --from, its name in the session")
    parser.add_argument("second", metavar="B", help="another one")
    parser.add_argument(
        "--from", dest="session", type=Path, metavar="JSON", help="measure nothing: take both from this session's file"
    )
    add_phone_arguments(parser)
    add_runner_arguments(parser)
    add_session_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Measures, or reads what was measured, and prints the verdict."""
    if args.session is not None:
        result = read_record(args.session)
        if not isinstance(result, SessionResult):
            raise CompareError(f"expected the file of a session in {args.session}, got one of a sustained run")
        ratio = compare_rounds(result, find_file(result, args.first), find_file(result, args.second))
        if args.json:
            print_json([to_entry(result, ratio)])
        else:
            _print([(result, ratio)])
        return EXIT_NOT_TRUSTWORTHY if ratio.latency_ratio is None else EXIT_OK
    files = read_model_files([Path(args.first), Path(args.second)])

    def run_one(device: "Device", runner: "Runner", options: SessionOptions, control: Control) -> AnyResult:
        return measure(device, files, runner, options, control=control)

    outcomes = run_fleet(args, "compare", run_one)
    results = [outcome.result for outcome in outcomes if isinstance(outcome.result, SessionResult)]
    if results:
        logger.info("page: %s", write_page(args.output))
    found = {result.phone.serial: (result, compare_rounds(result, 0, 1)) for result in results}
    if args.json:
        print_json([_to_outcome_entry(outcome, found.get(outcome.serial)) for outcome in outcomes])
    else:
        _print(list(found.values()))
    report_errors(outcomes)
    return find_exit_code(outcomes)


_LABELS = ("phone", "how", "files", "origin")


def to_entry(result: SessionResult, ratio: FileRatio) -> dict[str, Any]:
    """Returns what --json prints of a phone: the ratio, and of the record all that a figure must not go without."""
    labels = {name: getattr(result, name) for name in _LABELS}
    return {"serial": result.phone.serial, "runner": result.how.runner, "ratio": ratio, "error": None, **labels}


def _to_outcome_entry(outcome: Outcome, found: tuple[SessionResult, FileRatio] | None) -> dict[str, Any]:
    if found is not None:
        return to_entry(*found)
    nothing = dict.fromkeys(("runner", "ratio", *_LABELS))
    return {"serial": outcome.serial, **nothing, "error": str(outcome.error)}


def _print(found: list[tuple[SessionResult, FileRatio]]) -> None:
    for result, ratio in found:
        print(f"{name_phone(result.phone)}: {describe_how(result.phone, result.how)}\n{ratio.text}")
        for note in describe_trust(result.verdict, result.how):
            print(f"note: {note}")
        for warning in find_slow_int8(result):
            print(f"warning: {warning}")
