"""Several seeds of several detectors as a table and a picture: AP with intervals, cost, latency, and what is chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasfpn_lite.benchmarks.report_page import fill_page
from nasfpn_lite.benchmarks.report_scatter import Point, draw_points
from nasfpn_lite.seed_statistics import CONFIDENCE, LEAST_SEEDS, Mean, compare_means, estimate_mean

_HEAD = (
    *("detector", "params M", "FLOPs G", "AP float32 (95 %)", "by seed"),
    *("AP int8 (95 %)", "int8 ms (95 %)", "int8 AP against the first"),
)


@dataclass(frozen=True)
class ArmFigures:
    """One detector.

    Attributes:
        ap: AP points, 0..100, of its float32 .tflite by seed.
        ap_int8: Likewise of the int8 one.
        latency_ms: Median and its 95 % interval of the int8 file; None where it was not measured yet.
    """

    name: str
    params: int
    flops: int
    ap: Mapping[int, float]
    ap_int8: Mapping[int, float]
    latency_ms: Sequence[float] | None = None


def render_page(arms: Sequence[ArmFigures], command: str, machine: Mapping[str, Any]) -> str:
    """Returns Markdown: a row per arm, and what shows a difference from the first.

    Args:
        machine: A `record.Machine` as plain data; empty where nothing was timed yet.
    """
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(arm, arms[0]) for arm in arms)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    tests = max(1, len(arms) - 1)
    chance = 1 - CONFIDENCE**tests
    versions = "".join(f"; {name} {version}" for name, version in machine.get("versions", {}).items())
    where = f"\n\n{machine['cpu']}, {machine['cores']} cores{versions}" if machine else ""
    return (
        f"{table}\n\nAP points of .tflite files; intervals are t-intervals over seeds. The last column is by t-tests "
        "over\nseeds, paired where both detectors have the same ones. Each row is a test of its own: of detectors that "
        f"differ by\nnothing, in up to {chance:.0%} of such tables some row would say better or worse.{where}\n\n"
        f"    {command}\n"
    )


def _row(arm: ArmFigures, first: ArmFigures) -> tuple[str, ...]:
    return (
        arm.name,
        f"{arm.params / 1e6:.2f}",
        f"{arm.flops / 1e9:.2f}",
        _in_words(arm.ap),
        ", ".join(f"{value:.1f}" for _, value in sorted(arm.ap.items())),
        _in_words(arm.ap_int8),
        "–" if arm.latency_ms is None else "{:.2f} ({:.2f}–{:.2f})".format(*arm.latency_ms),
        "–" if arm is first else judge(arm.ap_int8, first.ap_int8),
    )


def judge(values: Mapping[int, float], others: Mapping[int, float]) -> str:
    """Says whether a difference is shown, with its interval; "better" only where the interval leaves out zero."""
    if min(len(values), len(others)) < LEAST_SEEDS:
        return "too few seeds"
    test = compare_means(values, others)
    low, high = test.interval
    word = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
    return f"{word}: {test.difference:+.1f} ({low:+.1f}…{high:+.1f})"


def _mean(values: Mapping[int, float]) -> Mean | None:
    return estimate_mean(list(values.values())) if len(values) >= LEAST_SEEDS else None


def _in_words(values: Mapping[int, float]) -> str:
    mean = _mean(values)
    if mean is None:
        return f"{next(iter(values.values())):.1f} (one seed)"
    return f"{mean.mean:.1f} ({mean.low:.1f}–{mean.high:.1f})"


def render_picture(arms: Sequence[ArmFigures], *, title: str, subtitle: str) -> str:
    """Returns a page with int8 AP against int8 latency, as the paper's figure 9b, of the arms that were timed."""
    points = []
    for series, arm in enumerate(arms):
        if arm.latency_ms is not None:
            mean = _mean(arm.ap_int8)
            height = sum(arm.ap_int8.values()) / len(arm.ap_int8)
            spread = (mean.low, mean.high) if mean else None
            middle, *interval = arm.latency_ms
            points.append(Point(middle, height, arm.name, series, (interval[0], interval[1]), spread))
    across, up = "latency of the int8 file, ms", "AP of the int8 file, points"
    chart = draw_points(points, title=title, x_label=across, y_label=up)
    return fill_page(title=title, subtitle=subtitle, body=f"{chart}<p>Whiskers: intervals of 95 %.</p>")
