"""Medians with distribution-free confidence intervals: latencies are skewed, so no normal distribution is assumed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median and the interval that covers the true median with probability CONFIDENCE.

    Attributes:
        coverage: The interval's exact probability; below CONFIDENCE where there are fewer than six values.
    """

    median: float
    low: float
    high: float
    coverage: float

    @property
    def relative_width(self) -> float:
        """Returns the interval's width as a share of the median."""
        return (self.high - self.low) / self.median if self.median else math.inf


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the value below which `percent` of 100 lie, interpolated linearly between neighbours."""
    if not values:
        raise ValueError("a percentile needs at least one value, got none")
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def median_ranks(count: int, confidence: float = CONFIDENCE) -> tuple[int, int, float]:
    """Finds the order statistics that bound the median.

    Returns:
        (low, high, coverage): 0-based ranks of the tightest symmetric interval that covers the median with at least
        `confidence`, or of the smallest and largest value where none does.

    Source: the number of values below the median is Binomial(count, 1/2); David and Nagaraja, Order Statistics, 7.1.
    """
    if count < 1:
        raise ValueError(f"an interval needs at least one value, got {count}")
    low, tail = 0, 0.5**count
    while low + 1 <= (count - 1) // 2:
        wider_tail = tail + math.comb(count, low + 1) * 0.5**count
        if 1 - 2 * wider_tail < confidence:
            break
        low, tail = low + 1, wider_tail
    return low, count - 1 - low, max(0.0, 1 - 2 * tail)


def estimate_median(values: Sequence[float]) -> Estimate:
    """Estimates the median of what the values were drawn from; they must be independent."""
    ordered = sorted(values)
    low, high, coverage = median_ranks(len(ordered))
    return Estimate(percentile(ordered, 50), ordered[low], ordered[high], coverage)
