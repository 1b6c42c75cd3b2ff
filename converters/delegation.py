"""Which operators an interpreter on this machine hands to XNNPACK, found out by trying."""

from dataclasses import dataclass
from typing import Any

from nasfpn_lite.converters.graph_view import GraphView

_DELEGATE = "DELEGATE"  # the name of the operators that stand for a part of the graph


@dataclass(frozen=True)
class Delegation:
    """What an interpreter did with a graph.

    Attributes:
        positions: Places of the operators that XNNPACK runs.
        parts: Number of pieces that they form; data passes from kernel to kernel at their borders.
    """

    positions: frozenset[int]
    parts: int


def measure_delegation(interpreter: Any, graph: GraphView) -> Delegation:
    """Finds the operators of a graph that a loaded interpreter runs inside XNNPACK.

    The interpreter tells only what enters and leaves each delegated part: its operators are those between. An operator
    whose results nobody reads counts as left outside.

    Args:
        interpreter: With allocated tensors, from the file that `graph` was read from.
        graph: The file's first subgraph.
    """
    borders = _borders(interpreter, len(graph.operators))
    found: set[int] = set()
    for entering, leaving in borders:
        found |= _between(graph, entering, leaving)
    return Delegation(frozenset(found), len(borders))


def _borders(interpreter: Any, count: int) -> list[tuple[set[int], set[int]]]:
    # Delegates are appended behind the file's own operators.
    appended = interpreter._get_ops_details()[count:]
    return [
        ({int(index) for index in operator["inputs"]}, {int(index) for index in operator["outputs"]})
        for operator in appended
        if operator["op_name"] == _DELEGATE
    ]


def _between(graph: GraphView, entering: set[int], leaving: set[int]) -> set[int]:
    found: set[int] = set()
    open_tensors = set(leaving)
    while open_tensors:
        maker = graph.producers.get(open_tensors.pop())
        if maker is None or maker.position in found:
            continue
        found.add(maker.position)
        open_tensors |= {tensor.index for tensor in maker.inputs if tensor is not None} - entering
    return found
