"""Processor time of .tflite files, in turns: what a busy machine can still measure."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfpn_lite.benchmarks.statistics import Estimate, estimate_median

_WARM_UP_RUNS = 3


@dataclass(frozen=True)
class Timing:
    """One file's processor time.

    Attributes:
        milliseconds: Median over rounds.
        ratio: To the last file, from the ratios of the same round.
    """

    milliseconds: float
    ratio: Estimate


def time_in_turns(interpreters: Sequence[Any], rounds: int) -> list[Timing]:
    """Runs loaded interpreters A B C A B C ... on random input and takes the calling thread's processor time.

    Waiting for a core does not count, unlike in `bench`; caches and a core shared with others still do.

    Args:
        interpreters: Of one thread each, with allocated tensors.
    """
    for interpreter in interpreters:
        _feed(interpreter)
        for _ in range(_WARM_UP_RUNS):
            interpreter.invoke()
    rows = [[_run(interpreter) for interpreter in interpreters] for _ in range(rounds)]
    return to_timings(rows)


def to_timings(rows: Sequence[Sequence[float]]) -> list[Timing]:
    """Summarises rounds of one time in milliseconds per file."""
    return [
        Timing(estimate_median(column).median, estimate_median([row[place] / row[-1] for row in rows]))
        for place, column in enumerate(zip(*rows, strict=True))
    ]


def _run(interpreter: Any) -> float:
    started = time.thread_time_ns()
    interpreter.invoke()
    return (time.thread_time_ns() - started) / 1e6


def _feed(interpreter: Any) -> None:
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        integer = np.issubdtype(detail["dtype"], np.integer)
        values = rng.integers(-100, 100, detail["shape"]) if integer else rng.uniform(-1, 1, detail["shape"])
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
