"""The deadline, by a clock that only the network moves."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from nasfpn_lite.anytime import Anytime
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.variants import VARIANTS

PREPARE_MS, FINISH_MS = 1.0, 2.0
PHOTO = np.zeros((30, 40, 3), np.uint8)


class Network:
    """Exits of 10, 4 and 6 ms, slowed by a factor; the answer's score tells the exit."""

    def __init__(self) -> None:
        self.spec = dataclasses.replace(VARIANTS["nasfpnlite_3x48"], exits=(1, 2, 3), num_classes=1)
        self.categories = (Category(1, "ant"),)
        self.own_ms = [10.0, 4.0, 6.0]
        self.slow, self.now_s = 1.0, 0.0
        self.ran: list[int] = []

    def clock(self) -> float:
        return self.now_s

    def work(self, milliseconds: float) -> None:
        self.now_s += milliseconds * self.slow / 1e3

    def prepare(self, image: np.ndarray) -> tuple[int, str]:
        self.work(PREPARE_MS)
        return 0, "photo"

    def run(self, number: int, given: int) -> tuple[int, int]:
        assert given == number - 1  # each exit goes on from the one before
        self.ran.append(number)
        self.work(self.own_ms[number - 1])
        return number, number

    def finish(self, outputs: int, photo: Any) -> Detections:
        assert photo == "photo"
        self.work(FINISH_MS)
        return Detections(np.zeros((1, 4), np.float32), np.full(1, outputs / 10, np.float32), np.zeros(1, np.int32))


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def detector(network: Network) -> Anytime:
    detector = Anytime(network, clock=network.clock)
    network.ran.clear()
    return detector


@pytest.mark.parametrize(
    ("budget_ms", "answers"),
    # exit 1 ends at 1 + 10 + 2 = 13 ms, exit 2 at 17, exit 3 at 23
    [(0.0, 1), (12.0, 1), (16.9, 1), (17.1, 2), (22.9, 2), (23.1, 3), (1e9, 3), (None, 3)],
)
def test_the_last_exit_that_fits_answers(
    detector: Anytime, network: Network, budget_ms: float | None, answers: int
) -> None:
    found = detector.detect(PHOTO, budget_ms)
    assert found.exit == answers
    assert found.scores[0] == pytest.approx(answers / 10)
    assert network.ran == [1, 2, 3][:answers]
    assert found.elapsed_ms == pytest.approx([13, 17, 23][answers - 1])


def test_the_budget_holds_while_the_machine_slows_down(detector: Anytime, network: Network) -> None:
    network.slow = 2.0
    for _ in range(20):
        found = detector.detect(PHOTO, 36.0)  # exit 2 ends at 34, exit 3 at 46
        assert found.elapsed_ms <= 36.0
    assert found.exit == 2
    network.slow = 1.0  # and nothing that was slow is remembered against an exit that did not run
    assert [detector.detect(PHOTO, 25.0).exit for _ in range(9)][-1] == 3


def test_an_exit_that_was_slow_for_a_while_comes_back(detector: Anytime, network: Network) -> None:
    network.own_ms[2] = 16.0  # ends at 33 ms
    for _ in range(9):
        detector.detect(PHOTO)
    network.own_ms[2] = 6.0
    answers = [detector.detect(PHOTO, 25.0).exit for _ in range(60)]
    assert answers == [2] * 50 + [3] * 10


def test_an_exit_that_stays_slow_is_late_once_in_fifty_photos_at_most(detector: Anytime, network: Network) -> None:
    network.own_ms[2] = 16.0
    for _ in range(9):
        detector.detect(PHOTO)
    answers = [detector.detect(PHOTO, 25.0) for _ in range(1000)]
    late = [place for place, found in enumerate(answers) if found.elapsed_ms > 25.0]
    assert late == [50, 101, 152, 203, 254, 305]  # by then the five fast ones of the warm-up are forgotten
    assert {found.exit for found in answers if found.elapsed_ms <= 25.0} == {2}


def test_times_are_updated_while_running(detector: Anytime, network: Network) -> None:
    assert detector.exit_ms == pytest.approx((10, 4, 6))
    network.own_ms[1] = 8.0
    for _ in range(20):
        detector.detect(PHOTO)
    assert detector.exit_ms == pytest.approx((10, 8, 6))
    assert detector.detect(PHOTO, 17.1).exit == 1


def test_every_exit_answers_with_its_own_time(detector: Anytime) -> None:
    found = detector.detect_exits(PHOTO)
    assert [item.exit for item in found] == [1, 2, 3]
    assert [item.elapsed_ms for item in found] == pytest.approx([13, 17, 23])
    assert [float(item.scores[0]) for item in found] == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("budget_ms", [-1.0, math.nan])
def test_a_budget_is_a_time(detector: Anytime, budget_ms: float) -> None:
    with pytest.raises(UserError, match="milliseconds, 0 or more, got"):
        detector.detect(PHOTO, budget_ms)


def test_it_says_what_it_finds(detector: Anytime) -> None:
    assert (detector.spec.exits, detector.categories) == ((1, 2, 3), (Category(1, "ant"),))
