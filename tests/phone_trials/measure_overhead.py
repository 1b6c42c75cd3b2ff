"""Measures how long a whole session on a simulated x86_64 phone takes, and how much of it is the harness's own.

    python -m tests.phone_trials.measure_overhead FILE.tflite [--runs 50] [--cold] [-o overhead.json]

The harness's own is the wall time of `nasfpn-lite android bench`, Python's start included, less the time that the
runner takes for the same starts with the same flags on this machine without a phone. Wait for a quiet machine; the
processor time of the command and of adb holds on a busy one too. Exit code 1 where the first is above --limit.
"""

import argparse
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nasfpn_lite.android_bench.build_runner import build_runner
from nasfpn_lite.android_bench.record_files import read_record
from nasfpn_lite.android_bench.records import SessionResult
from nasfpn_lite.android_bench.runners import RunSettings, find_own_runner
from nasfpn_lite.android_bench.topology import mask_to_cores
from nasfpn_lite.cli.output import print_table
from nasfpn_lite.files import write_text_atomically
from tests.android_bench.phone.phone_rootfs import Rootfs, build_rootfs
from tests.android_bench.phone.phone_server import AdbServer
from tests.phone_trials.fault_trial import Seen, Trial

ABI = "x86_64"
OWN = "the harness's own (s)"
LIMIT_S = 2.0


def main() -> int:
    """Measures and prints."""
    args = _parse()
    rows: dict[str, float] = {}
    if args.cold:
        with tempfile.TemporaryDirectory() as folder:
            rows["building the runner, once (s)"] = time_call(lambda: build_runner(ABI, Path(folder, "runner")))
    find_own_runner(ABI)
    rootfs = build_rootfs(ABI)
    sessions = []
    for _ in range(args.repeats):
        session, result, cpu_s = take_session(args, rootfs)
        # Right beside the session, so that the machine is as busy.
        core, starts = find_core(result.phone.mask), list_starts(args, result)
        alone_s = sum(time_call(partial(run_alone, args.file, flags, core)) for flags in starts)
        turns_s = sum(turn.seconds for item in result.rounds for turn in item.turns)
        sessions.append((session.seconds, alone_s, session.seconds - alone_s, cpu_s, turns_s))
    names = ("whole session (s)", "the runner alone (s)", OWN, "processor time of it (s)", "turns, adb included (s)")
    rows |= {name: statistics.median(values) for name, values in zip(names, zip(*sessions, strict=True), strict=True)}
    print_table(("", f"median of {args.repeats}"), [(name, f"{value:.2f}") for name, value in rows.items()])
    if args.output:
        write_text_atomically(args.output, json.dumps({"rows": rows, "sessions": sessions}, indent=1) + "\n")
    return 1 if rows[OWN] > args.limit else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=50, help="in a turn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--min-seconds", type=float, default=1.0, help="of a turn's runs (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="sessions, each with a new phone (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds (default: %(default)s)")
    parser.add_argument("--cold", action="store_true", help="time the building of the runner too")
    parser.add_argument("-o", "--output", type=Path, metavar="JSON")
    return parser.parse_args()


def take_session(args: argparse.Namespace, rootfs: Rootfs) -> tuple[Seen, SessionResult, float]:
    """Starts an adb server and a phone, and runs the command; only that is timed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "adb").mkdir()
        server = AdbServer(Path(folder, "adb"))
        try:
            with Trial(rootfs, server, Path(folder)) as trial:
                trial.start_phone()
                return _bench(args, trial)
        finally:
            server.stop()


def _bench(args: argparse.Namespace, trial: Trial) -> tuple[Seen, SessionResult, float]:
    trial.model.write_bytes(args.file.read_bytes())
    options = f"--runs {args.runs} --rounds {args.rounds} --min-seconds {args.min_seconds}"
    before_s = read_children_cpu_s()  # the phone's own are counted when it stops
    seen = trial.bench(*shlex.split(options))
    cpu_s = read_children_cpu_s() - before_s
    if seen.exit_code:
        raise RuntimeError("\n".join(seen.lines))
    result = read_record(next((trial.folder / "out").glob("*.json")))
    if not isinstance(result, SessionResult) or result.discarded:
        raise RuntimeError(f"expected a session without discarded rounds, got {result}")
    return seen, result, cpu_s


def list_starts(args: argparse.Namespace, result: SessionResult) -> list[RunSettings]:
    """Returns the settings of every start of the runner in a session of one file: a warm-up, then the rounds."""
    warm_up = RunSettings(runs=1, warmup_runs=1, min_s=0.0, warmup_min_s=0.0, profile=True)
    least_s = args.min_seconds
    turn = RunSettings(runs=args.runs, warmup_runs=1, min_s=least_s, warmup_min_s=min(0.5, least_s))
    return [warm_up, *[turn] * len(result.rounds)]


def find_core(mask: str) -> int:
    """Returns the core of this machine that plays the phone's; see phone/bin/taskset."""
    own = sorted(os.sched_getaffinity(0))
    (core,) = mask_to_cores(mask)
    return own[core % len(own)]


def run_alone(file: Path, settings: RunSettings, core: int) -> None:
    """Runs the runner here, on the same core as on a phone, but without one."""
    runner = find_own_runner(ABI)
    program = next(path for path, name in runner.files.items() if name == runner.program)
    command = runner.command(str(program.parent), str(file), settings)
    words = [word for word in command if not word.startswith("--latencies_file")]
    subprocess.run(["taskset", "--cpu-list", str(core), *words], check=True, capture_output=True, timeout=600)


def read_children_cpu_s() -> float:
    """Returns the processor time of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def time_call(call: Callable[[], object]) -> float:
    """Returns the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
