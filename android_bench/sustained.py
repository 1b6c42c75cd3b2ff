"""Latency under lasting load: the curve over time, the first minute against the last, and whether the order stays."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.compare_files import find_winner
from nasfpn_lite.android_bench.conditions import Conditions, read_conditions
from nasfpn_lite.android_bench.cooling import Fitness, wait_until_fit
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.origin import now_utc, read_commit, read_versions
from nasfpn_lite.android_bench.records import Origin, Turn
from nasfpn_lite.android_bench.session import Control, how_measured, look_at_phone, to_fitness
from nasfpn_lite.android_bench.session_options import SessionError, SessionOptions
from nasfpn_lite.android_bench.sustained_record import (
    SUSTAINED_SCHEMA,
    SUSTAINED_VERSION,
    Cycle,
    Drift,
    Order,
    Ranking,
    SustainedResult,
)
from nasfpn_lite.benchmarks.statistics import Estimate, estimate_median, percentile
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner

WINDOW_MINUTES = 1.0
LEAST_CYCLES = 6  # the fewest with a 95 % interval; slow files widen the window to them

# What heat does is the result here; these spoil it all the same.
_SPOILING = ("governor_changed", "battery_saver", "screen_on")


def measure_sustained(
    device: "Device",
    files: Sequence[ModelFile],
    runner: "Runner",
    options: SessionOptions,
    *,
    minutes: float,
    control: Control | None = None,
) -> SustainedResult:
    """Keeps a phone busy with turns A B C A B C for minutes, without any rest.

    It cannot be resumed: a phone that rested is another phone. What a lost phone or Ctrl-C cuts is returned as far as
    it went, and its reasons say so.

    Raises:
        SessionError: The time is not above 0, or a file cannot be run.
        AdbError: The phone went away before the first cycle was over.
    """
    from nasfpn_lite.android_bench.turns import Bench

    if not 0 < minutes < math.inf:
        raise SessionError(f"expected a time above 0 minutes, got {minutes}")
    control = control or Control()
    device.check_ready()
    started, start = now_utc(), look_at_phone(device, options)
    fitness = to_fitness(options, start.cores)

    def read() -> Conditions:
        return read_conditions(device)

    def look() -> Conditions:
        return read_conditions(device, watched=start.cores)

    before, reasons = wait_until_fit(look, fitness, control.pace, say=control.progress, first=start.before)
    load = Load((), (), None)
    if not reasons:
        with Bench(device, files, runner, options, start.phone.mask) as bench:
            bench.warm_up()
            load = run_cycles(len(files), bench.take, read, minutes=minutes, control=control)
    after = load.states[-1] if load.states else read()
    reasons = (*reasons, *find_spoiling(fitness, before, load.states), *([load.cut] if load.cut else []))
    names, cycles = tuple(file.name for file in files), load.cycles
    return SustainedResult(
        schema=SUSTAINED_SCHEMA,
        version=SUSTAINED_VERSION,
        origin=Origin(read_versions(device.adb.read_version(), runner.hash_files()), read_commit(), started, now_utc()),
        phone=start.phone,
        how=how_measured(runner.name, options),
        minutes=minutes,
        verdict="not trustworthy" if reasons else "trustworthy",
        reasons=reasons,
        files=() if reasons else find_drifts(files, cycles, runner.name),
        cycles=cycles,
        ranking=None if reasons else judge_ranking(names, cycles),
        before=before,
        after=after,
        names=names,
    )


@dataclass(frozen=True)
class Load:
    """What came of the turns.

    Attributes:
        states: The phone's, after each cycle.
        cut: Why it ended before its time; None if it did not.
    """

    cycles: tuple[Cycle, ...]
    states: tuple[Conditions, ...]
    cut: str | None


def find_spoiling(fitness: Fitness, before: Conditions, states: Sequence[Conditions]) -> tuple[str, ...]:
    """Says what came up at any time of the load that is not heat; each once."""
    doubts = [doubt for state in states for doubt in fitness.find_doubts(before, state)]
    return tuple(dict.fromkeys(doubt.text for doubt in doubts if doubt.code in _SPOILING))


def run_cycles(
    count: int,
    take_turn: Callable[[int], Turn],
    read: Callable[[], Conditions],
    *,
    minutes: float,
    control: Control,
) -> Load:
    """Measures `count` files in turns until the time is over; a cycle that has begun is finished.

    There are two at least: a single one would be compared with itself, and show no slowdown. A lost phone or Ctrl-C
    cuts the load, once there is a cycle to keep.
    """
    begin_s = control.pace.now_s()
    cycles: list[Cycle] = []
    states: list[Conditions] = []
    try:
        while len(cycles) < 2 or cycles[-1].minutes < minutes:
            control.pace.wait(0)
            latencies = tuple(take_turn(index).latency_ms for index in range(count))
            state = read()
            passed = (control.pace.now_s() - begin_s) / 60
            cycles.append(Cycle(passed, latencies, state.thermal_status, state.hottest_outside_c()))
            states.append(state)
            texts = ", ".join(f"{value:.2f} ms" for value in latencies)
            control.progress(f"{passed:.1f} of {minutes:g} minutes: {texts}")
    except (UserError, KeyboardInterrupt) as error:
        if not cycles:
            raise
        why = str(error).partition("\n")[0] or "Ctrl-C"
        return Load(tuple(cycles), tuple(states), f"cut after {cycles[-1].minutes:.1f} of {minutes:g} minutes: {why}")
    return Load(tuple(cycles), tuple(states), None)


def first_window(cycles: Sequence[Cycle]) -> Sequence[Cycle]:
    """Returns the cycles of the first minute; at least LEAST_CYCLES, but never more than half of all."""
    inside = sum(cycle.minutes <= WINDOW_MINUTES for cycle in cycles)
    return cycles[: _fit_window(inside, len(cycles))]


def last_window(cycles: Sequence[Cycle]) -> Sequence[Cycle]:
    """Returns the cycles that ended in the last minute, with the same bounds."""
    inside = sum(cycle.minutes > cycles[-1].minutes - WINDOW_MINUTES for cycle in cycles)
    return cycles[len(cycles) - _fit_window(inside, len(cycles)) :]


def _fit_window(inside: int, total: int) -> int:
    return max(1, min(max(inside, LEAST_CYCLES), total // 2))


def find_drifts(files: Sequence[ModelFile], cycles: Sequence[Cycle], runner: str) -> tuple[Drift, ...]:
    """Compares each file's first minute with its last, by their medians."""
    drifts = []
    for index, file in enumerate(files):
        first, last = (_median_ms(window, index) for window in (first_window(cycles), last_window(cycles)))
        drifts.append(Drift(file.name, file.sha256, runner, first, last, last / first))
    return tuple(drifts)


def _median_ms(window: Sequence[Cycle], index: int) -> float:
    return percentile([cycle.latencies_ms[index] for cycle in window], 50)


def judge_ranking(names: Sequence[str], cycles: Sequence[Cycle]) -> Ranking:
    """Says whether the order of the files in the last minute is that of the first.

    A pair counts as turned where a difference is shown both times, once for the one and once for the other. Medians
    that change places without that show neither.
    """
    windows = first_window(cycles), last_window(cycles)
    indices = range(len(names))
    turned = []
    for i in indices:
        for j in indices[i + 1 :]:
            winners = [find_winner(_estimate_ratio(window, i, j)) for window in windows]
            if set(winners) == {"first", "second"}:
                turned.append((names[i], names[j]) if winners[1] == "first" else (names[j], names[i]))
    first, last = (_rank(names, window) for window in windows)
    same = first == last and min(map(len, windows)) >= LEAST_CYCLES
    order: Order = "changed" if turned else "the same" if same else "not shown"
    return Ranking(order, first, last, tuple(turned), (len(windows[0]), len(windows[1])))


def _rank(names: Sequence[str], window: Sequence[Cycle]) -> tuple[str, ...]:
    return tuple(names[i] for i in sorted(range(len(names)), key=lambda index: _median_ms(window, index)))


def _estimate_ratio(window: Sequence[Cycle], first: int, second: int) -> Estimate:
    return estimate_median([cycle.latencies_ms[first] / cycle.latencies_ms[second] for cycle in window])
