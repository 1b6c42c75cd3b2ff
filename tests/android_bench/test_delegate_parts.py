"""Parts of a model in and outside a delegate, worked out by hand."""

import pytest

from nasfpn_lite.android_bench.delegate_parts import place_rows, split_parts
from nasfpn_lite.android_bench.op_profile import OperatorTime
from nasfpn_lite.converters.graph_view import view_graphs
from tests.hand_made_tflite import HandMade


@pytest.fixture(scope="module")
def graph():
    """x -> 0 -> 1 -> 2 -> 3, and 4 reads x."""
    made = HandMade()
    x, a, b, c, d, e = (made.tensor((1, 4)) for _ in range(6))
    for source, target in ((x, a), (a, b), (b, c), (c, d), (x, e)):
        made.op("RELU", [source], [target])
    made.graph.main.inputs, made.graph.main.outputs = [x], [d, e]
    return view_graphs(made.graph.model)[0]


@pytest.mark.parametrize(
    ("outside", "parts"),
    [
        (set(), [([0, 1, 2, 3, 4], True)]),
        ({0, 1, 2, 3, 4}, [([0, 1, 2, 3, 4], False)]),
        ({1}, [([0, 4], True), ([1], False), ([2, 3], True)]),  # 4 runs before 1, though it comes after it in the file
        ({0}, [([0], False), ([1, 2, 3, 4], True)]),
        ({0, 2, 4}, [([0, 4], False), ([1], True), ([2], False), ([3], True)]),
    ],
)
def test_parts_take_all_that_is_ready(graph, outside, parts):
    assert split_parts(graph, frozenset(outside)) == parts


def row(index, kind="delegated"):
    return OperatorTime(kind, "RELU", "", index, 1.0, 1.0, 1, 0.1)


def place(graph, *rows, outside=frozenset({1})):
    placed = place_rows(rows, split_parts(graph, outside))
    return None if placed is None else [(part, [item.index for item in found]) for part, found in placed]


def test_rows_lie_between_operators_outside(graph):
    assert place(graph, row(0), row(1), row(1, "operator"), row(0)) == [([0, 4], [0, 1]), ([2, 3], [0])]
    assert place(graph, row(1, "operator")) == [([0, 4], []), ([2, 3], [])]
    outside = frozenset({0})
    assert place(graph, row(0, "operator"), row(2), row(3), outside=outside) == [([1, 2, 3, 4], [2, 3])]


@pytest.mark.parametrize(
    "rows",
    [
        (row(1), row(0)),  # numbers fall
        (row(0), row(0)),
        (row(None),),
    ],
)
def test_rows_of_something_else(graph, rows):
    assert place(graph, *rows) is None


def test_rows_where_no_delegate_ran(graph):
    everything = frozenset(range(5))
    assert place(graph, row(0, "operator"), row(0), outside=everything) is None
    assert place(graph, row(0, "operator"), outside=everything) == []
