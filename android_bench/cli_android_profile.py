"""Where the time of a .tflite goes on a phone: by part and layer of the network, and by operator.

Turns with the runner's profiler alternate with turns without. Writes one JSON file for each phone, which `android
predict` is fitted on, and a page of all that lie in the same folder. --log reads the log of a run that was profiled by
other means. Exit code 1: the figures are not trustworthy; 2: a phone or the file failed; 130: interrupted.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from nasfpn_lite.android_bench.cli_common import (
    ACCEPT_HELP,
    CORES_HELP,
    OUTPUT_HELP,
    RUNS_HELP,
    THREADS_HELP,
    XNNPACK,
    XNNPACK_HELP,
    add_phone_arguments,
    add_runner_arguments,
    find_runner,
    list_serials,
    open_adb,
)
from nasfpn_lite.android_bench.fleet import EXIT_NOT_TRUSTWORTHY, EXIT_OK, EXIT_PHONE_FAILED, Place, reserve_phone
from nasfpn_lite.android_bench.layers import LayerTime, name_layers, sum_parts
from nasfpn_lite.android_bench.model_files import ModelFile, read_model_files
from nasfpn_lite.android_bench.op_profile import parse_profile
from nasfpn_lite.android_bench.page_words import describe_how, describe_trust, format_ms, name_phone
from nasfpn_lite.android_bench.profile_page import write_profile_page
from nasfpn_lite.android_bench.profile_record import LayerProfile, ProfileResult, make_layer_profile, write_profile
from nasfpn_lite.android_bench.profile_run import DEFAULT_TURNS, find_gaps, measure_profile
from nasfpn_lite.android_bench.session_options import ACCEPTABLE, SessionError, SessionOptions
from nasfpn_lite.cli.common import add_json_argument, positive_int
from nasfpn_lite.cli.output import format_table, print_json
from nasfpn_lite.errors import UserError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    default = SessionOptions()
    parser.add_argument("file", type=Path, metavar="FILE", help="a .tflite file")
    parser.add_argument("--log", type=Path, metavar="LOG", help="use no phone: read this log of a profiled run")
    parser.add_argument("--by", choices=("layer", "part"), default="layer", help="rows of the table (default: layer)")
    add_phone_arguments(parser)
    add_runner_arguments(parser)
    add = parser.add_argument
    add("--cores", default=default.cores, help=CORES_HELP)
    add("--threads", type=positive_int, default=default.threads, help=THREADS_HELP)
    add(
        "--turns",
        type=positive_int,
        default=DEFAULT_TURNS,
        metavar="N",
        help="turns with the profiler, and as many without (default: %(default)s)",
    )
    add("--runs", type=positive_int, default=default.runs, metavar="N", help=RUNS_HELP)
    add("--xnnpack", choices=list(XNNPACK), default="on", help=XNNPACK_HELP)
    add("--gpu", action="store_true", help=argparse.SUPPRESS)  # of `bench`, and refused here with the reason
    add("--accept", action="append", default=[], choices=ACCEPTABLE, metavar="DOUBT", help=ACCEPT_HELP)
    add("-o", "--output", type=Path, default=Path("android_results"), metavar="DIR", help=OUTPUT_HELP)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Profiles on one phone after another, writes and prints."""
    if args.gpu:
        raise SessionError(
            "--gpu cannot be profiled: rows of a GPU cannot be brought back to layers; `android bench --gpu` measures "
            "the whole file there, and without --gpu its profile is the CPU's"
        )
    (file,) = read_model_files([args.file])
    if args.log is not None:
        return _run_log(args)
    adb = open_adb(args)
    results: list[ProfileResult] = []
    failed = False
    for serial in list_serials(adb, args.serial):
        try:
            results.append(_profile_one(args, adb, serial, file))
        except UserError as error:
            failed = True
            logger.error("error: %s: %s", serial, error)
    if results:
        logger.info("page: %s", write_profile_page(args.output))
    if args.json:
        print_json(results)
    else:
        for result in results:
            print(_describe_result(args, result), end="\n\n")
    if failed:
        return EXIT_PHONE_FAILED
    return EXIT_NOT_TRUSTWORTHY if any(result.reasons for result in results) else EXIT_OK


def _profile_one(args: argparse.Namespace, adb: Any, serial: str, file: ModelFile) -> ProfileResult:
    from nasfpn_lite.android_bench.device import Device

    options = SessionOptions(
        threads=args.threads,
        cores=args.cores,
        runs=args.runs,
        xnnpack=XNNPACK[args.xnnpack],
        accepted=tuple(dict.fromkeys(args.accept)),
    )
    device = Device(adb, serial)
    device.check_ready()
    runner = find_runner(args, device)
    with reserve_phone(serial):
        result = measure_profile(device, runner, file, options, turns=args.turns)
    path = Place(args.output, serial, "profile").result_path(result.origin.finished)
    write_profile(path, result)
    logger.info("%s: %s", serial, path)
    return result


def _run_log(args: argparse.Namespace) -> int:
    try:
        rows = parse_profile(args.log.read_text(encoding="utf-8", errors="replace"))
    except UserError as error:
        raise UserError(f"{args.log}: {error}") from error
    profile = make_layer_profile(rows, name_layers(args.file))
    gaps = find_gaps(profile)
    if args.json:
        print_json({"file": args.file, "log": args.log, "reasons": gaps, "profile": profile})
    else:
        print("\n".join([f"{args.file}, from {args.log}", *_describe_profile(args, profile), *gaps]))
    return EXIT_NOT_TRUSTWORTHY if gaps else EXIT_OK


def _describe_result(args: argparse.Namespace, result: ProfileResult) -> str:
    lines = [f"{name_phone(result.phone)}: {describe_how(result.phone, result.how)}"]
    lines += [f"not trustworthy: {reason}" for reason in result.reasons]
    lines += [f"note: {text}" for text in describe_trust(result.verdict, result.how)]
    lines.append(f"{result.file}: {format_ms(result.latency_ms)} ms a run without the profiler\n")
    return "\n".join([*lines, *_describe_profile(args, result.profile)])


def _describe_profile(args: argparse.Namespace, profile: LayerProfile) -> list[str]:
    times = sum_parts(profile.layers) if args.by == "part" else profile.layers
    rows: list[LayerTime] = [*times]
    if profile.unmatched_ms > 0:
        rows.append(LayerTime("-", "in no layer surely", profile.unmatched_ms, 0))
    rows.append(LayerTime("all", "", profile.total_ms, sum(time.operators for time in times)))
    share = profile.total_ms or 1.0
    table = format_table(
        ("part", "layer", "ms", "share", "operators"),
        [(row.part, row.name, f"{row.ms:.3f}", f"{row.ms / share:.1%}", row.operators) for row in rows],
    )
    return [table, *(f"note: {problem}" for problem in profile.problems)]
