"""What the verbs of `nasfpn-lite android` share: choosing phones and a runner, options of a session."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.session_options import (
    ACCEPTABLE,
    DEFAULT_ROUNDS,
    LEAST_ROUNDS,
    SessionError,
    SessionOptions,
)
from nasfpn_lite.android_bench.topology import CLUSTER_NAMES
from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.adb import Adb
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner, RunnerError

AUTO = "auto"
RUNNERS = (AUTO, "benchmark_model", "nasfpn_runner")
XNNPACK = {"on": True, "off": False, "runner": None}

# Of options that several verbs have.
CORES_HELP = f"cores to run on: {', '.join(CLUSTER_NAMES)}, or a mask in hex (default: %(default)s)"
THREADS_HELP = "threads of the runner (default: %(default)s)"
RUNS_HELP = "fewest runs in a turn (default: %(default)s)"
XNNPACK_HELP = (
    "let XNNPACK run what it can; `runner` leaves that to the runner, since some builds know no such switch (default: "
    "%(default)s)"
)
ACCEPT_HELP = f"take figures in spite of a doubt: {', '.join(ACCEPTABLE)}; repeatable, and named in the record"
OUTPUT_HELP = "folder for JSON files and the page (default: %(default)s)"

logger = logging.getLogger(__name__)


def add_phone_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --serial and --adb."""
    parser.add_argument(
        "-s", "--serial", action="append", help="a phone, as `android devices` names it; repeatable (default: all)"
    )
    parser.add_argument("--adb", type=Path, metavar="PATH", help="the program adb (default: the one on PATH)")


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --runner and --benchmark-binary."""
    parser.add_argument(
        "--runner",
        choices=RUNNERS,
        default=RUNNERS[0],
        help="what measures on the phone: TensorFlow's benchmark_model, or the project's own; auto: for each phone the "
        "first one that is there (default: %(default)s)",
    )
    parser.add_argument(
        "--benchmark-binary", type=Path, metavar="PATH", help="benchmark_model (default: the one litert-cli downloaded)"
    )


def add_session_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what becomes of `SessionOptions`, and where results go."""
    default = SessionOptions()
    add = parser.add_argument
    add("--cores", default=default.cores, help=CORES_HELP)
    add("--threads", type=positive_int, default=default.threads, help=THREADS_HELP)
    add(
        "--rounds",
        type=positive_int,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"how often each file has its turn, at least {LEAST_ROUNDS} (default: %(default)s)",
    )
    add("--runs", type=positive_int, default=default.runs, metavar="N", help=RUNS_HELP)
    _add_times(parser, default)
    add("--xnnpack", choices=list(XNNPACK), default="on", help=XNNPACK_HELP)
    add("--gpu", action="store_true", help="run on the GPU what it can; benchmark_model for Android alone knows how")
    add("--accept", action="append", default=[], choices=ACCEPTABLE, metavar="DOUBT", help=ACCEPT_HELP)
    add(
        "--min-coverage",
        type=float,
        default=default.min_coverage,
        metavar="SHARE",
        help="fail if delegates, or with --gpu the GPU, run less of the operators than this, 0 to 1 (default: "
        "%(default)g)",
    )
    add("-o", "--output", type=Path, default=Path("android_results"), metavar="DIR", help=OUTPUT_HELP)
    add("--restart", action="store_true", help="drop the journal of an unfinished session instead of going on with it")


def _add_times(parser: argparse.ArgumentParser, default: SessionOptions) -> None:
    """Adds how long a turn lasts, and how long to wait for the phone."""
    add = parser.add_argument
    add(
        "--warmup-runs",
        type=int,
        default=default.warmup_runs,
        metavar="N",
        help="fewest runs before those of a turn (default: %(default)s)",
    )
    add(
        "--min-seconds",
        type=float,
        default=default.min_s,
        metavar="S",
        help="go on with a turn's runs for so long at least (default: %(default)g)",
    )
    add(
        "--max-seconds",
        type=float,
        default=default.max_s,
        metavar="S",
        help="begin no run of a turn later (default: %(default)g)",
    )
    add(
        "--cool-below",
        type=float,
        default=default.cool_below_c,
        metavar="C",
        help="begin a round when skin and battery are below so many °C (default: %(default)g)",
    )
    add(
        "--wait-minutes",
        type=float,
        default=default.patience_s / 60,
        metavar="MIN",
        help="longest wait for a cool, quiet phone (default: %(default)g)",
    )
    add(
        "--repeats",
        type=int,
        default=default.repeats,
        metavar="N",
        help="rounds that may be discarded before the session gives up (default: %(default)s)",
    )


def to_options(args: argparse.Namespace) -> SessionOptions:
    """Returns what the arguments of `add_session_arguments` ask for."""
    return SessionOptions(
        threads=args.threads,
        cores=args.cores,
        rounds=args.rounds,
        runs=args.runs,
        warmup_runs=args.warmup_runs,
        min_s=args.min_seconds,
        max_s=args.max_seconds,
        xnnpack=XNNPACK[args.xnnpack],
        gpu=args.gpu,
        cool_below_c=args.cool_below,
        patience_s=60 * args.wait_minutes,
        repeats=args.repeats,
        accepted=tuple(dict.fromkeys(args.accept)),
        min_coverage=args.min_coverage,
    )


def open_adb(args: argparse.Namespace) -> "Adb":
    """Finds adb."""
    from nasfpn_lite.android_bench.adb import Adb

    return Adb(args.adb)


def list_serials(adb: "Adb", asked: list[str] | None) -> list[str]:
    """Returns the phones asked for, or all that are attached.

    One that is not ready is among them: it fails by itself, instead of being left out in silence.

    Raises:
        AdbError: None is attached.
    """
    if asked:
        return list(dict.fromkeys(asked))
    listed = adb.list_devices()
    if not listed:
        from nasfpn_lite.android_bench.adb import AdbError, Completed
        from nasfpn_lite.android_bench.adb_advice import NO_DEVICE_ADVICE

        call = Completed((str(adb.path), "devices", "-l"))
        raise AdbError("expected a phone; attached: none", call, NO_DEVICE_ADVICE)
    return [item.serial for item in listed]


def find_runner(args: argparse.Namespace, device: "Device") -> "Runner":
    """Finds the runner asked for, for this phone's processor.

    Raises:
        SessionError: --benchmark-binary names no file, or another runner than --runner; --gpu with our own.
        RunnerError: It is not there, or not for this processor.
    """
    gpu = getattr(args, "gpu", False)  # not every verb has it
    _check_binary(args.benchmark_binary, args.runner)
    if gpu and args.runner == "nasfpn_runner":
        raise SessionError("--gpu needs benchmark_model for Android: the project's own runner knows no GPU")
    from nasfpn_lite.android_bench.runners import RunnerError, find_benchmark_binary, find_own_runner

    abi = device.get_property("ro.product.cpu.abi") or "unknown"
    if args.runner == "nasfpn_runner":
        return find_own_runner(abi)
    try:
        return find_benchmark_binary(args.benchmark_binary, abi)
    except RunnerError as error:
        if args.runner != AUTO or gpu:
            raise
        return _find_substitute(device.serial, abi, error)


def _find_substitute(serial: str, abi: str, missing: "RunnerError") -> "Runner":
    """Finds the project's own runner where there is no benchmark_model.

    Raises:
        RunnerError: It cannot be had either; with what to do for both.
    """
    from nasfpn_lite.android_bench.runners import NoBenchmarkBinaryError, RunnerError, find_own_runner

    try:
        own = find_own_runner(abi)
    except UserError as error:
        raise RunnerError(f"there is nothing to measure with: {missing}\n{error}") from error
    if isinstance(missing, NoBenchmarkBinaryError):
        logger.info("%s: no benchmark_model found; using %s", serial, own.name)
    else:
        logger.info("%s: using %s: %s", serial, own.name, missing)
    return own


def _check_binary(path: Path | None, runner: str) -> None:
    """Checks a program that the user named: nothing else may take its place in silence."""
    if path is None:
        return
    if runner == "nasfpn_runner":
        raise SessionError(
            "--benchmark-binary names a benchmark_model, but --runner nasfpn_runner: leave one of them out"
        )
    if not path.is_file():
        raise SessionError(f"expected the program benchmark_model in {path}, but there is no such file")
