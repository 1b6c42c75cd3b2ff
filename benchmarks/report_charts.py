"""Charts as inline SVG that take their colours from the page, so that they follow light and dark and print well."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 640
_BAR_HEIGHT, _BAR_GAP, _LABEL_WIDTH, _VALUE_WIDTH = 20, 10, 190, 120
_PLOT_HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 238, 52, 56, 14, 14
_ENTRY_WIDTH = 195  # of the legend
_TICKS = 4


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        text: What stands at its end.
        interval: Drawn as a whisker.
    """

    label: str
    value: float
    text: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Line:
    """One curve: (x, y) points, x growing."""

    label: str
    points: Sequence[tuple[float, float]]


def draw_bars(bars: Sequence[Bar], *, title: str, value_width: int = _VALUE_WIDTH) -> str:
    """Draws horizontal bars from zero, with room of `value_width` for the text at their ends."""
    ends = [max(bar.value, bar.interval[1] if bar.interval else 0) for bar in bars]
    room = _WIDTH - _LABEL_WIDTH - value_width
    scale = room / (max(ends, default=0) or 1)
    parts = []
    for index, (bar, end) in enumerate(zip(bars, ends, strict=True)):
        top = index * (_BAR_HEIGHT + _BAR_GAP) + 4
        middle = top + _BAR_HEIGHT / 2
        parts.append(f'<text x="{_LABEL_WIDTH - 10}" y="{middle}" class="label end">{escape(bar.label)}</text>')
        length = max(bar.value * scale, 0)
        parts.append(
            f'<rect x="{_LABEL_WIDTH}" y="{top}" width="{length:.1f}" height="{_BAR_HEIGHT}" rx="2" class="bar"/>'
        )
        if bar.interval:
            low, high = (_LABEL_WIDTH + value * scale for value in bar.interval)
            parts.append(
                f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 5}v10M{high:.1f} {middle - 5}v10" '
                'class="whisker"/>'
            )
        parts.append(f'<text x="{_LABEL_WIDTH + end * scale + 10:.1f}" y="{middle}" class="value">{bar.text}</text>')
    spoken = "; ".join(f"{bar.label} {bar.text}" for bar in bars)
    return make_svg(parts, height=len(bars) * (_BAR_HEIGHT + _BAR_GAP) + 8, title=title, spoken=spoken)


def draw_lines(lines: Sequence[Line], *, title: str, x_label: str, y_reach: float = 0) -> str:
    """Draws curves over a common x axis; y starts at zero and reaches at least to `y_reach`."""
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    x_end = max(x for line in lines for x, _ in line.points)
    x_ticks = make_ticks(x_end)
    y_ticks = make_ticks(max(y_reach, *(y for line in lines for _, y in line.points)))
    x_scale = (_WIDTH - _LEFT - _RIGHT) / (x_end or 1)
    y_scale = (_PLOT_HEIGHT - _TOP - _BOTTOM) / y_ticks[-1]
    floor = _PLOT_HEIGHT - _BOTTOM
    parts = []
    for y in y_ticks:
        at = floor - y * y_scale
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at:.1f}" class="tick end">{y:g}</text>')
    for x in (tick for tick in x_ticks if tick <= x_end):
        parts.append(f'<text x="{_LEFT + x * x_scale:.1f}" y="{floor + 16}" class="tick middle">{x:g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{floor + 32}" class="tick end">{escape(x_label)}</text>')
    for number, line in enumerate(lines):
        places = [(_LEFT + x * x_scale, floor - y * y_scale) for x, y in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{path}" class="line series{number}"/>')
        if len(places) <= 12:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot series{number}"/>' for x, y in places]
        parts.append(_legend_entry(number, line.label))
    spoken = "; ".join(f"{line.label} ends at {line.points[-1][1]:.3g}" for line in lines)
    return make_svg(parts, height=_PLOT_HEIGHT, title=title, spoken=spoken)


def make_ticks(largest: float) -> list[float]:
    """Returns round numbers from 0 to just above `largest`, a 1, 2 or 5 times a power of ten apart."""
    if not largest > 0 or not math.isfinite(largest):
        return [0.0, 1.0]
    rough = largest / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [round(step * number, 12) for number in range(math.ceil(largest / step - 1e-9) + 1)]


def _legend_entry(number: int, label: str) -> str:
    x, y = _LEFT + 4 + number * _ENTRY_WIDTH, _PLOT_HEIGHT - 6
    return (
        f'<path d="M{x} {y - 4}h18" class="line series{number}"/>'
        f'<text x="{x + 24}" y="{y - 4}" class="tick">{escape(label)}</text>'
    )


def make_svg(parts: Sequence[str], *, height: float, title: str, spoken: str) -> str:
    """Returns the picture; `spoken` is what a screen reader says of it."""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(f"{title}: {spoken}")}">'
        f"{''.join(parts)}</svg>"
    )
