import math

import pytest

from nasfpn_lite.student import t_cumulative, t_quantile

# Any printed table: two-sided 95 %, and one-sided 80 %.
TABLE = {(0.975, 1): 12.7062, (0.975, 2): 4.30265, (0.975, 4): 2.77645, (0.975, 10): 2.22814, (0.975, 1e6): 1.95997,
         (0.8, 1): 1.37638, (0.8, 2): 1.06066, (0.8, 10): 0.87906}  # fmt: skip


@pytest.mark.parametrize(("probability", "degrees"), TABLE)
def test_quantiles_of_the_table(probability: float, degrees: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(TABLE[probability, degrees], rel=5e-6)


@pytest.mark.parametrize("t", [-3.0, -0.1, 0.0, 0.7, 20.0])
def test_distributions_in_closed_form(t: float) -> None:
    assert t_cumulative(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-12)
    assert t_cumulative(t, 2) == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t * t)), abs=1e-12)


def test_fractions_of_a_degree_lie_between() -> None:
    assert t_quantile(0.975, 3) < t_quantile(0.975, 2.5) < t_quantile(0.975, 2)
    assert t_quantile(0.5, 7) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("probability", "degrees"), [(0.4, 3), (1.0, 3), (0.9, 0)])
def test_what_has_no_quantile_is_refused(probability: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="expected a probability"):
        t_quantile(probability, degrees)
