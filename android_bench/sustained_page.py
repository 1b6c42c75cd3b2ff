"""Sustained runs for the page: the curves over time, how hot it got, and whether the ranking stayed."""

from collections.abc import Sequence
from html import escape

from nasfpn_lite.android_bench.page_parts import base_names, paragraphs, shorten, table
from nasfpn_lite.android_bench.page_words import format_ms, label_runner
from nasfpn_lite.android_bench.sustained_record import Cycle, SustainedResult, describe_throttling
from nasfpn_lite.benchmarks.report_charts import Line, draw_lines

_SERIES = 3  # curves that a chart can tell apart


def render_curves(result: SustainedResult) -> str:
    """Draws what was measured; of a run that was cut short, up to there."""
    if not result.cycles:
        return ""
    names = result.names or [file.file for file in result.files] or [""] * len(result.cycles[0].latencies_ms)
    labels = shorten(names)
    lines = [
        Line(label, [(cycle.minutes, cycle.latencies_ms[index]) for cycle in result.cycles])
        for index, label in enumerate(labels)
    ]
    highest_ms = max(max(cycle.latencies_ms) for cycle in result.cycles)
    charts = "".join(
        draw_lines(lines[start : start + _SERIES], title="Latency over time", x_label="minutes", y_reach=highest_ms)
        for start in range(0, len(lines), _SERIES)
    )
    doubt = ", not trustworthy" if result.reasons else ""
    label = label_runner(result.phone, result.how.runner)
    heat = _describe_heat(result.cycles)
    return f"<h3>{escape(f'Latency in ms over time{doubt} [{label}]')}</h3>{charts}{paragraphs([heat])}"


def _describe_heat(cycles: Sequence[Cycle]) -> str:
    outside_c = [cycle.outside_c for cycle in cycles if cycle.outside_c is not None]
    status = [cycle.thermal_status for cycle in cycles if cycle.thermal_status is not None]
    texts = [f"Skin or battery: {outside_c[0]:g} °C at first, {max(outside_c):g} °C at most"] if outside_c else []
    texts += [f"thermal status: {max(status)} at most"] if status else []
    return "; ".join(texts)


def render_drifts(result: SustainedResult) -> str:
    """Returns a table of the first minute against the last, what became of the ranking, and throttled turns."""
    head = ("file", "first minute, ms", "last minute, ms", "times as long", "runner")
    names = base_names([file.file for file in result.files])
    rows = [
        [
            name,
            format_ms(file.first_ms),
            format_ms(file.last_ms),
            f"{file.slowdown:.2f}",
            label_runner(result.phone, file.runner),
        ]
        for name, file in zip(names, result.files, strict=True)
    ]
    return (table(head, rows) if rows else "") + paragraphs([*describe_ranking(result), *describe_throttling(result)])


def describe_ranking(result: SustainedResult) -> list[str]:
    """Says whether the ranking at the end is the ranking at the start; nothing for less than two files."""
    ranking = result.ranking
    if ranking is None or len(ranking.first) < 2:
        return []
    if ranking.order == "not shown":
        return ["Whether the ranking at the end is that at the start is not shown: too few turns, or files too close."]
    text = f"The ranking at the end is {'' if ranking.order == 'the same' else 'not '}the ranking at the start"
    bare = dict(zip(ranking.last, base_names(ranking.last), strict=True))
    turned = [f"{bare[fast]} is faster than {bare[slow]} only in the end" for fast, slow in ranking.turned]
    return [f"{text}: {'; '.join(turned) or ', '.join(bare.values())}{'' if turned else ' (fastest first)'}."]
