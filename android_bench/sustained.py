"""Latency under lasting load: the curve over time, recorded without any rest between the turns."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.conditions import Conditions, read_conditions
from nasfpn_lite.android_bench.cooling import Fitness, SessionStopped, wait_until_fit
from nasfpn_lite.android_bench.drift import find_drifts, judge_ranking
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.origin import now_utc, read_commit, read_versions
from nasfpn_lite.android_bench.records import Coverage, Origin, Turn
from nasfpn_lite.android_bench.session import Control, how_measured, look_at_phone, to_fitness
from nasfpn_lite.android_bench.session_options import SessionError, SessionOptions
from nasfpn_lite.android_bench.sustained_record import (
    SUSTAINED_SCHEMA,
    SUSTAINED_VERSION,
    Cycle,
    LoadedFile,
    SustainedResult,
)
from nasfpn_lite.android_bench.turn_watch import find_gaps
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner

# What heat does is the result here; these spoil it all the same.
_SPOILING = ("governor_changed", "battery_saver", "low_battery", "screen_on", "moved", "core_lost")


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

    def look() -> Conditions:
        return read_conditions(device, watched=start.cores)

    before, reasons = wait_until_fit(look, fitness, control.pace, say=control.progress, first=start.before)
    load = Load((), (), None)
    coverages: tuple[Coverage | None, ...] = (None,) * len(files)
    if not reasons:
        with Bench(device, files, runner, options, start.phone.mask) as bench:
            control.progress("warming up")
            coverages = bench.warm_up()
            load = run_cycles(len(files), bench.take, lambda: read_conditions(device), minutes=minutes, control=control)
        reasons = find_reasons(fitness, [file.name for file in files], before, load)
    origin = Origin(read_versions(device.adb.read_version(), runner.hash_files()), read_commit(), started, now_utc())
    names, cycles = tuple(file.name for file in files), load.cycles
    gaps = find_gaps([watch for cycle in cycles for watch in cycle.watches])
    return SustainedResult(
        schema=SUSTAINED_SCHEMA,
        version=SUSTAINED_VERSION,
        origin=origin,
        phone=replace(start.phone, notes=(*start.phone.notes, *gaps)),
        how=how_measured(runner.name, options),
        minutes=minutes,
        verdict="not trustworthy" if reasons else "trustworthy",
        reasons=reasons,
        files=() if reasons else find_drifts(files, cycles, runner.name),
        cycles=cycles,
        ranking=None if reasons else judge_ranking(names, cycles),
        before=before,
        after=load.states[-1] if load.states else before,
        names=names,
        loaded=tuple(map(_to_loaded, files, coverages)),
    )


def _to_loaded(file: ModelFile, coverage: Coverage | None) -> LoadedFile:
    return LoadedFile(file.name, file.sha256, file.size_bytes, file.arithmetic, coverage)


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


def find_reasons(fitness: Fitness, names: Sequence[str], before: Conditions, load: Load) -> tuple[str, ...]:
    """Says what came up at any time of the load that is not heat, each once, and why it was cut."""
    doubts = [doubt for state in load.states for doubt in fitness.find_doubts(before, state)]
    for cycle in load.cycles:
        for name, watch in zip(names, cycle.watches, strict=True):
            doubts += fitness.find_watch_doubts(name, watch, simulated=before.simulated)
    texts = [doubt.text for doubt in doubts if doubt.code in _SPOILING]
    return tuple(dict.fromkeys([*texts, load.cut] if load.cut else texts))


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
            turns = [take_turn(index) for index in range(count)]
            state = read()
            passed = (control.pace.now_s() - begin_s) / 60
            cycles.append(_to_cycle(passed, turns, state))
            states.append(state)
            texts = ", ".join(f"{turn.latency_ms:.2f} ms" for turn in turns)
            control.progress(f"{passed:.1f} of {minutes:g} minutes: {texts}")
    except (UserError, KeyboardInterrupt) as error:
        if not cycles:
            raise
        if isinstance(error, KeyboardInterrupt):
            control.pace.stop()
        stopped = isinstance(error, (KeyboardInterrupt, SessionStopped))
        why = "it was interrupted" if stopped else str(error).partition("\n")[0]
        return Load(tuple(cycles), tuple(states), f"cut after {cycles[-1].minutes:.1f} of {minutes:g} minutes: {why}")
    return Load(tuple(cycles), tuple(states), None)


def _to_cycle(minutes: float, turns: Sequence[Turn], state: Conditions) -> Cycle:
    return Cycle(
        minutes,
        tuple(turn.latency_ms for turn in turns),
        state.thermal_status,
        state.hottest_outside_c(),
        tuple(turn.watch for turn in turns),
    )
