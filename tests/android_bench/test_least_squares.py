"""Coefficients worked out by hand."""

import pytest

from nasfpn_lite.android_bench.least_squares import fit_nonnegative


@pytest.mark.parametrize(
    ("rows", "values", "expected"),
    [
        ([(1, 1), (2, 1), (3, 1)], [5, 7, 9], (2, 3)),  # 2 x + 3
        ([(1, 1), (2, 1), (3, 1)], [1, 3, 5], (11 / 7, 0)),  # 2 x - 1 is not allowed: (1 + 6 + 15) / (1 + 4 + 9)
        ([(1, 1), (2, 1), (3, 1)], [3, 2, 1], (0, 2)),  # falling: the mean
        ([(2, 0, 1)], [6], (3, 0, 0)),  # one row, one column
        ([(0, 0, 1), (0, 0, 1)], [4, 6], (0, 0, 5)),
        ([(1, 2), (2, 4), (3, 6)], [2, 4, 6], (2, 0)),  # the second column follows from the first
        ([(1, 1), (2, 1)], [0, 0], (0, 0)),
        ([(1e9, 1e3, 1), (2e9, 5e3, 1), (5e9, 7e3, 1), (7e9, 1e3, 1)], [1.3, 2.7, 5.9, 7.3], (1e-9, 1e-4, 0.2)),
    ],
)
def test_fits(rows, values, expected):
    assert fit_nonnegative(rows, values) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_value_off_the_line_moves_it():
    rows = [(1, 1), (2, 1), (3, 1), (4, 1)]
    slope, constant = fit_nonnegative(rows, [4, 5, 6, 9])
    # mean x 2.5, mean y 6; (-1.5 * -2) + (-0.5 * -1) + 0 + (1.5 * 3) = 8; 8 / 5 = 1.6; 6 - 1.6 * 2.5 = 2
    assert (slope, constant) == pytest.approx((1.6, 2.0))
