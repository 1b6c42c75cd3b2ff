"""Interleaved rounds A B C A B C: kept only where the phone stayed the same, measured again where it did not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nasfpn_lite.android_bench.checked_json import RecordError, parse_record, to_json_data
from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.cooling import Fitness, Pace, wait_until_fit
from nasfpn_lite.android_bench.doubts import Doubt
from nasfpn_lite.android_bench.journal import BEGIN, END, TURN, WARM_UP, Journal, JournalError
from nasfpn_lite.android_bench.records import Coverage, DiscardedRound, Round, Turn


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        names: Of the files, in the order of their turns.
        repeats: Rounds that may be discarded before the session gives up.
    """

    names: tuple[str, ...]
    rounds: int
    repeats: int
    fitness: Fitness


@dataclass(frozen=True)
class Hands:
    """How a session touches the phone and the user; each can be replaced in a test.

    Attributes:
        read: Reads the phone's state.
        take_turn: Measures the file of an index.
        warm_up: Is called once before the first turn, if there is one; says what delegates take of each file.
    """

    read: Callable[[], Conditions]
    take_turn: Callable[[int], Turn]
    warm_up: Callable[[], tuple[Coverage | None, ...]]
    pace: Pace
    say: Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """What came of all rounds.

    Attributes:
        reasons: Why the session gave up; empty if it did not.
        last: The latest reading of the phone.
    """

    rounds: tuple[Round, ...]
    discarded: tuple[DiscardedRound, ...]
    coverages: tuple[Coverage | None, ...]
    reasons: tuple[str, ...]
    last: Conditions | None


@dataclass
class _Attempt:
    """A round as far as it went."""

    number: int
    attempt: int
    before: Conditions
    turns: dict[int, Turn] = field(default_factory=dict)
    after: Conditions | None = None
    doubts: tuple[str, ...] = ()


def measure_rounds(plan: Plan, hands: Hands, journal: Journal, *, first: Conditions | None = None) -> Measured:
    """Measures what the journal lacks of a session.

    Args:
        first: A reading of just now, which saves one.
    """
    return _Rounds(plan, hands, journal, first).measure()


@dataclass
class _History:
    """What a journal tells: attempts in their order, and what delegates take of each file."""

    attempts: list[_Attempt] = field(default_factory=list)
    coverages: tuple[Coverage | None, ...] = ()

    def add(self, entry: dict[str, Any]) -> None:
        """Takes one entry."""
        kind = entry["kind"]
        if kind == WARM_UP:
            self.coverages = tuple(item and parse_record(Coverage, item, "coverage") for item in entry["coverages"])
        elif kind == BEGIN:
            before = parse_record(Conditions, entry["before"], "before")
            self.attempts.append(_Attempt(entry["round"], entry["attempt"], before))
        elif kind == TURN:
            self.attempts[-1].turns[entry["file"]] = parse_record(Turn, entry["turn"], "turn")
        elif kind == END:
            last = self.attempts[-1]
            last.after = parse_record(Conditions, entry["after"], "after")
            last.doubts = tuple(entry["doubts"])


def _read_history(journal: Journal) -> _History:
    history = _History()
    for number, entry in enumerate(journal.entries, start=2):  # the first line says whose journal it is
        try:
            history.add(entry)
        except (KeyError, IndexError, RecordError) as error:
            raise JournalError(
                f"{journal.path} is damaged in line {number}: {error}; say --restart to drop it"
            ) from error
    return history


class _Rounds:
    def __init__(self, plan: Plan, hands: Hands, journal: Journal, first: Conditions | None) -> None:
        self.plan, self.hands, self.journal = plan, hands, journal
        self.history = _read_history(journal)
        self.attempts = self.history.attempts
        self.latest = first  # a reading so fresh that it need not be repeated
        self.unfit: Conditions | None = None  # the reading that ended the session
        self.warm = False
        self.forgiven = len(self._discarded())  # of earlier starts, which the user may have mended the cause of

    def measure(self) -> Measured:
        reasons: tuple[str, ...] = ()
        while not reasons and len(self._kept()) < self.plan.rounds:
            reasons = self._measure_next()
        coverages = self.history.coverages or (None,) * len(self.plan.names)
        return Measured(self._kept(), self._discarded(), coverages, reasons, self._last())

    def _measure_next(self) -> tuple[str, ...]:
        """Measures a round; returns why the session has to give up, nothing if it need not."""
        discarded = self._discarded()[self.forgiven :]
        if len(discarded) > self.plan.repeats:
            last = discarded[-1]
            return (f"gave up in round {last.number} after {len(discarded)} discarded rounds", *last.reasons)
        state, reasons = wait_until_fit(
            self.hands.read, self.plan.fitness, self.hands.pace, say=self.hands.say, first=self.latest
        )
        self.latest, self.unfit = None, state if reasons else None
        if not reasons:
            self._run(self._open_attempt(state))
        return reasons

    def _open_attempt(self, state: Conditions) -> _Attempt:
        # One that a kill or a pulled cable broke off begins anew: no reading tells whether the phone throttled in it.
        number = len(self._kept()) + 1
        attempt = _Attempt(number, 1 + sum(item.number == number for item in self.attempts), state)
        self.journal.append(kind=BEGIN, round=number, attempt=attempt.attempt, before=to_json_data(state))
        self.attempts.append(attempt)
        return attempt

    def _run(self, attempt: _Attempt) -> None:
        again = f", attempt {attempt.attempt}" if attempt.attempt > 1 else ""
        for index, name in enumerate(self.plan.names):
            self.hands.pace.wait(0)
            self._warm_up_once()
            self.hands.say(f"round {attempt.number} of {self.plan.rounds}{again}: {name}")
            turn = self.hands.take_turn(index)
            self.journal.append(kind=TURN, file=index, turn=to_json_data(turn))
            attempt.turns[index] = turn
        after = self.latest = self.hands.read()
        found = [*self.plan.fitness.find_doubts(attempt.before, after), *self._find_watch_doubts(attempt)]
        doubts = tuple(doubt.text for doubt in found)
        self.journal.append(kind=END, after=to_json_data(after), doubts=doubts)
        attempt.after, attempt.doubts = after, doubts
        if doubts:
            self.hands.say(f"round {attempt.number} is discarded: {'; '.join(doubts)}")

    def _find_watch_doubts(self, attempt: _Attempt) -> list[Doubt]:
        found: list[Doubt] = []
        for index, name in enumerate(self.plan.names):
            watch = attempt.turns[index].watch
            found += self.plan.fitness.find_watch_doubts(name, watch, simulated=attempt.before.simulated)
        return found

    def _warm_up_once(self) -> None:
        if not self.warm:
            self.hands.say("warming up")
            self.history.coverages = self.hands.warm_up()
            found = [item and to_json_data(item) for item in self.history.coverages]
            self.journal.append(kind=WARM_UP, coverages=found)
            self.warm = True

    def _last(self) -> Conditions | None:
        return self.unfit or next((item.after for item in reversed(self.attempts) if item.after), None)

    def _kept(self) -> tuple[Round, ...]:
        files = range(len(self.plan.names))
        return tuple(
            Round(
                number=item.number,
                attempt=item.attempt,
                before=item.before,
                after=item.after,
                turns=tuple(item.turns[index] for index in files),
            )
            for item in self.attempts
            if item.after is not None and not item.doubts
        )

    def _discarded(self) -> tuple[DiscardedRound, ...]:
        return tuple(DiscardedRound(item.number, item.attempt, item.doubts) for item in self.attempts if item.doubts)
