"""Windows, drifts, and whether a ranking stays."""

from pathlib import Path

import pytest

from nasfpn_lite.android_bench.drift import find_drifts, first_window, judge_ranking, last_window
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.sustained_record import Cycle

FILES = tuple(ModelFile(Path(name), name, "00", 3_000_000, None, None) for name in ("a", "b"))


def cycles_of(*latencies: tuple[float, ...], seconds: float = 5.0) -> list[Cycle]:
    return [Cycle((i + 1) * seconds / 60, row, 0, 30.0) for i, row in enumerate(latencies)]


def hold(*pairs: tuple[tuple[float, float], int]) -> list[Cycle]:
    """Cycles of 5 s that keep each pair of latencies for a number of cycles, with a little noise."""
    rows = [pair for pair, count in pairs for _ in range(count)]
    return cycles_of(*((a * (1 + i % 3 / 1000), b * (1 + i % 2 / 1000)) for i, (a, b) in enumerate(rows)))


def test_windows_are_a_minute_each():
    cycles = hold(((10.0, 20.0), 60))  # 5 minutes of 12 cycles
    assert [cycle.minutes for cycle in first_window(cycles)] == pytest.approx([i / 12 for i in range(1, 13)])
    assert [cycle.minutes for cycle in last_window(cycles)] == pytest.approx([i / 12 for i in range(49, 61)])


def test_slow_files_get_wider_windows_of_six_cycles():
    cycles = cycles_of(*[(1.0, 2.0)] * 20, seconds=30.0)
    assert (len(first_window(cycles)), len(last_window(cycles))) == (6, 6)


def test_windows_never_overlap():
    cycles = cycles_of(*[(1.0, 2.0)] * 5)
    assert (len(first_window(cycles)), len(last_window(cycles))) == (2, 2)
    assert len(first_window(cycles[:1])) == 1


def test_drift_is_last_over_first():
    drift_a, drift_b = find_drifts(FILES, cycles_of(*[(10.0, 20.0)] * 12, *[(15.0, 20.0)] * 12), "nasfpn_runner")
    assert (drift_a.first_ms, drift_a.last_ms, drift_a.slowdown) == (10.0, 15.0, 1.5)
    assert (drift_b.slowdown, drift_b.runner) == (1.0, "nasfpn_runner")


def test_a_ranking_that_stays():
    ranking = judge_ranking(["a", "b"], hold(((10.0, 20.0), 30), ((15.0, 29.0), 30)))
    assert (ranking.order, ranking.first, ranking.last, ranking.turned) == ("the same", ("a", "b"), ("a", "b"), ())


def test_a_ranking_that_turns():
    ranking = judge_ranking(["a", "b"], hold(((10.0, 12.0), 30), ((15.0, 13.0), 30)))
    assert (ranking.order, ranking.first, ranking.last) == ("changed", ("a", "b"), ("b", "a"))
    assert ranking.turned == (("b", "a"),)  # faster in the end, slower in the end
    assert judge_ranking(["a", "b"], hold(((12.0, 10.0), 30), ((13.0, 15.0), 30))).turned == (("a", "b"),)


def test_medians_that_change_places_without_a_shown_difference():
    first = [(10.0, 10.1), (10.0, 10.1), (10.0, 10.1), (10.2, 10.1)] * 3
    last = [(b, a) for a, b in first]
    ranking = judge_ranking(["a", "b"], cycles_of(*first, *last))
    assert (ranking.first, ranking.last) == (("a", "b"), ("b", "a"))
    assert (ranking.order, ranking.turned, ranking.unshown) == ("not shown", (), (("a", "b"),))


@pytest.mark.parametrize(
    ("first", "last", "order", "unshown"),
    [
        ((10.0, 20.0, 20.0), (10.0, 20.0, 20.0), "not shown", (("b", "c"),)),  # a tie both times
        ((10.0, 20.0, 20.0), (10.0, 20.0, 25.0), "not shown", (("b", "c"),)),  # one that came apart
        ((10.0, 20.0, 20.0), (25.0, 20.0, 20.0), "changed", (("b", "c"),)),  # beside two others that turned
        ((10.0, 20.0, 30.0), (11.0, 22.0, 33.0), "the same", ()),
    ],
)
def test_a_tie_has_no_order(first, last, order, unshown):
    ranking = judge_ranking(["a", "b", "c"], cycles_of(*[first] * 6, *[last] * 6))
    assert (ranking.order, ranking.unshown) == (order, unshown)


def test_nothing_to_rank():
    assert judge_ranking(["a"], hold(((10.0, 20.0), 30))) is None
    assert judge_ranking(["a", "b"], cycles_of((10.0, 20.0))) is None
    assert judge_ranking(["a", "b"], cycles_of((10.0, 20.0), (10.0, 20.0))).order == "not shown"


def test_too_few_cycles_show_nothing():
    ranking = judge_ranking(["a", "b"], hold(((10.0, 20.0), 8)))
    assert (ranking.order, ranking.window_cycles) == ("not shown", (4, 4))
