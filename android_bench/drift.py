"""The first minute of a lasting load against its last: how much slower each file got, and whether the order stays."""

from collections.abc import Sequence
from itertools import combinations

from nasfpn_lite.android_bench.compare_files import find_winner
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.sustained_record import Cycle, Drift, Order, Ranking
from nasfpn_lite.benchmarks.statistics import Estimate, estimate_median, percentile

WINDOW_MINUTES = 1.0
LEAST_CYCLES = 6  # the fewest with a 95 % interval; slow files widen the window to them


def first_window(cycles: Sequence[Cycle]) -> Sequence[Cycle]:
    """Returns the cycles of the first minute; at least LEAST_CYCLES, but never more than half of all."""
    inside = sum(cycle.minutes <= WINDOW_MINUTES for cycle in cycles)
    return cycles[: _fit_window(inside, len(cycles))]


def last_window(cycles: Sequence[Cycle]) -> Sequence[Cycle]:
    """Returns the cycles that ended in the last minute, with the same bounds."""
    inside = sum(cycle.minutes > cycles[-1].minutes - WINDOW_MINUTES for cycle in cycles)
    return cycles[len(cycles) - _fit_window(inside, len(cycles)) :]


def _fit_window(inside: int, total: int) -> int:
    return max(1, min(max(inside, LEAST_CYCLES), total // 2))


def find_drifts(files: Sequence[ModelFile], cycles: Sequence[Cycle], runner: str) -> tuple[Drift, ...]:
    """Compares each file's first minute with its last, by their medians."""
    drifts = []
    for index, file in enumerate(files):
        first, last = (_median_ms(window, index) for window in (first_window(cycles), last_window(cycles)))
        drifts.append(Drift(file.name, file.sha256, runner, first, last, last / first))
    return tuple(drifts)


def _median_ms(window: Sequence[Cycle], index: int) -> float:
    return percentile([cycle.latencies_ms[index] for cycle in window], 50)


def judge_ranking(names: Sequence[str], cycles: Sequence[Cycle]) -> Ranking | None:
    """Says whether the order of the files in the last minute is that of the first.

    Only differences that are shown count: a pair turned where one is faster at first and the other in the end; it kept
    its order where the same one is faster both times; else nothing is shown, whatever the medians are.

    Returns:
        None where there is no order: one file, or no second cycle.
    """
    if len(names) < 2 or len(cycles) < 2:
        return None
    windows = first_window(cycles), last_window(cycles)
    turned, unshown = [], []
    for i, j in combinations(range(len(names)), 2):
        at_first, at_last = (find_winner(_estimate_ratio(window, i, j)) for window in windows)
        if at_first is None or at_last is None:
            unshown.append((names[i], names[j]))
        elif at_first != at_last:
            turned.append((names[i], names[j]) if at_last == "first" else (names[j], names[i]))
    first, last = (_rank(names, window) for window in windows)
    same = not unshown and first == last
    order: Order = "changed" if turned else "the same" if same else "not shown"
    return Ranking(order, first, last, tuple(turned), (len(windows[0]), len(windows[1])), tuple(unshown))


def _rank(names: Sequence[str], window: Sequence[Cycle]) -> tuple[str, ...]:
    return tuple(names[i] for i in sorted(range(len(names)), key=lambda index: _median_ms(window, index)))


def _estimate_ratio(window: Sequence[Cycle], first: int, second: int) -> Estimate:
    return estimate_median([cycle.latencies_ms[first] / cycle.latencies_ms[second] for cycle in window])
