"""Two sequences held against each other: operators in the file's order, and the rows that they left in a profile."""

from collections.abc import Sequence
from dataclasses import dataclass

from nasfpn_lite.android_bench.row_kinds import Pattern

Costs = list[dict[int, int]]  # operators done -> rows done -> fewest misfits
Step = tuple[int, int, int]  # operators, rows and misfits that a step adds


@dataclass(frozen=True)
class Alignment:
    """All alignments with the fewest misfits, laid over each other.

    Attributes:
        misfits: Rows of no operator, and operators without the row they should have.
        operators: For each row those it comes from in one alignment or another; empty where it is a misfit in any.
    """

    misfits: int
    operators: tuple[frozenset[int], ...]


def align(
    patterns: Sequence[Sequence[Pattern]], kinds: Sequence[Sequence[str]], *, most_misfits: int
) -> Alignment | None:
    """Finds the operators that each row may come from.

    Args:
        patterns: Of each operator, the ways in which it may show.
        kinds: Of each row; several where it is not known which of them it is.

    Returns:
        None if every alignment has more than `most_misfits`.
    """
    ahead = _count(patterns, kinds, most_misfits)
    best = ahead[-1].get(len(kinds))
    if best is None:
        return None
    # From the end, by the same count on both sequences turned round.
    behind = _count([[pattern[::-1] for pattern in item] for item in patterns[::-1]], kinds[::-1], most_misfits)
    found: list[set[int]] = [set() for _ in kinds]
    doubtful: set[int] = set()
    for done, costs in enumerate(ahead):
        for row, cost in costs.items():
            for operators, rows, misfits in _steps(patterns, kinds, done, row):
                rest = behind[len(patterns) - done - operators].get(len(kinds) - row - rows)
                if rest is None or cost + misfits + rest != best:
                    continue
                if operators == 0:
                    doubtful.add(row)
                for taken in range(row, row + rows * operators):
                    found[taken].add(done)
    sure = (frozenset() if row in doubtful else frozenset(items) for row, items in enumerate(found))
    return Alignment(best, tuple(sure))


def _count(patterns: Sequence[Sequence[Pattern]], kinds: Sequence[Sequence[str]], most: int) -> Costs:
    costs: Costs = [{} for _ in range(len(patterns) + 1)]
    costs[0][0] = 0
    for done, here in enumerate(costs):
        row = 0
        while row <= len(kinds):  # a step may add a later row to `here`
            if row in here:
                for operators, rows, misfits in _steps(patterns, kinds, done, row):
                    cost, target = here[row] + misfits, costs[done + operators]
                    if cost <= most and cost < target.get(row + rows, most + 1):
                        target[row + rows] = cost
            row += 1
    return costs


def _steps(patterns: Sequence[Sequence[Pattern]], kinds: Sequence[Sequence[str]], done: int, row: int) -> list[Step]:
    steps: list[Step] = []
    if row < len(kinds):
        steps.append((0, 1, 1))
    if done < len(patterns):
        fitting = [pattern for pattern in patterns[done] if _fits(pattern, kinds, row)]
        steps += [(1, len(pattern), 0) for pattern in fitting]
        if () not in patterns[done]:
            steps.append((1, 0, 1))
    return steps


def _fits(pattern: Pattern, kinds: Sequence[Sequence[str]], row: int) -> bool:
    if row + len(pattern) > len(kinds):
        return False
    return all(any(map(part.fullmatch, kinds[row + place])) for place, part in enumerate(pattern))
