"""Rows of a profile brought back to the operators of the file: by number outside delegates, by their order inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.op_profile import OperatorTime
from nasfpn_lite.android_bench.row_alignment import align
from nasfpn_lite.android_bench.row_kinds import list_patterns, row_kind

if TYPE_CHECKING:
    from nasfpn_lite.converters.graph_view import GraphView

MOST_MISFITS = 0.03  # of a partition's rows: beyond, its rows are not those of this file
_LEAST_MISFITS = 2


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
    """All rows of a profile, in run order; `problems` says in words what could not be matched, and why."""

    rows: tuple[MatchedRow, ...]
    problems: tuple[str, ...]


def match_rows(rows: Sequence[OperatorTime], graph: "GraphView") -> Matching:
    """Finds the operators that the rows of a profile come from; what is not sure stays without."""
    outside: dict[int, int] = {}
    problems: list[str] = []
    for place, row in enumerate(rows):
        if row.kind == "operator" and row.index is not None:
            if row.index < len(graph.operators) and graph.operators[row.index].name == row.node_type:
                outside[place] = row.index
            else:
                problems.append(f"the profile's operator {row.index}, {row.node_type}, is not in the file")
    matched = [
        MatchedRow(row, row.run_ms, (outside[place],) if place in outside else ())
        for place, row in enumerate(rows)
        if row.kind != "delegated"
    ]
    runs = split_runs(rows)
    if not runs:
        return Matching(tuple(matched), tuple(problems))
    parts = split_partitions(graph, frozenset(outside.values()))
    if problems or len(parts) != len(runs):
        problems.append(_explain_parts(len(parts), len(runs)))
        delegated = [MatchedRow(row, row.run_ms, ()) for row in rows if row.kind == "delegated"]
        return Matching((*matched, *delegated), tuple(problems))
    for part, run in zip(parts, runs, strict=True):
        matched += _match_run(run, part, graph, problems)
    return Matching(tuple(matched), tuple(problems))


def split_partitions(graph: "GraphView", outside: frozenset[int]) -> list[list[int]]:
    """Returns the operators of each part that a delegate took, in the order in which TFLite makes and runs the parts.

    Each part takes every operator of its kind, in or outside the delegate, that has its inputs by then.

    Args:
        outside: Positions of the operators that no delegate took.
    """
    left, ready = list(range(len(graph.operators))), set[int]()
    parts: list[list[int]] = []
    while left:
        is_outside: bool | None = None
        part: list[int] = []
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
        if not is_outside:
            parts.append(part)
    return parts


def split_runs(rows: Sequence[OperatorTime]) -> list[list[OperatorTime]]:
    """Returns the rows of each part that a delegate took; numbers begin anew in each.

    The tool adds up rows of one kind and number in several parts, at the place of the first: they are put back where
    the later parts have gaps.
    """
    runs: list[list[OperatorTime]] = []
    last: int | None = None
    for row in rows:
        if row.kind != "delegated":
            last = None
            continue
        index = row.index if row.index is not None else (last or 0) + 1
        if last is None or index <= last:
            runs.append([])
        runs[-1].append(row)
        last = index
    spare = [[row, row.calls_per_run - 1] for run in runs for row in run if row.calls_per_run > 1]
    return [runs[0], *(_fill_gaps(run, spare) for run in runs[1:])] if spare else runs


def _explain_parts(parts: int, runs: int) -> str:
    if runs < parts:
        return (
            f"delegates took {parts} parts of the model, and the tool adds up their rows of one kind and number: they "
            "cannot be told apart"
        )
    return f"expected {parts} parts of the model in delegates, got rows of {runs}: is this the profile of this file?"


def _fill_gaps(run: Sequence[OperatorTime], spare: list[list]) -> list[OperatorTime]:
    known = {row.index: row for row in run}
    filled: list[OperatorTime] = []
    index = 0
    last = max((row.index for row in run if row.index is not None), default=-1)
    while index <= last or any(row.index == index and calls > 0 for row, calls in spare):
        if index in known:
            filled.append(known[index])
        else:
            fitting = [item for item in spare if item[0].index == index and item[1] > 0]
            if len(fitting) == 1:
                fitting[0][1] -= 1
                filled.append(fitting[0][0])
            elif index > last:
                break
        index += 1
    return filled


def _match_run(
    run: Sequence[OperatorTime], part: Sequence[int], graph: "GraphView", problems: list[str]
) -> list[MatchedRow]:
    patterns = [list_patterns(graph.operators[place], graph) for place in part]
    most = max(_LEAST_MISFITS, int(MOST_MISFITS * len(run)))
    found = align(patterns, [row_kind(row.node_type) for row in run], most_misfits=most)
    if found is None:
        problems.append(
            f"the {len(run)} rows of a delegate do not fit the {len(part)} operators of the file that it took, in "
            "their order: is this the profile of this file, and of a known release of LiteRT?"
        )
        found = [frozenset()] * len(run)
    elif any(not items for items in found):
        problems.append(f"{sum(not items for items in found)} rows of a delegate fit no operator of the file surely")
    return [
        MatchedRow(row, row.average_ms, tuple(sorted(part[item] for item in items)))
        for row, items in zip(run, found, strict=True)
    ]
