"""Student's t distribution for any number of degrees of freedom, without SciPy."""

import functools
import math

_TINY = 1e-300
_ENOUGH = 1e-14
_MOST_TERMS = 10_000
_LARGEST_T = 1e9


def t_cumulative(t: float, degrees: float) -> float:
    """Returns the probability of a value up to t; degrees need not be whole."""
    tail = 0.5 * _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))
    return 1 - tail if t > 0 else tail


@functools.cache
def t_quantile(probability: float, degrees: float) -> float:
    """Returns the t below which a value lies with a probability of 0.5 up to 1, both excluded at the upper end."""
    if not (0.5 <= probability < 1 and degrees > 0):
        raise ValueError(f"expected a probability in 0.5..1 and positive degrees, got {probability}, {degrees}")
    low, high = 0.0, 1.0
    while t_cumulative(high, degrees) < probability and high < _LARGEST_T:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if t_cumulative(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function; its continued fraction by Lentz's method (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    fraction, c, d = 1.0, 1.0, 0.0
    for term in range(_MOST_TERMS):
        m = term // 2
        if term == 0:
            factor = 1.0
        elif term % 2 == 0:
            factor = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            factor = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _not_zero(1 + factor * d)
        c = _not_zero(1 + factor / c)
        fraction *= c * d
        if abs(1 - c * d) < _ENOUGH and term:
            break
    return math.exp(log_front) * (fraction - 1) / a


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
