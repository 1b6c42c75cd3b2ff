"""Medians, ranks and percentiles against tables."""

import pytest

from nasfpn_lite.benchmarks.statistics import estimate_median, median_ranks, percentile


@pytest.mark.parametrize(
    ("count", "low", "high", "coverage"),
    [
        # Published tables of the sign test's 95 % interval, here 0-based.
        (5, 0, 4, 0.9375),
        (6, 0, 5, 0.96875),
        (9, 1, 7, 0.9609375),
        (20, 5, 14, 0.958610534),
        (25, 7, 17, 0.956714750),
    ],
)
def test_ranks(count, low, high, coverage):
    assert median_ranks(count)[:2] == (low, high)
    assert median_ranks(count)[2] == pytest.approx(coverage)


def test_one_value_covers_nothing():
    assert median_ranks(1) == (0, 0, 0.0)


def test_estimate_of_unsorted_values():
    estimate = estimate_median([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0])
    assert (estimate.median, estimate.low, estimate.high) == (5.0, 2.0, 8.0)
    assert estimate.relative_width == pytest.approx(6 / 5)


@pytest.mark.parametrize(("percent", "value"), [(0, 10.0), (50, 25.0), (90, 37.0), (100, 40.0)])
def test_percentile_interpolates(percent, value):
    assert percentile([40.0, 10.0, 30.0, 20.0], percent) == pytest.approx(value)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 50)
