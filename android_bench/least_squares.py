"""Least squares with no negative coefficient, for few columns and many rows, in plain Python."""

from collections.abc import Sequence
from itertools import combinations

_SINGULAR = 1e-10


def fit_nonnegative(rows: Sequence[Sequence[float]], values: Sequence[float]) -> tuple[float, ...]:
    """Finds the coefficients, none below 0, that come closest to the values by the sum of squares.

    All subsets of columns are tried, which is exact: the best lies where some coefficients are 0 and the others are the
    plain least squares of their columns. No more columns are used than there are rows; of equally good sets the first,
    smaller one counts.

    Args:
        rows: Each of the same few numbers, not negative.
        values: One for each row.
    """
    width = len(rows[0])
    scales = [max(abs(row[column]) for row in rows) or 1.0 for column in range(width)]
    scaled = [[row[column] / scales[column] for column in range(width)] for row in rows]
    best, least = (0.0,) * width, sum(value * value for value in values)
    for count in range(1, min(width, len(rows)) + 1):
        for columns in combinations(range(width), count):
            found = _solve_columns(scaled, values, columns)
            if found is None or min(found) < 0:
                continue
            error = sum(
                (value - sum(row[column] * factor for column, factor in zip(columns, found, strict=True))) ** 2
                for row, value in zip(scaled, values, strict=True)
            )
            if error < least * (1 - _SINGULAR):
                least = error
                chosen = dict(zip(columns, found, strict=True))
                best = tuple(chosen.get(column, 0.0) / scales[column] for column in range(width))
    return best


def _solve_columns(
    rows: Sequence[Sequence[float]], values: Sequence[float], columns: Sequence[int]
) -> list[float] | None:
    """Returns the plain least squares of some columns; None where one of them follows from the others."""
    matrix = [
        [sum(row[first] * row[second] for row in rows) for second in columns]
        + [sum(row[first] * value for row, value in zip(rows, values, strict=True))]
        for first in columns
    ]
    return _eliminate(matrix)


def _eliminate(matrix: list[list[float]]) -> list[float] | None:
    """Solves square equations, the right side in the last column, by Gauss and Jordan with pivots."""
    size = len(matrix)
    largest = max(abs(value) for row in matrix for value in row[:size])
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        if abs(matrix[pivot][column]) <= _SINGULAR * largest:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[column], strict=True)]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]
