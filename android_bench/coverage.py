"""How much of a model a delegate ran, from what the tool and its runtime print, and a check that it is enough."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nasfpn_lite.android_bench.log_traps import LogError
from nasfpn_lite.android_bench.op_profile import OperatorTime, parse_one_run, parse_profile, total_ms
from nasfpn_lite.errors import UserError

# "of M" since 2021; the end names the subgraph since 2022, before that there is none or "the whole graph".
_REPLACING = re.compile(
    r"Replacing (\d+)(?: out of (\d+))? node\(s\) with delegate \((\w+)\) node, yielding (\d+) partitions"
    r"(?: for subgraph (\d+))?"
)
# 2020: "Applied X delegate, and the model graph will be completely executed w/ the delegate."
_APPLIED = re.compile(
    r"(?:Explicitly a|A)pplied (\w+) delegate, and the model graph will be (completely|partially) executed "
    r"(?:by|w/) the delegate(?: w/ (\d+) delegate kernels)?"
)
# Our own runner, whose runtime says only whether all was taken.
_OWN = re.compile(r"Operators: (\d+), fully_accelerated=([01])")
_PLAIN = "Use xnnpack: [0]"
_KNOWN = {
    "TfLiteXNNPackDelegate": "XNNPACK",
    "TfLiteGpuDelegateV2": "GPU",
    "LITERT_CL": "GPU",  # LiteRT's own, by OpenCL
    "TfLiteNnapiDelegate": "NNAPI",
}


class CoverageError(UserError):
    """A delegate ran less of the model than it was to run, or nobody can tell."""


@dataclass(frozen=True)
class Coverage:
    """What the delegates took of the model's main graph.

    Attributes:
        delegates: Names, in the order in which they were applied.
        nodes: Of the graph before any delegate; None if nothing tells.
        delegated_nodes: Of those, the ones that run in a delegate; None if nothing tells.
        partitions: Pieces of the graph that delegates run; None if nothing tells.
        share: Of the nodes that run in a delegate, 0 to 1; None if nothing tells.
        time_share: Of the time that is spent in delegates, 0 to 1; None unless all runs were profiled.
        left_out: Operators that run outside, and how many of each; empty without a profile.
    """

    delegates: tuple[str, ...] = ()
    nodes: int | None = None
    delegated_nodes: int | None = None
    partitions: int | None = None
    share: float | None = None
    time_share: float | None = None
    left_out: tuple[tuple[str, int], ...] = ()


def read_coverage(log: str, *, operators: Sequence[OperatorTime] | None = None, nodes: int | None = None) -> Coverage:
    """Finds out what ran where.

    Args:
        log: Standard output and error of the tool.
        operators: The profile, if it is not in the log.
        nodes: Operators in the model file's main graph, if known: with a profile they stand in for a silent runtime.
    """
    coverage = _from_replacements(log) or _from_statements(log) or Coverage()
    timed = operators if operators is not None else _find_profile(log)
    rows = timed or parse_one_run(log)
    if not rows:
        return coverage
    outside = Counter(row.node_type for row in rows if row.kind == "operator")
    time_ms = total_ms(timed)
    coverage = replace(
        coverage,
        time_share=1 - total_ms(timed, "operator") / time_ms if time_ms > 0 else None,
        left_out=tuple(outside.most_common()),
    )
    if coverage.share is not None:
        return coverage
    return replace(coverage, **_from_profile(outside.total(), len(rows), coverage.nodes or nodes))


def read_share(log: str, delegate: str) -> float | None:
    """Returns the share of the operators, 0 to 1, that one delegate took; None if nothing tells.

    Args:
        delegate: Its name, e.g. "GPU".
    """
    items = _find_replacements(log)
    if items:
        taken = sum(item.taken for item in items if item.delegate == delegate)
        return min(1.0, taken / items[0].of) if items[0].of else None
    is_whole = any(name == delegate and extent == "completely" for name, extent, _ in _APPLIED.findall(log))
    return 1.0 if is_whole else None


def check_coverage(coverage: Coverage, minimum: float) -> None:
    """Checks that delegates ran at least a share of the model's operators.

    Args:
        minimum: 0 to 1; at 0 everything passes.

    Raises:
        CoverageError: It is less, or nothing tells.
    """
    if not 0 <= minimum <= 1:
        raise CoverageError(f"expected a coverage between 0 and 1, got {minimum}: 1 is every operator")
    if minimum == 0:
        return
    if coverage.share is None:
        raise CoverageError(
            f"expected delegates to run at least {minimum:.0%} of the operators, but the log does not say what they "
            "ran: measure with the project's own runner, which says it, or ask for a profile"
        )
    if coverage.share < minimum:
        raise CoverageError(
            f"expected delegates to run at least {minimum:.0%} of the operators, got {describe(coverage)}: change the "
            "operators that stay outside, or lower the minimum"
        )


def describe(coverage: Coverage) -> str:
    """Says in a few words what ran where."""
    if coverage.share is None:
        return "unknown coverage"
    words = f"{coverage.share:.1%}"
    if coverage.nodes is not None:
        words += f" ({coverage.delegated_nodes} of {coverage.nodes})"
    if coverage.delegates:
        words += f" in {', '.join(coverage.delegates)}"
    if coverage.partitions:
        words += f", {coverage.partitions} {'part' if coverage.partitions == 1 else 'parts'}"
    if coverage.left_out:
        words += "; outside: " + ", ".join(f"{name} x {count}" for name, count in coverage.left_out)
    return words


@dataclass(frozen=True)
class _Replacement:
    delegate: str
    taken: int
    of: int | None
    pieces: int


def _find_replacements(log: str) -> list[_Replacement]:
    """Reads the runtime's own lines on the main graph.

    A second delegate sees the first one's pieces as nodes, so that only the first "out of" counts the model's own.
    """
    found: dict[str, _Replacement] = {}
    for taken, of, kernel, pieces, subgraph in _REPLACING.findall(log):
        if int(subgraph or 0) == 0:
            # A delegate that is applied anew says so again: its last line holds.
            found[kernel] = _Replacement(_KNOWN.get(kernel, kernel), int(taken), int(of) if of else None, int(pieces))
    return list(found.values())


def _from_replacements(log: str) -> Coverage | None:
    items = _find_replacements(log)
    if not items:
        return None
    first, *later = items
    taken = sum(item.taken for item in items)
    return Coverage(
        delegates=tuple(item.delegate for item in items),
        nodes=first.of,
        delegated_nodes=taken,
        partitions=None if later else _delegated_pieces(first),
        share=min(1.0, taken / first.of) if first.of else None,
    )


def _delegated_pieces(item: _Replacement) -> int | None:
    """Counts a delegate's own pieces where that can be told: the line counts what it left out too."""
    return 1 if item.taken == item.of else None


def _from_profile(outside: int, rows: int, nodes: int | None) -> dict[str, Any]:
    """Tells the share where the rows alone do: none or all outside, or with the number of operators in the file."""
    if outside == rows:
        return {"nodes": rows, "delegated_nodes": 0, "partitions": 0, "share": 0.0}
    if nodes is not None:
        return {"nodes": nodes, "delegated_nodes": nodes - outside, "share": (nodes - outside) / nodes}
    return {"share": 1.0} if outside == 0 else {}


def _find_profile(log: str) -> tuple[OperatorTime, ...]:
    try:
        return parse_profile(log)
    except LogError:
        return ()


def _from_own_runner(nodes: int, *, takes_all: bool, is_plain: bool) -> Coverage:
    if is_plain:
        return Coverage((), nodes, delegated_nodes=0, partitions=0, share=0.0)
    if takes_all:
        return Coverage(("XNNPACK",), nodes, delegated_nodes=nodes, partitions=1, share=1.0)
    return Coverage(("XNNPACK",), nodes)


def _from_statements(log: str) -> Coverage | None:
    """Reads a tool's own words about the delegates that it applied."""
    own = _OWN.search(log)
    if own:
        return _from_own_runner(int(own.group(1)), takes_all=own.group(2) == "1", is_plain=_PLAIN in log)
    found = _APPLIED.findall(log)
    if not found:
        return None
    whole = any(extent == "completely" for _, extent, _ in found)
    kernels = [int(count) for _, _, count in found if count]
    return Coverage(
        delegates=tuple(name for name, _, _ in found),
        partitions=1 if whole else sum(kernels) or None,
        share=1.0 if whole else None,
    )
