"""Rows of a profile brought back to the operators of the file: by number outside delegates, by their order inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.delegate_parts import Part, Slot, place_rows, split_parts
from nasfpn_lite.android_bench.op_profile import OperatorTime
from nasfpn_lite.android_bench.row_alignment import Alignment, align
from nasfpn_lite.android_bench.row_kinds import Pattern, list_patterns, row_kind

if TYPE_CHECKING:
    from nasfpn_lite.converters.graph_view import GraphView

MOST_MISFITS = 0.03  # of a part's rows: beyond, its rows are not those of this file
_LEAST_MISFITS = 2
_OTHER_FILE = "is this the profile of this file, by a known release of LiteRT?"


@dataclass(frozen=True)
class MatchedRow:
    """One row, once for each part of the model in which it ran.

    Attributes:
        ms: In one run.
        operators: Positions in the file of those it comes from: one, or several between which nothing tells; empty if
            it fits none, or not surely.
    """

    row: OperatorTime
    ms: float
    operators: tuple[int, ...]


@dataclass(frozen=True)
class Matching:
    """All rows of a profile; `problems` says in words what could not be matched, and why."""

    rows: tuple[MatchedRow, ...]
    problems: tuple[str, ...]


def match_rows(rows: Sequence[OperatorTime], graph: "GraphView") -> Matching:
    """Finds the operators that the rows of a profile come from; what is not sure stays without."""
    outside: dict[int, int] = {}
    for place, row in enumerate(rows):
        if row.kind == "operator" and row.index is not None and row.index < len(graph.operators):
            if graph.operators[row.index].name == row.node_type:
                outside[place] = row.index
    others = [
        MatchedRow(row, row.run_ms, (outside[place],) if place in outside else ())
        for place, row in enumerate(rows)
        if row.kind != "delegated"
    ]
    strange = [item.row for item in others if not item.operators and item.row.kind == "operator"]
    inside = [row for row in rows if row.kind == "delegated"]
    if strange:
        problem = (
            f"the profile's operator {strange[0].index}, {strange[0].node_type}, is not in the file: {_OTHER_FILE}"
        )
    elif not inside:
        return Matching(tuple(others), ())
    else:
        placed = place_rows(rows, split_parts(graph, frozenset(outside.values())))
        if placed is not None:
            delegated, problems = _match_parts(placed, graph)
            return Matching((*others, *delegated), tuple(problems))
        problem = f"the rows of delegates do not lie between the file's other operators as they should: {_OTHER_FILE}"
    return Matching((*others, *(MatchedRow(row, row.run_ms, ()) for row in inside)), (problem,))


def _match_parts(
    parts: Sequence[tuple[Part, Sequence[OperatorTime]]], graph: "GraphView"
) -> tuple[list[MatchedRow], list[str]]:
    """Matches part after part; rows that the tool added up are taken from earlier parts until they are used up."""
    calls: dict[int, int] = {}  # left, by the identity of the row
    earlier: list[OperatorTime] = []
    found: list[tuple[Slot, tuple[int, ...]]] = []
    problems: list[str] = []
    for part, own in parts:
        calls |= {id(row): row.calls_per_run for row in own}
        spare = [row for row in earlier if calls[id(row)] > 0]
        slots, alignment = _match_part(part, own, spare, graph)
        if alignment is None:
            problems.append(f"the {len(own)} rows of a delegate do not fit the operators that it took: {_OTHER_FILE}")
        for number, slot in enumerate(slots):
            operators = alignment.operators[number] if alignment else frozenset()
            row = _choose(slot, [list_patterns(graph.operators[part[item]], graph) for item in operators])
            if row is not None:
                calls[id(row)] -= 1
                found.append(((row,), tuple(sorted(part[item] for item in operators))))
        earlier += own
    unsure = {key for key, left in calls.items() if left != 0}
    if unsure:
        problems.append(f"{len(unsure)} rows that the tool added up over parts of the model cannot be told apart")
    return _to_matched(found, earlier, unsure, problems), problems


def _match_part(
    part: Part, own: Sequence[OperatorTime], spare: Sequence[OperatorTime], graph: "GraphView"
) -> tuple[list[Slot], Alignment | None]:
    """Finds the slots of a part and their operators: of all lengths that its rows allow the one with fewest misfits."""
    numbers = {row.index: row for row in own}
    shortest = max((row.index or 0 for row in own), default=-1) + 1
    slots: list[Slot] = []
    while True:
        row = numbers.get(len(slots))
        slot = (row,) if row is not None else tuple(item for item in spare if item.index == len(slots))
        if not slot and len(slots) >= shortest:
            break
        slots.append(slot)
    patterns = [list_patterns(graph.operators[place], graph) for place in part]
    kinds = [tuple(row_kind(row.node_type) for row in slot) for slot in slots]
    most = max(_LEAST_MISFITS, int(MOST_MISFITS * len(slots)))
    best: tuple[int, Alignment] | None = None
    for length in range(len(slots), shortest - 1, -1):
        alignment = align(patterns, kinds[:length], most_misfits=most)
        if alignment is not None and (best is None or alignment.misfits < best[1].misfits):
            best = length, alignment
    if best is None:
        return [(row,) for row in own], None
    return slots[: best[0]], best[1]


def _choose(slot: Slot, patterns: Sequence[Sequence[Pattern]]) -> OperatorTime | None:
    """Returns the row of a slot: of several the first that fits its operator."""
    if len(slot) <= 1:
        return slot[0] if slot else None
    parts = [part for ways in patterns for way in ways for part in way]
    fitting = [row for row in slot if any(part.fullmatch(row_kind(row.node_type)) for part in parts)]
    return fitting[0] if fitting else None


def _to_matched(
    found: Sequence[tuple[Slot, tuple[int, ...]]],
    rows: Sequence[OperatorTime],
    unsure: set[int],
    problems: list[str],
) -> list[MatchedRow]:
    """Returns all rows of delegates; each that is unsure once, with its whole time."""
    sure = [MatchedRow(slot[0], slot[0].average_ms, items) for slot, items in found if id(slot[0]) not in unsure]
    misfits = sum(not item.operators for item in sure)
    if misfits and not any(_OTHER_FILE in problem for problem in problems):
        problems.append(f"{misfits} rows of a delegate fit no operator of the file surely")
    return [*sure, *(MatchedRow(row, row.run_ms, ()) for row in rows if id(row) in unsure)]
