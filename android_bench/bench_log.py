"""The log of a benchmark tool in every wording since 2018; a log that only looks like a measurement is an error.

benchmark_model exits with 0 in many cases where it measured nothing, or something else than it was asked for. Whoever
has a `BenchLog` in hand has none of them.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from nasfpn_lite.android_bench.log_traps import LogError, refuse_traps

_MEGABYTE = 1024 * 1024
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|nan|inf)"

# By 2.14 every line has a level in front; the older tools print the bare line.
_LEVEL = re.compile(r"^(?:VERBOSE|INFO|WARN|WARNING|ERROR|FATAL): ")
_ERROR = re.compile(r"^(?:ERROR|FATAL): (.+)$")
# 2018: "for 50 iterations"; 2019: "... and at least 1 seconds"; later: "... but terminate if exceeding 150 seconds."
_PHASE = re.compile(r"^Running benchmark for (?:at least )?(-?\d+) iterations")
_COUNT = re.compile(r"^count=(\d+)\b(.*)$")  # a profile's own lines have words before "count="
_FIELD = re.compile(rf"(\w+)=({_NUMBER})")
# 2018-19: "Average inference timings in us: Warmup: 1, Init: 2, no stats: 3"; since 2020: "Inference timings ..."
_SUMMARY = re.compile(r"^(?:Average i|I)nference timings in us: (.*)$")
_SUMMARY_FIELD = re.compile(rf"([A-Za-z][\w ()]*): ({_NUMBER})")
_AVERAGE_NAMES = ("Inference (avg)", "Inference", "no stats")
_THREADS = (re.compile(r"^#threads used for CPU inference: \[(\d+)\]"), re.compile(r"^Num threads: \[(\d+)\]"))
_GROWTH = re.compile(
    rf"^Memory footprint delta from the start of the tool \(MB\): init=(?:{_NUMBER}) overall=({_NUMBER})"
)
_PEAKS = (
    re.compile(rf"^Overall peak memory footprint \(MB\) via periodic monitoring: ({_NUMBER})"),
    re.compile(rf"^Peak memory footprint \(MB\): init=(?:{_NUMBER}) overall=({_NUMBER})"),
)
_MEMORY_NOTE = "Note: as the benchmark tool itself affects memory footprint"


@dataclass(frozen=True)
class Timings:
    """Latencies of the runs of one phase.

    Attributes:
        first_ms: Of the first run.
        deviation_ms: Standard deviation, cut to whole microseconds by the tool.
        median_ms: None from tools before 2025, as are p5_ms and p95_ms.
    """

    runs: int
    first_ms: float
    min_ms: float
    max_ms: float
    average_ms: float
    deviation_ms: float
    median_ms: float | None = None
    p5_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True)
class BenchLog:
    """What one start of a benchmark tool measured.

    Attributes:
        asked_runs: How many runs the tool was to do at least.
        warm_up: None without warm-up runs.
        init_ms: From reading the file to the interpreter being ready.
        memory_growth_bytes: Resident memory at the end, less that at the start of the tool; None before 2021.
        peak_memory_bytes: Largest resident memory of the process; None where the tool was not asked.
        threads: What the tool says it used; None where it says nothing.
    """

    timings: Timings
    asked_runs: int
    warm_up: Timings | None
    init_ms: float
    memory_growth_bytes: int | None
    peak_memory_bytes: int | None
    threads: int | None

    @property
    def first_ms(self) -> float:
        """Returns the latency of the very first run, warm-up included."""
        return (self.warm_up or self.timings).first_ms


def parse_log(stdout: str, stderr: str = "") -> BenchLog:
    """Reads what a benchmark tool printed.

    Raises:
        LogError: The tool measured nothing, something else than asked, or the log is cut.
    """
    raw_lines = [line.strip() for line in (*stdout.splitlines(), *stderr.splitlines())]
    lines = [_LEVEL.sub("", line) for line in raw_lines]
    refuse_traps(lines)
    summary = _find_summary(lines)
    phases = list(_read_phases(lines))
    if summary is None:
        raise LogError(_explain_missing_summary(raw_lines, has_run=bool(phases)))
    if not phases or phases[-1].timings is None:
        raise LogError(f"expected a line 'count=...' with the runs before the summary, got none: {_CUT_ADVICE}")
    warm_up = phases[-2].timings if len(phases) > 1 else None
    timings, asked = phases[-1].timings, phases[-1].asked
    _check_timings(timings, asked, _find_average(summary))
    return BenchLog(
        timings=timings,
        asked_runs=asked,
        warm_up=warm_up,
        init_ms=_to_ms(summary["Init"]),
        memory_growth_bytes=_find_growth(lines),
        peak_memory_bytes=_find_peak(lines),
        threads=_find_threads(lines),
    )


def parse_latencies(text: str) -> tuple[float, ...]:
    """Reads the latencies file of our own runner: microseconds, one run a line; returns ms in run order.

    Raises:
        LogError: A line is no positive number, or there is none.
    """
    latencies = []
    for number, line in enumerate(text.splitlines(), 1):
        value = float(line) if re.fullmatch(_NUMBER, line.strip()) else math.nan
        if not 0 < value < math.inf:
            raise LogError(f"expected microseconds in line {number} of the latencies, got {line!r}: run it again")
        latencies.append(_to_ms(value))
    if not latencies:
        raise LogError("expected a latency a line, got an empty file: run it again")
    return tuple(latencies)


_CUT_ADVICE = "the log is cut; see that the phone stayed connected and the program was not killed, and run it again"


@dataclass(frozen=True)
class _Phase:
    asked: int
    timings: Timings | None  # None: announced, but there are no runs


def _find_summary(lines: list[str]) -> dict[str, float] | None:
    """Returns the fields of the last summary line in us; None if there is none, or if it is cut."""
    found = [match.group(1) for match in map(_SUMMARY.match, lines) if match]
    fields = {name: float(value) for name, value in _SUMMARY_FIELD.findall(found[-1])} if found else {}
    return fields if "Init" in fields and any(name in fields for name in _AVERAGE_NAMES) else None


def _find_average(summary: dict[str, float]) -> float:
    return next(summary[name] for name in _AVERAGE_NAMES if name in summary)


def _read_phases(lines: list[str]) -> Iterator[_Phase]:
    asked: int | None = None
    for line in lines:
        announced, counted = _PHASE.match(line), _COUNT.match(line)
        if announced:
            if asked is not None:
                yield _Phase(asked, None)
            asked = int(announced.group(1))
        elif counted and asked is not None:
            yield _Phase(asked, _read_timings(int(counted.group(1)), counted.group(2)))
            asked = None
    if asked is not None:
        yield _Phase(asked, None)


def _read_timings(runs: int, text: str) -> Timings | None:
    fields = {name: _to_ms(float(value)) for name, value in _FIELD.findall(text)}
    if runs == 1 and "curr" in fields:  # a single run has no other field than this one
        fields = {**dict.fromkeys(("first", "min", "max", "avg"), fields["curr"]), "std": 0.0, **fields}
    if not {"first", "min", "max", "avg", "std"} <= set(fields):
        return None
    return Timings(
        runs=runs,
        first_ms=fields["first"],
        min_ms=fields["min"],
        max_ms=fields["max"],
        average_ms=fields["avg"],
        deviation_ms=fields["std"],
        median_ms=fields.get("median"),
        p5_ms=fields.get("p5"),
        p95_ms=fields.get("p95"),
    )


def _check_timings(timings: Timings, asked: int, summary_average_us: float) -> None:
    if not 0 < timings.average_ms < math.inf:
        raise LogError(f"expected a latency above 0, got an average of {timings.average_ms} ms: the tool ran nothing")
    if timings.runs < asked:
        raise LogError(
            f"expected at least {asked} runs, got {timings.runs}: the time limit (max_secs) cut them; raise it, or ask "
            "for fewer runs"
        )
    # A summary cut in the middle of its last number is a number too. Some tools round it to whole microseconds.
    average_us = timings.average_ms * 1e3
    if abs(average_us - summary_average_us) > max(1.0, 1e-3 * average_us):
        raise LogError(
            f"expected the summary to repeat the average of {average_us:g} us, got {summary_average_us:g} us: "
            + _CUT_ADVICE
        )


def _explain_missing_summary(raw_lines: list[str], *, has_run: bool) -> str:
    errors = [match.group(1) for match in map(_ERROR.match, raw_lines) if match]
    reasons = [error for error in errors if error != "Benchmarking failed."]
    if reasons:
        return f"the benchmark tool could not run the model: {'; '.join(reasons)}"
    if errors:
        return "the benchmark tool failed and does not say why: run it by hand with --verbose=true"
    if has_run:
        return f"expected a line 'Inference timings in us: ...' at the end, got none: {_CUT_ADVICE}"
    if any(raw_lines):
        return f"expected a measurement, but the log ends before the first run: {_CUT_ADVICE}"
    return "expected the log of a benchmark tool, got nothing: see that the program can start on the phone"


def _find_growth(lines: list[str]) -> int | None:
    for line in lines:
        match = _GROWTH.match(line)
        if match:
            return _to_bytes(match.group(1))
    peaks = any(pattern.match(line) for line in lines for pattern in _PEAKS)
    if not peaks and any(line.startswith(_MEMORY_NOTE) for line in lines):
        raise LogError(f"expected a line about memory after the note about it, got none: {_CUT_ADVICE}")
    return None


def _find_peak(lines: list[str]) -> int | None:
    for pattern in _PEAKS:
        for line in lines:
            match = pattern.match(line)
            if match:
                return _to_bytes(match.group(1)) or None  # 0: a tool of 2020 that could not tell
    return None


def _find_threads(lines: list[str]) -> int | None:
    for pattern in _THREADS:
        for line in lines:
            match = pattern.match(line)
            if match:
                return int(match.group(1))
    return None


def _to_ms(microseconds: float) -> float:
    return microseconds / 1e3


def _to_bytes(megabytes: str) -> int:
    return round(float(megabytes) * _MEGABYTE)
