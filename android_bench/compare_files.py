"""Which of two files is faster on a phone, if the rounds can tell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nasfpn_lite.android_bench.page_parts import base_names
from nasfpn_lite.android_bench.records import FileFigures, Interval, Round, SessionResult
from nasfpn_lite.benchmarks.statistics import CONFIDENCE, Estimate, estimate_median
from nasfpn_lite.errors import UserError

LEAST_INT8_GAIN = 1.2  # times as fast as float; below it, something keeps int8 from the processor's dot products
SAME_WORK = 0.01  # share of the multiply-adds by which two files of one network may differ

Winner = Literal["first", "second"]


class CompareError(UserError):
    """Two files that a session cannot compare."""


@dataclass(frozen=True)
class FileRatio:
    """How one file's latency relates to another's, from pairs of the same round.

    Attributes:
        latency_ratio: Median of first / second: 0.8 is a first file that takes 0.8 of the second one's time. None, as
            is its interval, where a file's figures are not trustworthy.
        coverage: The interval's probability to cover the true ratio.
        winner: The faster file; None where no difference is shown.
        text: All of it in words, with the files' names as short as tells them apart.
    """

    first: str
    second: str
    rounds: int
    latency_ratio: float | None
    latency_ratio_ci: Interval | None
    coverage: float | None
    winner: Winner | None
    text: str


def compare_rounds(result: SessionResult, first: int, second: int) -> FileRatio:
    """Compares two files of a session by their indices."""
    files = result.files[first], result.files[second]
    names = files[0].file, files[1].file
    pairs = pair_rounds(result.rounds, first, second)
    doubtful = [file for file in files if file.verdict != "trustworthy"]
    if doubtful or not pairs:
        reasons = "; ".join(dict.fromkeys(reason for file in doubtful for reason in file.reasons)) or "no whole rounds"
        return FileRatio(*names, len(pairs), None, None, None, None, f"not trustworthy: {reasons}")
    estimate = estimate_median(pairs)
    winner = find_winner(estimate)
    ends = estimate.low, estimate.high
    every = base_names([file.file for file in result.files])
    text = _describe((every[first], every[second]), estimate, winner)
    return FileRatio(*names, len(pairs), estimate.median, ends, estimate.coverage, winner, text)


def compare_all(result: SessionResult) -> tuple[FileRatio, ...]:
    """Compares each file of a session with each later one."""
    count = len(result.files)
    return tuple(compare_rounds(result, i, j) for i in range(count) for j in range(i + 1, count))


def compare_to_fastest(result: SessionResult) -> tuple[FileRatio, ...]:
    """Compares the fastest file of a session with each other one, those left out whose figures are not trustworthy."""
    medians = {index: file.latency_ms_p50 for index, file in enumerate(result.files) if file.latency_ms_p50 is not None}
    if not medians:
        return ()
    fastest = min(medians, key=lambda index: medians[index] or 0.0)
    return tuple(compare_rounds(result, fastest, index) for index in medians if index != fastest)


def pair_rounds(rounds: Sequence[Round], first: int, second: int) -> list[float]:
    """Returns latency of the first / latency of the second for each round."""
    return [item.turns[first].latency_ms / item.turns[second].latency_ms for item in rounds]


def find_winner(ratio: Estimate) -> Winner | None:
    """Returns the faster of two files, if the whole interval of first / second lies on one side of 1.

    An interval that covers less than CONFIDENCE, for want of rounds, shows nothing.
    """
    if ratio.coverage < CONFIDENCE or ratio.low <= 1 <= ratio.high:
        return None
    return "first" if ratio.high < 1 else "second"


def _describe(names: tuple[str, str], ratio: Estimate, winner: Winner | None) -> str:
    interval = f"{ratio.low:.3f} to {ratio.high:.3f}"
    if winner is None:
        few = f"; {ratio.coverage:.0%} is too little: take more --rounds" if ratio.coverage < CONFIDENCE else ""
        return f"no difference shown: {names[0]} takes {ratio.median:.3f} of the time of {names[1]} ({interval}{few})"
    fast, slow = names if winner == "first" else names[::-1]
    gain = 1 / ratio.median if winner == "first" else ratio.median
    return f"{fast} is {gain:.2f} times as fast as {slow} (latency ratio {ratio.median:.3f}, {interval})"


def find_slow_int8(result: SessionResult) -> tuple[str, ...]:
    """Warns of each int8 file that is not clearly faster than a float file of the same work in the same session.

    On a GPU there is no such expectation: it computes int8 files in floats.
    """
    if result.how.gpu:
        return ()
    warnings, names = [], base_names([file.file for file in result.files])
    for floating in _find_trusted(result, "float"):
        for integer in _find_trusted(result, "int8"):
            if not _is_same_work(result.files[floating], result.files[integer]):
                continue
            ratio = compare_rounds(result, floating, integer)
            gain = ratio.latency_ratio or math.inf
            if gain < LEAST_INT8_GAIN:
                warnings.append(
                    f"{names[integer]} (int8) is only {gain:.2f} times as fast as {names[floating]} (float), expected "
                    f"at least {LEAST_INT8_GAIN:g}: `nasfpn-lite inspect` names operators outside int8 or XNNPACK"
                )
    return tuple(warnings)


def _is_same_work(one: FileFigures, other: FileFigures) -> bool:
    """Whether two files look like the same network: multiply-adds tell, since conversion leaves convolutions alone."""
    if one.multiply_adds is None or other.multiply_adds is None:
        return False
    return abs(one.multiply_adds - other.multiply_adds) <= SAME_WORK * one.multiply_adds


def _find_trusted(result: SessionResult, arithmetic: str) -> list[int]:
    def fits(file: FileFigures) -> bool:
        return file.arithmetic == arithmetic and file.verdict == "trustworthy"

    return [index for index, file in enumerate(result.files) if fits(file)]


def find_file(result: SessionResult, name: str) -> int:
    """Returns the index of a file by its name in the session, or by the end of its path.

    Raises:
        CompareError: There is none, or several.
    """
    found = [i for i, file in enumerate(result.files) if file.file == name or file.file.endswith("/" + name)]
    exact = [i for i in found if result.files[i].file == name] or found
    if len(exact) != 1:
        names = ", ".join(file.file for file in result.files)
        raise CompareError(f"expected one of {names}, got {name!r}, which fits {len(exact)} of them")
    return exact[0]
