"""Whether three programs that have nothing in common agree on the latency of a .tflite file on this computer.

    python -m nasfpn_lite.android_bench.cross_check FILE [--rounds 21] [-o RESULT.json]

They are the project's runner for phones, litert-benchmark of the ai-edge-litert wheel, and `nasfpn-lite bench`. Each
gets one thread, the same core, XNNPACK, random input, and as many runs after as long a warm-up; they take turns, and
each round begins with another one. What counts are the ratios within a round. Exit code 0: the 95 % interval of every
ratio lies within 5 %; 1: one does not, either because two programs are apart ("NO"), or because the machine is too busy
to tell ("unclear": wait, or take more rounds).
"""

import argparse
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.android_bench.bench_log import parse_latencies, parse_log
from nasfpn_lite.android_bench.runners import LATENCIES_FILE, RunSettings, find_own_runner
from nasfpn_lite.benchmarks.bench import WARM_UP_SECONDS, bench
from nasfpn_lite.benchmarks.record import BenchOptions, Machine, read_machine
from nasfpn_lite.benchmarks.statistics import Estimate, estimate_median, percentile
from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.cli.output import print_table, to_plain
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically

MAX_DIFFERENCE = 0.05
TURN_S = 0.5  # of timed runs: the shorter, the more alike are the moments of a round
LEAST_RUNS = 11
LEAST_MS = 0.5
_ABI = "x86_64"
_TIMEOUT_S = 300.0


class CrossCheckError(UserError):
    """One of the programs is not here, or failed."""


@dataclass(frozen=True)
class Amount:
    """What each program does in a turn: about the same, though one of them counts seconds and not runs."""

    runs: int
    warmup_runs: int
    seconds: float


@dataclass(frozen=True)
class Agreement:
    """Two programs beside each other.

    Attributes:
        ratio: Median over rounds of the first one's latency by the second one's.
        ratio_ci: Its 95 % interval; of fewer than six rounds, less than that.
    """

    first: str
    second: str
    ratio: float
    ratio_ci: tuple[float, float]

    @property
    def verdict(self) -> str:
        """Whether they are at most MAX_DIFFERENCE apart, whichever is the slower: "yes", "NO", "unclear"."""
        within = [max(ratio, 1 / ratio) <= 1 + MAX_DIFFERENCE for ratio in self.ratio_ci]
        if all(within):
            return "yes"
        low, high = self.ratio_ci
        return "NO" if low > 1 + MAX_DIFFERENCE or high < 1 / (1 + MAX_DIFFERENCE) else "unclear"


@dataclass(frozen=True)
class CrossCheck:
    """What `check` found; latencies in ms, the median of each round."""

    file: str
    amount: Amount
    core: int | None
    rounds_ms: dict[str, list[float]]
    agreements: tuple[Agreement, ...]
    machine: Machine


Way = Callable[[Path, Amount], float]


def check(file: Path, rounds: int, ways: Mapping[str, Way] | None = None) -> CrossCheck:
    """Measures a file by all programs in turn, round after round.

    Args:
        ways: Name -> what gives a file's median latency in ms; None for the three.
    """
    ways = ways or {"nasfpn_runner": by_own_runner, "litert-benchmark": by_litert, "nasfpn-lite bench": by_bench}
    machine = read_machine()
    rounds_ms: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    with pin_to_core() as core:
        amount = choose_amount(ways[names[0]](file, Amount(LEAST_RUNS, 1, TURN_S)))
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            first = number % len(names)  # else what drifts within a round would fall on the same one in all of them
            for name in (*names[first:], *names[:first]):
                rounds_ms[name].append(ways[name](file, amount))
    agreements = tuple(_compare(first, second, rounds_ms) for first, second in itertools.combinations(ways, 2))
    return CrossCheck(str(file), amount, core, rounds_ms, agreements, machine)


def choose_amount(latency_ms: float) -> Amount:
    """Returns what takes about TURN_S after the warm-up that `nasfpn-lite bench` does."""
    runs = max(LEAST_RUNS, round(TURN_S * 1e3 / latency_ms))
    return Amount(runs, math.ceil(WARM_UP_SECONDS * 1e3 / latency_ms), runs * latency_ms / 1e3)


@contextmanager
def pin_to_core() -> Iterator[int | None]:
    """Lets this process, and what it starts, run on one core: the last it may use. None where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield max(before)
    finally:
        os.sched_setaffinity(0, before)


def by_own_runner(file: Path, amount: Amount) -> float:
    """Returns the median latency in ms by the project's runner, started as on a phone."""
    runner = find_own_runner(_ABI)
    home = next(path for path, name in runner.files.items() if name == runner.program).parent
    with tempfile.TemporaryDirectory() as folder:
        latencies = Path(folder, LATENCIES_FILE)
        settings = RunSettings(runs=amount.runs, warmup_runs=amount.warmup_runs, min_s=0.0, warmup_min_s=0.0)
        command = runner.command(str(home), str(file), settings)
        command = [
            *(word for word in command if not word.startswith("--latencies_file=")),
            f"--latencies_file={latencies}",
        ]
        done = _run(command)
        parse_log(done.stdout, done.stderr)  # names every way in which it only seemed to run
        return percentile(parse_latencies(latencies.read_text(encoding="ascii")), 50)


def by_litert(file: Path, amount: Amount) -> float:
    """Returns the median latency in ms by litert-benchmark."""
    program = shutil.which("litert-benchmark", path=str(Path(sys.executable).parent)) or shutil.which(
        "litert-benchmark"
    )
    if program is None:
        raise CrossCheckError("expected litert-benchmark beside this Python: pip install ai-edge-litert")
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        counts = [f"--num_runs={amount.runs}", f"--warmup_runs={amount.warmup_runs}", "--num_threads=1"]
        _run([program, f"--model={file}", *counts, f"--result_json={result}"])
        latency_ms = float(json.loads(result.read_text(encoding="utf-8"))["latency"]["median_ms"])
    if latency_ms < LEAST_MS:
        raise CrossCheckError(f"{file} takes {latency_ms} ms, and litert-benchmark rounds to 0.01: name a slower one")
    return latency_ms


def by_bench(file: Path, amount: Amount) -> float:
    """Returns the median latency in ms by `nasfpn-lite bench`."""
    options = BenchOptions(threads=1, rounds=1, turn_seconds=amount.seconds, end_to_end=False)
    return bench([file], options).results[0].latency_ms_p50


def _compare(first: str, second: str, rounds_ms: Mapping[str, Sequence[float]]) -> Agreement:
    pairs = zip(rounds_ms[first], rounds_ms[second], strict=True)
    found: Estimate = estimate_median([a / b for a, b in pairs])
    return Agreement(first, second, found.median, (found.low, found.high))


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise CrossCheckError(f"{Path(command[0]).name} ended with exit code {done.returncode}: {said}")
    return done


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, and says by the exit code whether they agree."""
    parser = argparse.ArgumentParser(description="Hold three programs that measure latency against each other.")
    parser.add_argument("file", type=Path, help="a .tflite file")
    parser.add_argument("--rounds", type=positive_int, default=21, help="default: %(default)s")
    parser.add_argument("-o", "--output", type=Path, metavar="JSON", help="write all figures there")
    args = parser.parse_args(argv)
    try:
        if not args.file.is_file():
            raise CrossCheckError(f"expected a .tflite file in {args.file}, but there is no such file")
        found = check(args.file.absolute(), args.rounds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_table(("program", "ms"), [(name, percentile(times, 50)) for name, times in found.rounds_ms.items()])
    rows = [
        (f"{a.first} / {a.second}", a.ratio, f"{a.ratio_ci[0]:.3f} to {a.ratio_ci[1]:.3f}", a.verdict)
        for a in found.agreements
    ]
    print_table(("ratio", "median", "95 % interval", f"within {MAX_DIFFERENCE:.0%}"), rows)
    if args.output is not None:
        write_text_atomically(args.output, json.dumps(to_plain(found), indent=1) + "\n")
    return 0 if all(agreement.verdict == "yes" for agreement in found.agreements) else 1


if __name__ == "__main__":
    sys.exit(main())
