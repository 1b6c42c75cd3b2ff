"""Interleaving, discarded rounds, and going on after a kill."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.cooling import Fitness, Pace, SessionStopped
from nasfpn_lite.android_bench.journal import Journal, JournalError
from nasfpn_lite.android_bench.records import Coverage
from nasfpn_lite.android_bench.rounds import Hands, Plan, measure_rounds
from nasfpn_lite.android_bench.turn_watch import TurnWatch
from tests.fake_measured_phone import change_clock, make_conditions, make_turn

COOL = make_conditions()
CAPPED = TurnWatch(6, 0.4, 0.43, 0.43, ("0c",))
THROTTLED = make_conditions(thermal_status=1)
COVERAGE = Coverage(("XNNPACK",), 10, 9, 1, 0.9, "90.0% (9 of 10) in XNNPACK")


class Killed(BaseException):
    """As SIGKILL: nothing runs after it."""


class Phone:
    """Answers with the states in turn, then with a cool one; remembers what was asked."""

    def __init__(self, states=(), kill_at_turn=None):
        self.states, self.kill_at_turn = list(states), kill_at_turn
        self.turns, self.said, self.warm_ups, self.reads = [], [], 0, 0

    def read(self):
        self.reads += 1
        return self.states.pop(0) if self.states else COOL

    def take_turn(self, index):
        if len(self.turns) == self.kill_at_turn:
            raise Killed
        self.turns.append("ABC"[index])
        return make_turn(10.0 + index + len(self.turns) / 100)

    def warm_up(self):
        self.warm_ups += 1
        return (COVERAGE, None, None)

    def hands(self) -> Hands:
        pace = Pace()
        pace.wait = lambda seconds: None
        return Hands(self.read, self.take_turn, self.warm_up, pace, self.said.append)


def plan(rounds=5, repeats=3, patience_s=0.0) -> Plan:
    return Plan(("a", "b", "c"), rounds, repeats, Fitness((2, 3), (), 37.0, patience_s))


@pytest.fixture
def open_journal(tmp_path):
    return lambda: Journal(tmp_path / "journal", {"session": 1})


def run(phone, open_journal, plan_=None):
    with open_journal() as journal:
        return measure_rounds(plan_ or plan(), phone.hands(), journal)


def test_files_take_turns(open_journal):
    phone = Phone()
    measured = run(phone, open_journal)
    assert "".join(phone.turns) == "ABC" * 5
    assert [item.number for item in measured.rounds] == [1, 2, 3, 4, 5]
    assert [turn.latency_ms for turn in measured.rounds[1].turns] == pytest.approx([10.04, 11.05, 12.06])
    assert measured.coverages == (COVERAGE, None, None)
    assert (measured.discarded, measured.reasons, phone.warm_ups) == ((), (), 1)
    assert phone.reads == 6  # the look after a round is the look before the next
    assert phone.said[:2] == ["warming up", "round 1 of 5: a"]


class PhoneThatThrottlesWhileItRuns(Phone):
    """Fine at rest, before and after each round."""

    def __init__(self, turns):
        super().__init__()
        self.throttled = turns

    def take_turn(self, index):
        turn = super().take_turn(index)
        return replace(turn, watch=CAPPED) if len(self.turns) in self.throttled else turn


def test_throttling_that_ends_before_the_look_discards_the_round(open_journal):
    phone = PhoneThatThrottlesWhileItRuns([4])
    measured = run(phone, open_journal)
    (discarded,) = measured.discarded
    assert (discarded.number, discarded.attempt) == (2, 1)
    assert discarded.reasons == ("a: throttled during the run: the cores might run at 43% of their clock only",)
    assert [item.attempt for item in measured.rounds] == [1, 2, 1, 1, 1]
    assert run(Phone(), open_journal).discarded == measured.discarded  # as the journal tells it


def test_throttling_in_every_turn_ends_the_session(open_journal):
    measured = run(PhoneThatThrottlesWhileItRuns(range(100)), open_journal, plan(repeats=1))
    assert measured.rounds == ()
    assert "gave up in round 1 after 2 discarded rounds" in measured.reasons


def test_a_round_that_throttled_is_measured_again_when_the_phone_is_cool(open_journal):
    phone = Phone([COOL, COOL, COOL, THROTTLED, THROTTLED])  # before the first; after rounds 1, 2, 3; while waiting
    measured = run(phone, open_journal, plan(patience_s=60.0))
    assert "".join(phone.turns) == "ABC" * 6
    assert [(item.number, item.attempt) for item in measured.discarded] == [(3, 1)]
    assert "thermal status 1" in measured.discarded[0].reasons[0]
    assert measured.rounds[2].attempt == 2
    assert sum(text.startswith("waiting") for text in phone.said) == 2


def test_a_phone_that_stays_hot_ends_the_session_with_the_reason(open_journal):
    measured = run(Phone([COOL, COOL, COOL] + [THROTTLED] * 9), open_journal)  # patience is 0
    assert measured.reasons[0].startswith("gave up after waiting 0.0 minutes: the phone throttles")
    assert len(measured.rounds) == 2


def test_a_discarded_round_is_named_and_replaced(open_journal):
    changed = change_clock(COOL, 3, governor="powersave")
    phone = Phone([COOL] * 3 + [changed] * 20)  # before the first; after rounds 1, 2, 3 ...
    measured = run(phone, open_journal)
    assert "".join(phone.turns) == "ABC" * 6
    assert [(item.number, item.attempt) for item in measured.rounds] == [(1, 1), (2, 1), (3, 2), (4, 1), (5, 1)]
    assert [(item.number, item.attempt) for item in measured.discarded] == [(3, 1)]
    assert "governor of core 3 changed from schedutil to powersave" in measured.discarded[0].reasons[0]


def test_it_gives_up_after_too_many_discarded_rounds(open_journal):
    flickering = [change_clock(COOL, 3, governor=name) for name in ("a", "b", "c", "d", "e", "f", "g")]
    phone = Phone(flickering)
    measured = run(phone, open_journal, plan(repeats=2))
    assert len(measured.discarded) == 3
    assert measured.reasons[0] == "gave up in round 1 after 3 discarded rounds"
    assert "the governor of core 3 changed from c to d" in measured.reasons[1]
    assert measured.rounds == ()
    assert measured.last == flickering[3]


def test_battery_saver_switched_on_ends_the_session(open_journal):
    saver = make_conditions(battery_saver=True)
    measured = run(Phone([COOL, COOL, saver, saver]), open_journal)
    assert len(measured.rounds) == 1
    assert measured.reasons == ("battery saver is on: switch it off in the phone's settings",)


def test_no_turn_on_a_phone_that_is_not_fit(open_journal):
    phone = Phone([make_conditions(battery_saver=True)])
    measured = run(phone, open_journal)
    assert (phone.turns, phone.warm_ups) == ([], 0)
    assert measured.reasons == ("battery saver is on: switch it off in the phone's settings",)
    assert measured.last == make_conditions(battery_saver=True)
    assert measured.coverages == (None, None, None)


def test_a_screen_that_is_on_is_waited_for(open_journal):
    lit = make_conditions(screen_on=True)
    phone = Phone([COOL, lit, lit])  # a message comes in during round 1
    measured = run(phone, open_journal, plan(patience_s=60.0))
    assert measured.reasons == ()
    assert [item.attempt for item in measured.rounds] == [2, 1, 1, 1, 1]
    assert sum(text.startswith("waiting") for text in phone.said) == 2


def test_a_session_that_gave_up_goes_on_with_its_rounds(open_journal):
    first = run(PhoneThatThrottlesWhileItRuns(range(7, 100)), open_journal, plan(repeats=1))
    assert [item.number for item in first.rounds] == [1, 2]
    assert first.reasons[0] == "gave up in round 3 after 2 discarded rounds"
    again = Phone()
    second = run(again, open_journal, plan(repeats=1))
    assert "".join(again.turns) == "ABC" * 3
    assert (len(second.rounds), second.reasons, second.discarded) == (5, (), first.discarded)
    assert second.rounds[:2] == first.rounds


@pytest.mark.parametrize("kill_at", range(15))
def test_after_a_kill_only_the_missing_rounds_run(open_journal, kill_at):
    first = Phone(kill_at_turn=kill_at)
    with pytest.raises(Killed):
        run(first, open_journal)
    second = Phone()
    measured = run(second, open_journal)
    whole = kill_at // 3
    assert "".join(second.turns) == "ABC" * (5 - whole)
    assert [(item.number, item.attempt) for item in measured.rounds] == [
        (number, 2 if kill_at and number == whole + 1 else 1) for number in range(1, 6)
    ]
    assert measured.discarded == ()
    assert measured.coverages == (COVERAGE, None, None)


def test_a_finished_session_needs_nothing_more(open_journal):
    done = run(Phone(), open_journal)
    phone = Phone()
    with open_journal() as journal:
        again = measure_rounds(plan(), phone.hands(), journal, first=THROTTLED)
    assert (again.rounds, again.last) == (done.rounds, COOL)
    assert (phone.turns, phone.warm_ups, phone.reads) == ([], 0, 0)


def test_a_kill_before_the_look_after_a_round(open_journal, tmp_path):
    run(Phone(), open_journal)
    path = tmp_path / "journal"
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-1]) + b"\n")
    phone = Phone()
    measured = run(phone, open_journal)
    # The phone may have throttled in that round, and have cooled since: it is no longer to be seen.
    assert ("".join(phone.turns), phone.warm_ups, len(measured.rounds)) == ("ABC", 1, 5)


def test_a_stopped_session_goes_on_later(open_journal):
    phone = Phone()
    hands = phone.hands()

    def wait(seconds):
        if len(phone.turns) == 7:
            raise SessionStopped("stop")

    hands.pace.wait = wait
    with open_journal() as journal, pytest.raises(SessionStopped):
        measure_rounds(plan(), hands, journal)
    again = Phone()
    run(again, open_journal)
    assert len(again.turns) == 9  # of 15, 7 were done, the last of them in a round that broke off


def test_a_journal_of_nonsense_is_named(open_journal):
    with open_journal() as journal:
        journal.append(kind="turn", file=0, turn={})
    with pytest.raises(JournalError, match="damaged in line 2"):
        run(Phone(), open_journal)
