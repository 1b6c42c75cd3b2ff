"""Turns with and without the profiler, joined row by row."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.op_profile import OperatorTime
from nasfpn_lite.android_bench.profile_run import find_discord, find_gaps, join_profiles
from nasfpn_lite.android_bench.session_options import SessionError
from tests.fake_profiles import make_result

ROWS = tuple(OperatorTime("delegated", kind, "", place, 9.0, 1.0, 1, 0.5) for place, kind in enumerate(("Add", "Copy")))


def with_times(*times):
    return tuple(replace(row, average_ms=ms) for row, ms in zip(ROWS, times, strict=True))


def test_the_median_of_each_row():
    joined = join_profiles([with_times(1.0, 5.0), with_times(2.0, 90.0), with_times(30.0, 6.0)])
    assert [row.average_ms for row in joined] == [2.0, 6.0]
    assert [row.node_type for row in joined] == ["Add", "Copy"]
    assert join_profiles([ROWS]) == ROWS


@pytest.mark.parametrize("other", [ROWS[:1], (ROWS[0], replace(ROWS[1], index=7)), (*ROWS, ROWS[0])])
def test_turns_of_different_rows(other):
    with pytest.raises(SessionError, match="expected the same rows in each turn's profile"):
        join_profiles([ROWS, other])


@pytest.mark.parametrize(("unmatched_ms", "gaps"), [(1.0, 0), (1.1, 1)])
def test_too_much_in_no_layer(unmatched_ms, gaps):
    result = make_result("a", [("ADD int8", 0, 1, 10.0 - unmatched_ms)], unmatched_ms=unmatched_ms)
    assert len(find_gaps(result.profile)) == gaps


@pytest.mark.parametrize(
    ("latency_ms", "rows_ms", "doubts"),
    [
        (66.79, 34.35, 1),  # a host that held up the turns without the profiler
        (34.35, 66.79, 1),
        (10.0, 7.41, 0),  # up to 25 % and 0.1 ms
        (10.0, 7.39, 1),
        (10.0, 12.59, 0),
        (10.0, 12.61, 1),
        (30.67, 30.66, 0),  # genuine, benchmark_model 2.14.1
        (0.666, 0.573, 0),  # genuine, LiteRT 2.3.0
        (0.006, 0.003, 0),  # genuine, a model of three operators
    ],
)
def test_rows_that_do_not_add_up_to_a_run(latency_ms, rows_ms, doubts):
    assert len(find_discord(latency_ms, rows_ms)) == doubts


def test_rows_that_do_not_add_up_are_told_with_both_figures():
    (text,) = find_discord(66.79, 34.35)
    assert "34.35 ms" in text and "66.79 ms" in text and "more --turns" in text
