import math

import pytest

from nasfpn_lite.errors import UserError
from nasfpn_lite.genotype import GENOTYPES, NASFPN_7, NASFPN_P3P6_9
from nasfpn_lite.pyramid_graph import (
    DOT_RADIUS,
    Arc,
    Dot,
    PyramidGraph,
    graph_of_genotype,
    graph_of_neck,
    place_labels,
    route,
)
from nasfpn_lite.specs import NeckSpec
from nasfpn_lite.variants import VARIANTS


def test_seven_cells_literally():
    graph = graph_of_genotype(NASFPN_7)
    assert graph.dots == (
        *(Dot(0, level, "input") for level in (3, 4, 5, 6, 7)),
        Dot(1, 4, "cell", "attention"),
        Dot(2, 4, "cell", "sum"),
        Dot(3, 3, "output", "sum"),
        Dot(4, 4, "output", "sum"),
        Dot(5, 5, "output", "attention"),
        Dot(6, 7, "output", "attention"),
        Dot(7, 6, "output", "attention"),
    )
    solid = [(arc.source, arc.target) for arc in graph.arcs if not arc.dangling]
    assert solid == [pair for node, cell in enumerate(NASFPN_7.cells, 5) for pair in ((i, node) for i in cell.inputs)]
    assert [(arc.source, arc.target) for arc in graph.arcs if arc.dangling] == [(2, 9), (4, 10)]


def test_an_intermediate_cell_that_nobody_uses_is_dashed():
    dashed = [(arc.source, arc.target) for arc in graph_of_genotype(NASFPN_P3P6_9).arcs if arc.dangling]
    assert dashed == [(7, 10), (8, 10), (3, 12)]


def test_fpn_as_it_is_built():
    graph = graph_of_neck(VARIANTS["fpn_r50_3x256"].neck)
    assert graph.dots == (
        Dot(0, 3, "input"),
        Dot(0, 4, "input"),
        Dot(0, 5, "input"),
        Dot(1, 4, "cell", "sum"),
        Dot(2, 3, "cell", "sum"),
        Dot(3, 3, "output"),
        Dot(3, 4, "output"),
        Dot(3, 5, "output"),
        Dot(4, 6, "output"),
        Dot(5, 7, "output"),
    )
    pairs = [(1, 3), (2, 3), (0, 4), (3, 4), (4, 5), (3, 6), (2, 7), (7, 8), (8, 9)]
    assert graph.arcs == tuple(Arc(*pair) for pair in pairs)


def test_a_low_fpn_ends_below_p5():
    graph = graph_of_neck(NeckSpec("fpn", 3, 4, width=8))
    assert [dot.level for dot in graph.dots] == [3, 4, 3, 3, 4]


def test_ssdlite_has_none():
    with pytest.raises(UserError, match="SSDLite has no pyramid"):
        graph_of_neck(VARIANTS["ssdlite"].neck)


def nearest(graph, way, arc):
    others = [dot.point for place, dot in enumerate(graph.dots) if place not in (arc.source, arc.target)]
    return min(math.dist(point, other) for point in way for other in others)


@pytest.mark.parametrize("name", GENOTYPES)
def test_no_arc_crosses_a_dot_that_is_not_its_own(name):
    graph = graph_of_genotype(GENOTYPES[name])
    routes = route(graph)
    assert set(routes) == set(graph.arcs)
    for arc, way in routes.items():
        assert nearest(graph, way, arc) > DOT_RADIUS
        ends = graph.dots[arc.source].point, graph.dots[arc.target].point
        assert math.dist(way[0], ends[0]) == pytest.approx(DOT_RADIUS, abs=0.1)
        assert math.dist(way[-1], ends[1]) == pytest.approx(DOT_RADIUS, abs=0.1)


def test_an_arc_bends_around_a_dot_and_is_straight_where_it_can_be():
    graph = PyramidGraph((Dot(0, 3, "input"), Dot(1, 3, "cell"), Dot(2, 3, "output")), (Arc(0, 2), Arc(1, 2)))
    bent, straight = (route(graph)[arc] for arc in graph.arcs)
    row = graph.dots[0].point[1]
    assert max(abs(y - row) for _, y in straight) < 1e-9
    assert max(abs(y - row) for _, y in bent) > DOT_RADIUS


def test_two_arcs_between_neighbours_do_not_look_like_one():
    """0 -> 2 passes above or below 1; 0 -> 3 must pass 1 and 2 and keep off the arc to 2."""
    dots = tuple(Dot(column, 3, "cell") for column in range(4))
    routes = route(PyramidGraph(dots, (Arc(0, 2), Arc(0, 3))))
    middles = [way[len(way) // 2][1] - dots[0].point[1] for way in routes.values()]
    assert abs(middles[0] - middles[1]) > 0.15


def test_labels_keep_off_the_arcs():
    for genotype in GENOTYPES.values():
        graph = graph_of_genotype(genotype)
        routes = route(graph)
        for (x, y), dot in zip(place_labels(graph, routes), graph.dots, strict=True):
            assert math.dist((x, y), dot.point) == pytest.approx(0.34)
            assert min(math.dist((x, y), point) for way in routes.values() for point in way) > 0.05
