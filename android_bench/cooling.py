"""Waiting until a phone is fit to be measured: for so long and no longer."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.doubts import Doubt, find_doubts
from nasfpn_lite.android_bench.turn_watch import TurnWatch, find_watch_doubts
from nasfpn_lite.errors import UserError

POLL_S = 10.0
STOPPED = "the session was stopped; the same command goes on where it ended"


class SessionStopped(UserError):
    """Someone asked the session to end."""


class Pace:
    """Time as a session sees it: another thread can end its waits."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()

    def now_s(self) -> float:
        """Returns seconds since some fixed moment."""
        return time.monotonic()

    def stop(self) -> None:
        """Ends this wait and all later ones."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Waits; returns at once with an error if the session is to stop.

        Raises:
            SessionStopped: It is to stop.
        """
        if self._stop.wait(seconds):
            raise SessionStopped(STOPPED)


@dataclass(frozen=True)
class Fitness:
    """What a phone must be for a measurement to begin.

    Attributes:
        cores: Those that will run.
        accepted: Codes of doubts that are taken.
        cool_below_c: Skin and battery.
        patience_s: How long to wait for what may pass.
    """

    cores: Collection[int]
    accepted: Collection[str]
    cool_below_c: float
    patience_s: float

    def find_doubts(self, before: Conditions, after: Conditions) -> tuple[Doubt, ...]:
        """Returns what the user does not accept of the state before and after."""
        found = find_doubts(before, after, cores=self.cores, hot_c=self.cool_below_c)
        return tuple(doubt for doubt in found if doubt.code not in self.accepted)

    def find_watch_doubts(self, name: str, watch: TurnWatch | None, *, simulated: bool) -> tuple[Doubt, ...]:
        """Returns what the user does not accept of the turn of a file."""
        found = find_watch_doubts(name, watch, self.cores, simulated=simulated)
        return tuple(doubt for doubt in found if doubt.code not in self.accepted)


def wait_until_fit(
    read: Callable[[], Conditions],
    fitness: Fitness,
    pace: Pace,
    *,
    say: Callable[[str], None],
    first: Conditions | None = None,
) -> tuple[Conditions, tuple[str, ...]]:
    """Waits until nothing stands against a measurement.

    Args:
        first: A reading of just now, which saves one.

    Returns:
        The last reading, and why the phone is still not fit; no reasons if it is.
    """
    begin_s = pace.now_s()
    state = first or read()
    while True:
        doubts = fitness.find_doubts(state, state)
        lasting = tuple(doubt.text for doubt in doubts if not doubt.passes)
        if not doubts or lasting:
            return state, lasting
        texts = "; ".join(doubt.text for doubt in doubts)
        waited_s = pace.now_s() - begin_s
        if waited_s >= fitness.patience_s:
            return state, (f"gave up after waiting {waited_s / 60:.1f} minutes: {texts}",)
        say(f"waiting ({waited_s:.0f} of at most {fitness.patience_s:.0f} s): {texts}")
        pace.wait(min(POLL_S, fitness.patience_s - waited_s))
        state = read()
