"""Turns with and without the profiler, joined row by row."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.op_profile import OperatorTime
from nasfpn_lite.android_bench.profile_run import find_gaps, join_profiles
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
