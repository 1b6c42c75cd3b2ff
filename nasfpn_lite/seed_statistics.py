"""What a handful of trainings can say: means over seeds, their difference, and how many seeds it would take."""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasfpn_lite.student import t_cumulative, t_quantile

CONFIDENCE = 0.95
POWER = 0.8  # how often a needed number of seeds would show the difference
LEAST_SEEDS = 2
MOST_SEEDS = 1000  # more are not counted


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its t-interval; the values are taken to be independent and roughly normal."""

    mean: float
    low: float
    high: float
    deviation: float


@dataclass(frozen=True)
class SeedTest:
    """The difference of two means over seeds.

    Attributes:
        method: "paired t-test" or "Welch's t-test".
        assumption: In words.
        interval: Of the difference, CONFIDENCE.
        p_value: Two-sided.
        spread: What chance alone does to one seed's difference, a standard deviation; 0 if no two seeds differ.
        degrees_per_seed: By which the degrees of freedom would grow with one more seed on each side: 1 for pairs, else
            between 1 and 2, for the side that varies more counts for more.
    """

    method: str
    assumption: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    degrees: float
    spread: float
    degrees_per_seed: float

    @property
    def seeds_needed(self) -> int | None:
        """On each side, to show a true difference as large as this one, with POWER; None above MOST_SEEDS."""
        counts = range(LEAST_SEEDS, MOST_SEEDS + 1)
        place = bisect.bisect_left(counts, True, key=self._are_enough)
        return counts[place] if place < len(counts) else None

    def _are_enough(self, seeds: int) -> bool:
        degrees = self.degrees_per_seed * (seeds - 1)
        margin = (_critical(degrees) + t_quantile(POWER, degrees)) * self.spread / math.sqrt(seeds)
        return margin <= abs(self.difference)


def estimate_mean(values: Sequence[float]) -> Mean:
    """Estimates the mean that more and more seeds would come to; needs LEAST_SEEDS values."""
    mean, deviation = sum(values) / len(values), math.sqrt(_variance(values))
    half = _critical(len(values) - 1) * deviation / math.sqrt(len(values))
    return Mean(mean, mean - half, mean + half, deviation)


def compare_means(first: Mapping[int, float], second: Mapping[int, float]) -> SeedTest:
    """Compares values by seed, first less second: in pairs if both sides have the same seeds, else by Welch's test."""
    if first.keys() == second.keys():
        return _paired([first[seed] - second[seed] for seed in first])
    return _welch(list(first.values()), list(second.values()))


def _paired(differences: list[float]) -> SeedTest:
    count, spread = len(differences), math.sqrt(_variance(differences))
    difference, error, degrees = sum(differences) / count, spread / math.sqrt(count), count - 1
    return SeedTest(
        method="paired t-test",
        assumption="the differences of equal seeds are independent and roughly normal",
        difference=difference,
        **_judge(difference, error, degrees),
        spread=spread,
        degrees_per_seed=1,
    )


def _welch(first: list[float], second: list[float]) -> SeedTest:
    sides = (first, second)
    parts = [_variance(values) / len(values) for values in sides]
    freedom = sum(part**2 / (len(values) - 1) for part, values in zip(parts, sides, strict=True))
    degrees = sum(parts) ** 2 / freedom if freedom else float(len(first) + len(second) - 2)
    difference = sum(first) / len(first) - sum(second) / len(second)
    variances = [_variance(values) for values in sides]
    squares = sum(variance**2 for variance in variances)
    return SeedTest(
        method="Welch's t-test",
        assumption="values are independent and roughly normal, with a spread of its own on each side",
        difference=difference,
        **_judge(difference, math.sqrt(sum(parts)), degrees),
        spread=math.sqrt(sum(variances)),
        degrees_per_seed=sum(variances) ** 2 / squares if squares else 2.0,
    )


def _judge(difference: float, error: float, degrees: float) -> dict[str, Any]:
    half = _critical(degrees) * error
    surprise = abs(difference) / error if error else math.copysign(math.inf, difference)
    p_value = 2 * t_cumulative(-surprise, degrees) if math.isfinite(surprise) else float(difference == 0)
    return {"interval": (difference - half, difference + half), "p_value": p_value, "degrees": float(degrees)}


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _critical(degrees: float) -> float:
    return t_quantile((1 + CONFIDENCE) / 2, degrees)
