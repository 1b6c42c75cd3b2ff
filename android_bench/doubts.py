"""What in the state of a phone spoils a figure, and what only belongs beside it."""

from collections.abc import Collection
from dataclasses import dataclass

from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.core_loads import BUSY_SHARE

HOT_C = 37.0  # of skin or battery; a phone at rest in a warm room stays below it
# Android calls a battery low at 15 %, and well again 5 points above: below that, savers and limits may set in unseen.
LOW_BATTERY_PERCENT = 20
BUSY_LOAD = 2.0  # of the load average per core; the kernels of some phones count one per core at rest

# Why a figure may be not trustworthy, by the short names with which a user accepts it.
DOUBT_CODES = (
    "throttled",
    "hot_start",
    "governor_changed",
    "capped",
    "slow_clock",
    "moved",
    "core_lost",
    "battery_saver",
    "low_battery",
    "screen_on",
    "busy",
)


@dataclass(frozen=True)
class Doubt:
    """Why a figure is not trustworthy.

    Attributes:
        code: One of DOUBT_CODES.
        passes: It may be gone after a while; else only the user can mend it.
    """

    code: str
    text: str
    passes: bool


def find_doubts(
    before: Conditions, after: Conditions, *, cores: Collection[int] | None = None, hot_c: float = HOT_C
) -> tuple[Doubt, ...]:
    """Says why what was measured between two readings is not trustworthy; nothing if it is.

    Args:
        after: `before` itself tells whether a measurement may begin.
        cores: Those that ran; None for all.
        hot_c: Skin or battery above it count as a hot start.
    """
    doubts = [*_find_heat(before, after, hot_c), *_find_clock_doubts(before, after, cores)]
    doubts += _find_battery_doubts(before, after)
    if before.screen_on or after.screen_on:
        doubts.append(Doubt("screen_on", "the screen is on: switch it off by its key", True))
    if before.load_average is not None and before.clocks and before.load_average > BUSY_LOAD * len(before.clocks):
        text = f"other programs keep the phone busy: load {before.load_average:g} on {len(before.clocks)} cores"
        doubts.append(Doubt("busy", text, True))
    doubts += _find_busy_cores(before, after, cores)
    return tuple(doubts)


def _find_battery_doubts(before: Conditions, after: Conditions) -> list[Doubt]:
    doubts = []
    if before.battery_saver or after.battery_saver:
        doubts.append(Doubt("battery_saver", "battery saver is on: switch it off in the phone's settings", False))
    drained = [state.battery_percent for state in (before, after) if not state.battery_charging]
    percent = min((level for level in drained if level is not None), default=None)
    if percent is not None and percent < LOW_BATTERY_PERCENT:
        text = f"the battery is at {percent} %, below {LOW_BATTERY_PERCENT} %, and not charging: charge it first"
        doubts.append(Doubt("low_battery", text, False))
    return doubts


def _find_busy_cores(before: Conditions, after: Conditions, cores: Collection[int] | None) -> list[Doubt]:
    """Looks at both readings: the runner has not begun at the one, and is gone at the other."""
    shares: dict[int, float] = {}
    for load in (*(before.loads or ()), *(after.loads or ())):
        if cores is None or load.core in cores:
            shares[load.core] = max(load.busy_share, shares.get(load.core, 0.0))
    return [
        Doubt("busy", f"other programs hold core {core}: busy for {share:.0%} of a second", True)
        for core, share in sorted(shares.items())
        if share > BUSY_SHARE
    ]


def _find_heat(before: Conditions, after: Conditions, hot_c: float) -> list[Doubt]:
    doubts = []
    status = max(before.thermal_status or 0, after.thermal_status or 0)
    sensors = {item.name for state in (before, after) for item in state.temperatures or () if item.status > 0}
    if status or sensors:
        named = f" ({', '.join(sorted(sensors))})" if sensors else ""
        doubts.append(Doubt("throttled", f"the phone throttles against heat: thermal status {status}{named}", True))
    hottest_c = before.hottest_outside_c()
    if hottest_c is not None and hottest_c > hot_c:
        text = f"hot start: skin or battery at {hottest_c:g} °C, above {hot_c:g} °C"
        doubts.append(Doubt("hot_start", text, True))
    return doubts


def _find_clock_doubts(before: Conditions, after: Conditions, cores: Collection[int] | None) -> list[Doubt]:
    doubts = []
    later = {clock.core: clock for clock in after.clocks}
    for clock in (clock for clock in before.clocks if cores is None or clock.core in cores):
        if clock.core not in later:
            doubts.append(Doubt("core_lost", f"core {clock.core} went offline", True))
            continue
        then = later[clock.core]
        if clock.governor and then.governor and clock.governor != then.governor:
            text = f"the governor of core {clock.core} changed from {clock.governor} to {then.governor}"
            doubts.append(Doubt("governor_changed", text, True))
        allowed = [khz for khz in (clock.allowed_khz, then.allowed_khz) if khz is not None]
        if allowed and clock.hardware_khz is not None and min(allowed) < clock.hardware_khz:
            text = f"core {clock.core} may run at {min(allowed) / 1000:g} of {clock.hardware_khz / 1000:g} MHz only"
            doubts.append(Doubt("capped", text, True))
    return doubts


def find_notes(conditions: Conditions) -> tuple[str, ...]:
    """Says what does not spoil a figure but belongs beside it."""
    notes = []
    if conditions.battery_charging:
        notes.append("the phone was charging, which warms it")
    unwatched = conditions.thermal_status is None and conditions.temperatures is None
    if unwatched and all(clock.allowed_khz is None for clock in conditions.clocks):
        notes.append("the phone tells neither heat nor clocks: throttling would go unseen")
    if all(clock.governor is None for clock in conditions.clocks):
        notes.append("the phone does not tell its governor")
    return tuple(notes)
