"""Latency of .tflite files on this machine, measured side by side in interleaved rounds."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from nasfpn_lite.benchmarks.record import (
    BenchError,
    BenchOptions,
    BenchReport,
    BenchResult,
    PairRatio,
    read_machine,
)
from nasfpn_lite.benchmarks.statistics import Estimate, estimate_median, percentile
from nasfpn_lite.converters.processes import package_environment

WARM_UP_SECONDS = 0.3
LEAST_RUNS = 2  # timed runs in a turn, however slow the file
STOP_TIMEOUT_S = 10
WIDEST_TRUSTED_INTERVAL = 0.10  # of the median
WIDEST_TRUSTED_TAIL = 1.5  # p90 / p50


def bench(
    files: Sequence[Path], options: BenchOptions, *, progress: Callable[[str], None] | None = None
) -> BenchReport:
    """Measures files against each other: each stays in its own process, one runs at a time, A B C A B C ...

    Slow drifts (heat, other load) then fall on all files alike, and the ratios of one round are paired.

    Raises:
        BenchError: A file is missing, or its process failed.
    """
    files = [Path(file) for file in files]
    _check_files(files)
    machine = read_machine()
    say = progress or (lambda _: None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        image = (options.image or _make_photo(folder)) if options.end_to_end else None
        workers = [stack.enter_context(_WorkerProcess(file, options.threads, image, folder)) for file in files]
        for worker in workers:
            worker.ask("run", seconds=WARM_UP_SECONDS, least=LEAST_RUNS)
        rounds = _interleave(workers, "run", options.rounds, options.turn_seconds, say)
        memories = [worker.ask("memory") for worker in workers]
        several = [worker for worker in workers if worker.description["exits"]]
        exits = _interleave(several, "exits", options.rounds, options.turn_seconds, say) if several else []
        exits_ms = {w: [answers[i]["exits_ms"] for answers in exits] for i, w in enumerate(several)}
        ways = _interleave(workers, "end_to_end", options.rounds, options.turn_seconds, say) if image else []
        measured = [
            _Measured(
                worker,
                [answers[i]["times_ms"] for answers in rounds],
                memories[i],
                [way[i] for way in ways],
                exits_ms.get(worker, []),
            )
            for i, worker in enumerate(workers)
        ]
    results = tuple(_to_result(item, options) for item in measured)
    return BenchReport(results=results, ratios=_compare(measured), machine=machine)


@dataclass(frozen=True)
class _Measured:
    worker: "_WorkerProcess"
    rounds_ms: list[list[float]]
    memory: dict[str, int]
    ways: list[dict[str, Any]]
    exits_ms: list[list[list[float]]]  # rounds, exits, runs

    @property
    def round_medians_ms(self) -> list[float]:
        # Runs of one turn share the machine's state, so that only the rounds count as independent.
        return [percentile(times, 50) for times in self.rounds_ms]


class _WorkerProcess:
    """A bench_worker for one file and the pipes to it."""

    def __init__(self, file: Path, threads: int, image: Path | None, folder: Path) -> None:
        self.file = file
        self._command = [sys.executable, "-m", "nasfpn_lite.benchmarks.bench_worker", str(file)]
        self._command += ["--threads", str(threads), *(["--image", str(image)] if image else [])]
        self._folder = folder

    def __enter__(self) -> "_WorkerProcess":
        self._errors = tempfile.TemporaryFile(dir=self._folder)
        self._process = subprocess.Popen(
            self._command,
            env=package_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.description = self._read()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._process.stdin:
            with suppress(BrokenPipeError):  # closing flushes what a process that has died will never read
                self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()

    def ask(self, verb: str, **arguments: float) -> dict[str, Any]:
        """Sends one request and waits for its answer."""
        try:
            print(json.dumps({"verb": verb, **arguments}), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass  # the answer says why
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            tail = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-5:]
            raise BenchError(f"the process that ran {self.file} ended with exit code {code}: " + "\n".join(tail))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BenchError(f"cannot run {self.file}: {answer['error']}")
        return answer


def _check_files(files: Sequence[Path]) -> None:
    if not files:
        raise BenchError("expected at least one .tflite file, got none")
    for file in files:
        if not file.is_file():
            raise BenchError(f"expected a .tflite file in {file}, but there is no such file")


def _make_photo(folder: Path) -> Path:
    from nasfpn_lite.benchmarks.demo_set import write_photo

    return write_photo(folder / "photo.jpg", size=(480, 640), seed=0)


def _interleave(
    workers: Sequence[_WorkerProcess], verb: str, rounds: int, turn_seconds: float, say: Callable[[str], None]
) -> list[list[dict[str, Any]]]:
    answers = []
    for number in range(1, rounds + 1):
        say(f"{verb.replace('_', ' ')}: round {number} of {rounds}")
        answers.append([worker.ask(verb, seconds=turn_seconds, least=LEAST_RUNS) for worker in workers])
    return answers


def _to_result(item: _Measured, options: BenchOptions) -> BenchResult:
    runs_ms = [time for times in item.rounds_ms for time in times]
    latency = estimate_median(item.round_medians_ms)
    p90 = percentile(runs_ms, 90)
    ways = [percentile(way["times_ms"], 50) for way in item.ways if way["times_ms"]]
    whole = estimate_median(ways) if ways else None
    operators, multiply_adds = _read_work(item.worker.file)
    return BenchResult(
        file=str(item.worker.file),
        size_bytes=item.worker.file.stat().st_size,
        threads=options.threads,
        rounds=options.rounds,
        runs=len(runs_ms),
        latency_ms_p50=latency.median,
        latency_ms_ci=(latency.low, latency.high),
        latency_ms_p90=p90,
        latency_ms_min=min(runs_ms),
        init_ms=item.worker.description["init_ms"],
        **item.memory,
        multiply_adds=multiply_adds,
        gmadds_per_s=None if multiply_adds is None else multiply_adds / latency.median / 1e6,
        operators=operators,
        end_to_end_ms_p50=whole.median if whole else None,
        end_to_end_ms_ci=(whole.low, whole.high) if whole else None,
        end_to_end_steps=tuple(item.ways[0]["steps"]) if item.ways else (),
        exits_ms_p50=_exit_medians(item.exits_ms),
        input_shape=tuple(item.worker.description["input_shape"]),
        input_dtype=item.worker.description["input_dtype"],
        warnings=find_doubts(latency, p90),
    )


def _exit_medians(rounds: list[list[list[float]]]) -> tuple[float, ...]:
    by_exit = zip(*([percentile(runs, 50) for runs in exits] for exits in rounds), strict=True)
    return tuple(percentile(list(medians), 50) for medians in by_exit)


def _read_work(file: Path) -> tuple[dict[str, int] | None, int | None]:
    """Returns operators and multiply-adds; None where there is only tflite_runtime, which cannot read the schema."""
    try:
        from nasfpn_lite.converters.inspect_ops import count_multiply_adds, list_operators
    except ModuleNotFoundError as error:
        if error.name not in ("ai_edge_litert", "flatbuffers"):
            raise
        return None, None
    return dict(list_operators(file)), count_multiply_adds(file)


def find_doubts(latency: Estimate, p90_ms: float) -> tuple[str, ...]:
    """Says why a latency is not to be trusted; nothing if it is."""
    doubts = []
    if latency.coverage < 0.95:
        doubts.append(f"the interval covers the median with {latency.coverage:.0%} only: use at least 6 rounds")
    if latency.relative_width > WIDEST_TRUSTED_INTERVAL:
        doubts.append(f"the median's interval is {latency.relative_width:.0%} of the median wide: the machine is busy")
    if p90_ms > WIDEST_TRUSTED_TAIL * latency.median:
        doubts.append(f"one run in ten takes {p90_ms / latency.median:.1f} x the median: the machine is busy")
    return tuple(doubts)


def _compare(measured: Sequence[_Measured]) -> tuple[PairRatio, ...]:
    ratios = []
    for i, first in enumerate(measured):
        for second in measured[i + 1 :]:
            paired = [a / b for a, b in zip(first.round_medians_ms, second.round_medians_ms, strict=True)]
            ratio = estimate_median(paired)
            files = str(first.worker.file), str(second.worker.file)
            ratios.append(PairRatio(*files, latency_ratio=ratio.median, latency_ratio_ci=(ratio.low, ratio.high)))
    return tuple(ratios)
