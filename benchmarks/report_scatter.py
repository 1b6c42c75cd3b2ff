"""Points in a plane, with labels that keep clear of each other: AP against latency, as in the paper's Fig. 9b."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from nasfpn_lite.benchmarks.report_charts import make_svg

PUBLISHED = -1  # a series of its own: hollow diamonds

_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 16, 28, 46
_CHARACTER, _LINE, _MARK = 6.6, 15.0, 5.0  # pixels: mean width of a letter, height of a label, half a marker
_RINGS = (10, 18, 28, 40, 54, 70, 88, 108, 130)  # distances of a label from its point, nearest first
_DIRECTIONS = tuple(2 * math.pi * step / 16 for step in (0, 8, 15, 1, 7, 9, 14, 2, 6, 10, 13, 3, 5, 11, 12, 4))
_TICKS = 5
_EDGE = 0.3  # of a step between round numbers: half a label's height and more
_FROM_ZERO = 0.3  # an axis whose values begin lower than this share of its end begins at 0

Box = tuple[float, float, float, float]  # left, top, right, bottom
Place = tuple[float, float]


@dataclass(frozen=True)
class Point:
    """One point.

    Attributes:
        series: 0 and up, each with a marker of its own; PUBLISHED for what others published.
        interval: Of x, drawn as a whisker.
    """

    x: float
    y: float
    label: str
    series: int
    interval: tuple[float, float] | None = None


def draw_points(points: Sequence[Point], *, title: str, x_label: str, y_label: str, least_height: float = 0.0) -> str:
    """Draws points with their labels; a label for which there is no room is left out.

    Args:
        least_height: What the y axis spans at least.
    """
    if not points:
        return ""
    x_ticks = make_span([value for point in points for value in (point.x, *(point.interval or ()))])
    y_ticks = make_span([point.y for point in points], least_height, _EDGE)
    places = [_to_place(point.x, point.y, x_ticks, y_ticks) for point in points]
    parts = _draw_axes(x_ticks, y_ticks, x_label, y_label)
    whiskers = [_to_place(x, point.y, x_ticks, y_ticks) for point in points for x in point.interval or ()]
    spans = list(zip(whiskers[::2], whiskers[1::2], strict=True))
    for (low, y), (high, _) in spans:
        path = f"M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 4:.1f}v8M{high:.1f} {y - 4:.1f}v8"
        parts.append(f'<path d="{path}" class="whisker"/>')
    parts += [draw_marker(point.series, *place) for point, place in zip(points, places, strict=True)]
    boxes = place_labels(places, [point.label for point in points], [spot for span in spans for spot in _spots(*span)])
    for point, place, box in zip(points, places, boxes, strict=True):
        if box is not None:
            parts.append(_draw_label(point, place, box))
    spoken = "; ".join(f"{point.label} {point.x:.4g}, {point.y:.4g}" for point in points)
    return make_svg(parts, height=_HEIGHT, title=title, spoken=spoken)


def make_span(values: Sequence[float], least: float = 0.0, edge: float = 0.0) -> list[float]:
    """Returns round numbers around all values, from 0 if the least of them is small beside the largest.

    Args:
        least: What they span at least.
        edge: How far values stay from both ends, but from 0, in steps between the numbers: room for labels.
    """
    low, high = min(values), max(values)
    if low < _FROM_ZERO * high:
        low = min(low, 0.0)
    if low == high and not least:
        low, high = low - abs(low) / 10 - 1e-3, high + abs(high) / 10 + 1e-3
    missing = max(least - (high - low), 0.0) / 2
    low, high = low - missing, high + missing
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.floor((low / step - edge if low else 0.0) + 1e-9)
    last = math.ceil(high / step + edge - 1e-9)
    return [round(step * number, 12) for number in range(first, last + 1)]


def draw_marker(series: int, x: float, y: float) -> str:
    """Draws a series' marker; nine series differ in colour or shape."""
    if series == PUBLISHED:
        return f'<path d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z" class="published"/>'
    style = f'class="dot series{series % 3}"'
    shape = series // 3 % 3
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" {style}/>'
    if shape == 1:
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" {style}/>'
    return f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" {style}/>'


def draw_legend(entries: Sequence[tuple[int, str]]) -> str:
    """Returns a list of series with their markers, in HTML."""
    items = "".join(
        f'<li><svg viewBox="0 0 14 14" aria-hidden="true">{draw_marker(series, 7, 7)}</svg> {escape(text)}</li>'
        for series, text in entries
    )
    return f'<ul class="legend">{items}</ul>'


def place_labels(places: Sequence[Place], labels: Sequence[str], whiskers: Sequence[Place] = ()) -> list[Box | None]:
    """Finds a box for each label that lies in the chart and meets no marker, no other label and no other's line.

    Args:
        places: Of the points, in pixels.
        whiskers: Spots along whiskers, which labels keep clear of too.

    Returns:
        None for a label without room, and for an empty one.
    """
    across = sorted(range(len(places)), key=places.__getitem__)
    orders = (range(len(places)), across, across[::-1])
    tries = [_place_in_order(order, places, labels, whiskers) for order in orders]
    return max(tries, key=lambda boxes: sum(box is not None for box in boxes))


def _place_in_order(
    order: Sequence[int], places: Sequence[Place], labels: Sequence[str], whiskers: Sequence[Place]
) -> list[Box | None]:
    """Gives each label the nearest room that those before it leave."""
    found: list[Box | None] = [None] * len(places)
    lines: list[list[Place]] = []
    for index in order:
        place, label = places[index], labels[index]
        taken = [box for box in found if box is not None]
        others = [other for other in (*places, *whiskers) if other != place]
        boxes = _boxes_around(place, label) if label else ()
        box = next((box for box in boxes if _is_free(box, place, taken, lines, others)), None)
        found[index] = box
        if box is not None:
            lines.append(_line_to(place, box))
    return found


def _boxes_around(place: Place, label: str) -> Iterator[Box]:
    width = _CHARACTER * len(label) + 4
    for distance in _RINGS:
        for angle in _DIRECTIONS:
            x, y = place[0] + distance * math.cos(angle), place[1] + distance * math.sin(angle)
            left = x - width * (1 - math.cos(angle)) / 2  # beside the point it begins or ends there, above it centres
            yield left, y - _LINE / 2, left + width, y + _LINE / 2


def _is_free(
    box: Box, place: Place, taken: Sequence[Box], lines: Sequence[Sequence[Place]], others: Sequence[Place]
) -> bool:
    left, top, right, bottom = box
    if left < _LEFT or right > _WIDTH - _RIGHT or top < _TOP or bottom > _HEIGHT - _BOTTOM:
        return False
    if any(left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in taken):
        return False
    wide = (left - _MARK, top - _MARK, right + _MARK, bottom + _MARK)
    if any(_holds(wide, other) for other in others) or any(_holds(box, spot) for line in lines for spot in line):
        return False
    ours = _line_to(place, box)
    return not any(_holds(other, spot) for other in taken for spot in ours)


def _holds(box: Box, spot: Place) -> bool:
    return box[0] < spot[0] < box[2] and box[1] < spot[1] < box[3]


def _line_to(place: Place, box: Box) -> list[Place]:
    """Returns spots from a point to the nearest spot of its label's box."""
    x, y = min(max(place[0], box[0]), box[2]), min(max(place[1], box[1]), box[3])
    return _spots(place, (x, y))


def _spots(start: Place, end: Place) -> list[Place]:
    steps = 20 + int(math.dist(start, end) / _MARK)  # no label fits between two of them
    return [
        (start[0] + (end[0] - start[0]) * i / steps, start[1] + (end[1] - start[1]) * i / steps)
        for i in range(steps + 1)
    ]


def _draw_label(point: Point, place: Place, box: Box) -> str:
    end = _line_to(place, box)[-1]
    far = math.dist(place, end) > 2 * _MARK
    line = f'<path d="M{place[0]:.1f} {place[1]:.1f}L{end[0]:.1f} {end[1]:.1f}" class="leader"/>' if far else ""
    kind = "tick halo" if point.series == PUBLISHED else "name"
    middle = (box[0] + box[2]) / 2
    return (
        f'{line}<text x="{middle:.1f}" y="{box[1] + _LINE / 2:.1f}" class="{kind} middle">{escape(point.label)}</text>'
    )


def _to_place(x: float, y: float, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> Place:
    across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
    up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
    return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def _draw_axes(x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str, y_label: str) -> list[str]:
    floor, parts = _HEIGHT - _BOTTOM, []
    for value in y_ticks:
        _, y = _to_place(x_ticks[0], value, x_ticks, y_ticks)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y:.1f}" class="tick end">{value:g}</text>')
    for value in x_ticks:
        x, _ = _to_place(value, y_ticks[0], x_ticks, y_ticks)
        parts.append(f'<path d="M{x:.1f} {floor}v5" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 16}" class="tick middle">{value:g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{floor + 36}" class="tick end">{escape(x_label)}</text>')
    parts.append(f'<text x="4" y="10" class="tick">{escape(y_label)}</text>')
    return parts
