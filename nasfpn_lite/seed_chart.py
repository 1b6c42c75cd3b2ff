"""Two sides of trainings as an SVG that stands by itself: a dot per seed, means with intervals, and the difference."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from nasfpn_lite.compare_runs import RunComparison

_WIDTH, _HEIGHT = 640, 250
_LEFT, _RIGHT, _TOP = 190, 28, 52
_ROW = 44  # pixels from side to side
_TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_MOST_TICKS = 8
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}.end{text-anchor:end}
.middle{text-anchor:middle}.grid{stroke:#ddd}.zero{stroke:#888;stroke-dasharray:4 3}.dot{fill:#2563a8;fill-opacity:.55}
.mean{fill:#1b3f6b}.whisker{stroke:#1b3f6b;stroke-width:1.8;fill:none}.photos{stroke:#b45309;stroke-width:1.8;fill:none}
"""


def draw_seeds(comparison: RunComparison) -> str:
    """Draws AP of both sides above, their difference below, on axes of their own."""
    spans = [[*values.values(), mean.low, mean.high] for values, mean in _sides(comparison)]
    above = _Axis([value for span in spans for value in span], 2, _TOP)
    others = [0.0, *comparison.test.interval, *(comparison.image_interval or ())]
    below = _Axis([*others, *_paired_differences(comparison)], 1, above.bottom + 52)
    parts = [f'<text x="16" y="24" class="title">{escape(comparison.verdict.partition(":")[0])}</text>']
    parts += [*above.grid(), *below.grid(), below.line(0.0, "zero")]
    for place, (name, (values, mean)) in enumerate(zip("AB", _sides(comparison), strict=True)):
        parts += above.row(place, f"{name}, AP points", list(values.values()), mean.mean, (mean.low, mean.high))
    test = comparison.test
    parts += below.row(0, "A less B", _paired_differences(comparison), test.difference, test.interval)
    legend = "95 % over seeds"
    if comparison.image_interval is not None:
        low, high = (below.x(value) for value in comparison.image_interval)
        parts.append(f'<path d="M{low:.1f} {below.y(0) + 12:.1f}H{high:.1f}" class="photos"/>')
        legend += "; orange: over photos, for these networks"
    height = below.bottom + 44
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{height - 8}" class="end">bars: {legend}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(comparison.verdict)}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _sides(comparison: RunComparison) -> list[tuple]:
    return list(zip(comparison.values, comparison.means, strict=True))


def _paired_differences(comparison: RunComparison) -> list[float]:
    first, second = comparison.values
    return [first[seed] - second[seed] for seed in first] if first.keys() == second.keys() else []


class _Axis:
    """AP points in pixels, for some rows below each other."""

    def __init__(self, values: Sequence[float], rows: int, top: float) -> None:
        span = max(values) - min(values)
        self.step = next((step for step in _TICK_STEPS if span / step <= _MOST_TICKS - 2), _TICK_STEPS[-1])
        self.low = math.floor(min(values) / self.step) * self.step
        self.high = max(math.ceil(max(values) / self.step) * self.step, self.low + self.step)
        self.top, self.bottom = top, top + rows * _ROW

    def x(self, value: float) -> float:
        return _LEFT + (value - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, row: int) -> float:
        return self.top + (row + 0.5) * _ROW

    def line(self, value: float, style: str) -> str:
        return f'<path d="M{self.x(value):.1f} {self.top}V{self.bottom}" class="{style}"/>'

    def grid(self) -> Iterator[str]:
        for tick in range(round((self.high - self.low) / self.step) + 1):
            value = round(self.low + tick * self.step, 6)
            yield self.line(value, "grid")
            yield f'<text x="{self.x(value):.1f}" y="{self.bottom + 16}" class="middle">{value:g}</text>'

    def row(
        self, place: int, name: str, values: Sequence[float], mean: float, interval: tuple[float, float]
    ) -> Iterator[str]:
        y, (low, high) = self.y(place), (self.x(value) for value in interval)
        yield f'<text x="{_LEFT - 12}" y="{y + 4:.1f}" class="end">{escape(name)}: {mean:.2f}</text>'
        ends = f"M{low:.1f} {y - 5:.1f}v10M{high:.1f} {y - 5:.1f}v10"
        yield f'<path d="M{low:.1f} {y:.1f}H{high:.1f}{ends}" class="whisker"/>'
        for value in values:
            yield f'<circle cx="{self.x(value):.1f}" cy="{y - 11:.1f}" r="4.5" class="dot"/>'
        yield f'<path d="M{self.x(mean):.1f} {y - 7:.1f}l6 7l-6 7l-6 -7z" class="mean"/>'
