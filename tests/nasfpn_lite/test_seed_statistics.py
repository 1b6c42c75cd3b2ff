"""Worked by hand with the t table: t(.975; 1) = 12.706, t(.975; 2) = 4.3027, t(.8; 4) = 0.941."""

import math
import random

import pytest

from nasfpn_lite.seed_statistics import compare_means, estimate_mean


def test_mean_of_three_seeds() -> None:
    # 40, 42, 44: deviation 2, half width 4.3027 * 2 / sqrt(3) = 4.9683.
    found = estimate_mean([40, 42, 44])
    assert (found.mean, found.deviation) == (42, 2)
    assert (found.low, found.high) == (pytest.approx(37.0317, abs=1e-3), pytest.approx(46.9683, abs=1e-3))


def test_equal_seeds_are_paired_in_any_order() -> None:
    # Differences 1, 2, 3: mean 2, deviation 1, error .57735, half width 2.4841; t = 3.4641 with 2 degrees.
    test = compare_means({0: 40, 1: 42, 2: 44}, {2: 41, 0: 39, 1: 40})
    assert (test.method, test.difference, test.spread, test.degrees) == ("paired t-test", 2, 1, 2)
    assert test.interval == (pytest.approx(-0.4841, abs=1e-3), pytest.approx(4.4841, abs=1e-3))
    assert test.p_value == pytest.approx(1 - 3.4641 / math.sqrt(2 + 12), abs=1e-4)  # two degrees, in closed form
    # (t.975 + t.8) / sqrt(n): 2.080 with 4 seeds, (2.7764 + .9410) / sqrt(5) = 1.662 with 5.
    assert test.seeds_needed == 5


def test_other_seeds_are_not_paired() -> None:
    # Variances 4 / 3 and .5 / 2: error 1.25831, degrees 1.58333^2 / (1.33333^2 / 2 + .25^2 / 1) = 2.6350.
    test = compare_means({0: 40, 1: 42, 2: 44}, {1: 30, 2: 31})
    assert test.method == "Welch's t-test"
    assert (test.difference, test.degrees) == (11.5, pytest.approx(2.6350, abs=1e-4))
    half = 1.25831 * 3.44697  # t(.975; 2.635)
    assert test.interval == (pytest.approx(11.5 - half, abs=1e-3), pytest.approx(11.5 + half, abs=1e-3))
    assert test.spread == pytest.approx(math.sqrt(4.5))


def test_seeds_needed_where_one_side_alone_varies() -> None:
    # Variances 16 and .0001: degrees as of one side alone. Difference 9, spread 4: (t.975 + t.8) 4 / sqrt(n) is
    # (4.3027 + 1.0607) 2.3094 = 12.39 with 3 seeds, (3.1824 + .9785) 2 = 8.32 with 4.
    test = compare_means({0: 46, 1: 50, 2: 54}, {3: 40.99, 4: 41, 5: 41.01})
    assert test.degrees_per_seed == pytest.approx(1, abs=1e-4) and test.interval[0] < 0
    assert test.seeds_needed == 4
    assert compare_means({0: 40, 1: 42}, {2: 30, 3: 32}).degrees_per_seed == 2


def test_no_difference_needs_more_seeds_than_anyone_trains() -> None:
    assert compare_means({0: 40, 1: 42}, {0: 42, 1: 40}).seeds_needed is None
    assert compare_means({0: 40, 1: 42}, {2: 42, 3: 40}).p_value == 1


def test_no_spread_at_all() -> None:
    same = compare_means({0: 1, 1: 2}, {0: 1, 1: 2})
    assert (same.spread, same.p_value, same.interval) == (0, 1, (0, 0))
    apart = compare_means({0: 3, 1: 3}, {2: 1, 3: 1})
    assert (apart.spread, apart.p_value, apart.interval) == (0, 0, (2, 2))


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_cover_the_truth_as_often_as_they_say(paired: bool) -> None:
    rng, covered, trials = random.Random(0), 0, 300
    for _ in range(trials):
        common = [rng.gauss(0, 3) for _ in range(3)]
        first = {seed: 1.5 + common[seed] + rng.gauss(0, 1) for seed in range(3)}
        second = {seed: (common[seed] if paired else 0) + rng.gauss(0, 1) for seed in range(3)}
        test = compare_means(first, second if paired else {seed + 3: value for seed, value in second.items()})
        covered += test.interval[0] <= 1.5 <= test.interval[1]
    assert 0.90 < covered / trials < 0.985  # 1.96 in place of t would cover .81
