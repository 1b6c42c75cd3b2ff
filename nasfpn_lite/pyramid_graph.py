"""A pyramid as dots and arcs in a plane, for a picture like the paper's figures 6 and 7. No Keras, no matplotlib.

A dot stands at (column, level): inputs in column 0, each cell in a column of its own, in their order.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nasfpn_lite.errors import UserError
from nasfpn_lite.genotype import Genotype
from nasfpn_lite.specs import NeckSpec

DOT_RADIUS = 0.2  # in columns
ROW_HEIGHT = 1.15  # in columns
_LABEL_REACH = 0.34  # from the middle of a dot to that of its number
_CROSSING = 0.3  # length at which one arc is near another that it merely crosses
_GAP = 0.07  # between an arc and a dot that it passes
_SHIFTS = tuple(sign * step / 5 for step in range(11) for sign in (1, -1))  # how far an arc may bulge, in columns
_SAMPLES_PER_COLUMN = 16

Point = tuple[float, float]


@dataclass(frozen=True)
class Dot:
    """One feature.

    Attributes:
        op: "sum", "attention", or "" where nothing is merged.
    """

    column: int
    level: int
    kind: Literal["input", "cell", "output"]
    op: str = ""

    @property
    def point(self) -> Point:
        """(x, y) in columns, upwards."""
        return float(self.column), self.level * ROW_HEIGHT


@dataclass(frozen=True)
class Arc:
    """One feature used by another: places in the list of dots.

    Attributes:
        dangling: The source is used by no cell and added to the output of its level.
    """

    source: int
    target: int
    dangling: bool = False


@dataclass(frozen=True)
class PyramidGraph:
    """All dots, each behind those it is made of, and all arcs."""

    dots: tuple[Dot, ...]
    arcs: tuple[Arc, ...]


def graph_of_neck(neck: NeckSpec) -> PyramidGraph:
    """Returns the graph of a neck's pyramid; of FPN's, the first, which makes P6 and P7 by strided convolutions.

    Raises:
        UserError: It has no pyramid.
    """
    if neck.genotype is not None:
        return graph_of_genotype(neck.genotype)
    if neck.kind != "fpn":
        raise UserError("SSDLite has no pyramid to draw, since it merges no features: name an fpn or nasfpn variant")
    return _graph_of_fpn(neck)


def graph_of_genotype(genotype: Genotype) -> PyramidGraph:
    """Returns the graph of a genotype; dots are its nodes."""
    dots = [Dot(0, level, "input") for level in genotype.levels]
    arcs = []
    outputs = set(genotype.outputs.values())
    for index, (cell, dangling) in enumerate(zip(genotype.cells, genotype.dangling, strict=True)):
        node = genotype.num_inputs + index
        dots.append(Dot(index + 1, cell.level, "output" if node in outputs else "cell", cell.op))
        arcs += [Arc(source, node) for source in cell.inputs]
        arcs += [Arc(source, node, dangling=True) for source in dangling]
    return PyramidGraph(tuple(dots), tuple(arcs))


def _graph_of_fpn(neck: NeckSpec) -> PyramidGraph:
    top = min(5, neck.max_level)
    dots = [Dot(0, level, "input") for level in range(neck.min_level, top + 1)]
    merged = {dot.level: place for place, dot in enumerate(dots)}
    outputs: dict[int, int] = {}
    arcs: list[Arc] = []
    for column, level in enumerate(range(top - 1, neck.min_level - 1, -1), start=1):
        arcs += [Arc(merged[level], len(dots)), Arc(merged[level + 1], len(dots))]
        merged[level] = len(dots)
        dots.append(Dot(column, level, "cell", "sum"))
    column = dots[-1].column + 1
    for level in neck.levels:
        arcs.append(Arc(merged[level] if level <= top else outputs[level - 1], len(dots)))
        outputs[level] = len(dots)
        dots.append(Dot(column + max(0, level - top), level, "output"))
    return PyramidGraph(tuple(dots), tuple(arcs))


def route(graph: PyramidGraph) -> dict[Arc, tuple[Point, ...]]:
    """Lays every arc from the rim of one dot to that of another, around the other dots, and off the other arcs.

    Where nothing is free, the way that touches least is taken. Short arcs choose first.
    """
    points = [dot.point for dot in graph.dots]
    routes: dict[Arc, tuple[Point, ...]] = {}
    for arc in sorted(graph.arcs, key=lambda arc: math.dist(points[arc.source], points[arc.target])):
        start, end = points[arc.source], points[arc.target]
        others = [point for place, point in enumerate(points) if place not in (arc.source, arc.target)]
        best, least = [start, end], math.inf
        for shift in _SHIFTS:
            if abs(shift) >= least:
                break
            way = _bend(start, end, shift)
            cost = abs(shift) + 100 * _count_hits(way, others)
            if cost < least:
                cost += 4 * _share(way, routes.values())
            if cost < least:
                best, least = way, cost
        routes[arc] = tuple(
            point for point in best if min(math.dist(point, start), math.dist(point, end)) >= DOT_RADIUS
        )
    return routes


def place_labels(graph: PyramidGraph, routes: Mapping[Arc, Sequence[Point]]) -> list[Point]:
    """Returns for each dot a place beside it and off all arcs, below and to the right if that is free."""
    taken = [point for way in routes.values() for point in way]
    turns = [math.radians(degrees) for degrees in range(-60, 300, 30) if degrees % 180]  # off the row
    places = []
    for x, y in (dot.point for dot in graph.dots):
        around = [(x + _LABEL_REACH * math.cos(turn), y + _LABEL_REACH * math.sin(turn)) for turn in turns]
        room = [min((math.dist(place, point) for point in taken), default=1.0) for place in around]
        places.append(next(place for place, space in zip(around, room, strict=True) if space >= min(0.15, max(room))))
    return places


def _bend(start: Point, end: Point, shift: float) -> list[Point]:
    """A cubic curve whose middle is `shift` to the left of the straight line; long ones have a flat middle."""
    length = math.dist(start, end)
    along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
    reach, aside = min(1.0, length / 3), shift / 0.75
    across = (-along[1] * aside, along[0] * aside)
    first = (start[0] + along[0] * reach + across[0], start[1] + along[1] * reach + across[1])
    second = (end[0] - along[0] * reach + across[0], end[1] - along[1] * reach + across[1])
    steps, way = math.ceil(length * _SAMPLES_PER_COLUMN), []
    for step in range(steps + 1):
        t = step / steps
        weights, corners = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3), (start, first, second, end)
        x, y = (sum(w * corner[axis] for w, corner in zip(weights, corners, strict=True)) for axis in (0, 1))
        way.append((x, y))
    return way


def _count_hits(way: Sequence[Point], dots: Sequence[Point]) -> int:
    return sum(any(math.dist(point, dot) < DOT_RADIUS + _GAP for point in way) for dot in dots)


def _share(way: Sequence[Point], others: Iterable[Sequence[Point]]) -> float:
    """How much of a way, in columns, runs so close beside another arc that the two look like one."""
    inner = [point for point in way if min(math.dist(point, way[0]), math.dist(point, way[-1])) > 2 * DOT_RADIUS]
    shared = 0.0
    for other in others:
        close = sum(any(math.dist(point, taken) < _GAP for taken in other) for point in inner) / _SAMPLES_PER_COLUMN
        shared += max(0.03, close - _CROSSING) if close else 0.0
    return shared
