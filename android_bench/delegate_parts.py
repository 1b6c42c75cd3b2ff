"""The parts of a model that a delegate took, as TFLite makes them, and the rows of a profile that lie in each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.op_profile import OperatorTime

if TYPE_CHECKING:
    from nasfpn_lite.converters.graph_view import GraphView

Part = list[int]  # positions of operators in the file
Slot = tuple[OperatorTime, ...]  # rows that one place of a part may have: one, or those of other parts that may be it


def split_parts(graph: "GraphView", outside: frozenset[int]) -> list[tuple[Part, bool]]:
    """Returns the operators of each part, and whether a delegate took it, in the order in which they run.

    As TFLite does it: each part takes every operator of its kind, in or outside the delegate, that has its inputs by
    then; so parts inside and outside alternate.

    Args:
        outside: Positions of the operators that no delegate took.
    """
    left, ready = list(range(len(graph.operators))), set[int]()
    parts: list[tuple[Part, bool]] = []
    while left:
        is_outside: bool | None = None
        part: Part = []
        for place in left:
            operator = graph.operators[place]
            inputs = [tensor.index for tensor in operator.inputs if tensor is not None]
            if any(index in graph.producers and index not in ready for index in inputs):
                continue
            if is_outside is None:
                is_outside = place in outside
            if (place in outside) == is_outside:
                part.append(place)
                ready.update(tensor.index for tensor in operator.outputs)
        if not part:
            break  # a loop: no file that runs
        left = [place for place in left if place not in set(part)]
        parts.append((part, not is_outside))
    return parts


def place_rows(
    rows: Sequence[OperatorTime], parts: Sequence[tuple[Part, bool]]
) -> list[tuple[Part, list[OperatorTime]]] | None:
    """Returns each part that a delegate took with its rows.

    Operators outside the delegate, which have a row each, tell between which of them a part ran. The tool adds up rows
    of one kind and number in several parts, and shows them where the first of these ran: the others lack them.

    Returns:
        None where a row lies where no delegate ran, or the numbers in a part do not grow.
    """
    place_of = {place: number for number, (part, _) in enumerate(parts) for place in part}
    found: list[list[OperatorTime]] = [[] for _ in parts]
    current = 0 if parts and parts[0][1] else 1
    for row in rows:
        if row.kind == "operator" and row.index is not None:
            current = place_of[row.index] + 1
        elif row.kind == "delegated":
            if current >= len(parts) or not parts[current][1] or row.index is None:
                return None
            if found[current] and row.index <= (found[current][-1].index or 0):
                return None
            found[current].append(row)
    return [(part, found[number]) for number, (part, is_inside) in enumerate(parts) if is_inside]
