"""Sessions as one HTML page: figures with their runner, what they were measured under, and what is not trustworthy."""

from collections.abc import Sequence
from html import escape
from os.path import commonprefix
from pathlib import PurePath

from nasfpn_lite.android_bench.compare_files import FileRatio, compare_all, find_slow_int8
from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.record_files import AnyResult
from nasfpn_lite.android_bench.records import FileFigures, HowMeasured, Phone, SessionResult
from nasfpn_lite.android_bench.sustained_record import SustainedResult, describe_throttling
from nasfpn_lite.benchmarks.report_charts import Bar, Line, draw_bars, draw_lines
from nasfpn_lite.benchmarks.report_page import fill_page

SIMULATED = "simulated"
SIMULATED_NOTE = "This is a simulated phone: its figures show that the harness works, and nothing about any phone."

_LONGEST_LABEL = 26  # characters that a chart has room for
_LONGEST_ENTRY = 14  # in a legend
_LONGEST_FIGURE = 30  # characters; longer cells of a table may take several lines
_VALUE_WIDTH = 280
_SERIES = 3  # curves that a chart can tell apart


def make_page(results: Sequence[AnyResult]) -> str:
    """Returns the page of sessions and sustained runs."""
    sections = [_render_result(result) for result in results]
    phones = ", ".join(dict.fromkeys(name_phone(result.phone) for result in results))
    return fill_page(title="Latency on phones", subtitle=phones, body="\n".join(sections))


def name_phone(phone: Phone) -> str:
    """Returns a phone's name for people; a simulated one is called so."""
    return f"{phone.model or 'unknown phone'} ({phone.serial}{', ' + SIMULATED if phone.simulated else ''})"


def describe_how(phone: Phone, how: HowMeasured) -> str:
    """Says in a line how the figures came about."""
    threads = "1 thread" if how.threads == 1 else f"{how.threads} threads"
    xnnpack = {True: "XNNPACK on", False: "XNNPACK off", None: "XNNPACK as the runner has it"}[how.xnnpack]
    delegates = f"GPU, the rest with {xnnpack}" if how.gpu else xnnpack
    return f"{how.runner}, {threads} on cores {phone.cores} (mask {phone.mask}), {delegates}, {how.runs} runs a turn"


def _render_result(result: AnyResult) -> str:
    if isinstance(result, SessionResult):
        parts = [_render_bars(result), _render_table(result), _render_ratios(result), _render_discarded(result)]
    else:
        parts = [_render_curves(result), _render_drifts(result)]
    notes = [describe_how(result.phone, result.how) + f"; finished {result.origin.finished}", *result.phone.notes]
    if result.phone.simulated:
        notes.insert(0, SIMULATED_NOTE)
    if result.how.accepted:
        notes.append(f"accepted by the user: {', '.join(result.how.accepted)}")
    verdict = f"Not trustworthy: {'; '.join(result.reasons)}" if result.reasons else ""
    return (
        f"<section><h2>{escape(name_phone(result.phone))}</h2>\n{warnings([verdict])}{paragraphs(notes)}"
        f"{''.join(parts)}{_render_conditions(result)}</section>"
    )


def _label(phone: Phone, runner: str) -> str:
    return f"{runner}, {SIMULATED}" if phone.simulated else runner


def _render_bars(result: SessionResult) -> str:
    labels = shorten([file.file for file in result.files])
    bars = [
        Bar(
            label,
            file.latency_ms_p50,
            escape(f"{format_ms(file.latency_ms_p50)} ms, {_label(result.phone, file.runner)}"),
            file.latency_ms_ci,
        )
        for label, file in zip(labels, result.files, strict=True)
        if file.latency_ms_p50 is not None
    ]
    if not bars:
        return ""
    note = "Median over rounds of the mean of each round's runs; whiskers: its interval, of 95 % from six rounds on."
    return draw_bars(bars, title="Latency per file", value_width=_VALUE_WIDTH) + paragraphs([note])


def _render_table(result: SessionResult) -> str:
    figures = ("file", "ms", "interval", "p90 ms", "runner", "verdict")
    more = ("file", "start ms", "peak or +growth MB", "file MB", "delegates")
    return table(figures, [_to_row(result.phone, file) for file in result.files]) + table(
        more, [_to_second_row(file) for file in result.files]
    )


def _to_row(phone: Phone, file: FileFigures) -> list[str]:
    interval = file.latency_ms_ci
    return [
        file.file,
        _ms(file.latency_ms_p50),
        "–" if interval is None else f"{format_ms(interval[0])} to {format_ms(interval[1])} ({file.ci_coverage:.1%})",
        "–" if file.latency_ms_p90 is None else f"{format_ms(file.latency_ms_p90)} (of {file.p90_of})",
        _label(phone, file.runner),
        file.verdict if not file.reasons else f"{file.verdict}: {'; '.join(file.reasons)}",
    ]


def _to_second_row(file: FileFigures) -> list[str]:
    return [
        file.file,
        _number(file.init_ms, "{:.1f}"),
        format_memory(file),
        _number(file.size_bytes, "{:.2f}", 1e-6),
        file.coverage.text if file.coverage else "–",
    ]


def _render_ratios(result: SessionResult) -> str:
    head = ("first", "second", "first / second", "interval", "of the two")
    names = [file.file for file in result.files]
    short = dict(zip(names, shorten(names), strict=True))
    rows = [
        [
            short[ratio.first],
            short[ratio.second],
            f"{ratio.latency_ratio:.3f}",
            f"{low:.3f} to {high:.3f}",
            _tell_winner(ratio),
        ]
        for ratio in compare_all(result)
        if ratio.latency_ratio is not None and ratio.latency_ratio_ci is not None
        for low, high in [ratio.latency_ratio_ci]
    ]
    title = f"Ratios of latency, from pairs of the same round [{_label(result.phone, result.how.runner)}]"
    return (f"<h3>{escape(title)}</h3>{table(head, rows)}" if rows else "") + warnings(find_slow_int8(result))


def _tell_winner(ratio: FileRatio) -> str:
    if ratio.winner is None or ratio.latency_ratio is None:
        return "no difference shown"
    gain = 1 / ratio.latency_ratio if ratio.winner == "first" else ratio.latency_ratio
    return f"the {ratio.winner} is {gain:.2f} times as fast"


def _render_discarded(result: SessionResult) -> str:
    return paragraphs(
        [
            f"Round {item.number}, attempt {item.attempt}, was discarded: {'; '.join(item.reasons)}"
            for item in result.discarded
        ]
    )


def _render_curves(result: SustainedResult) -> str:
    label = _label(result.phone, result.how.runner)
    labels = shorten([file.file for file in result.files], _LONGEST_ENTRY)
    lines = [
        Line(label, [(cycle.minutes, cycle.latencies_ms[index]) for cycle in result.cycles])
        for index, label in enumerate(labels)
    ]
    charts = "".join(
        draw_lines(lines[start : start + _SERIES], title="Latency over time", x_label="minutes")
        for start in range(0, len(lines), _SERIES)
    )
    return f"<h3>{escape(f'Latency in ms over time [{label}]')}</h3>{charts}" if charts else ""


def _render_drifts(result: SustainedResult) -> str:
    head = ("file", "first minute ms", "last minute ms", "times as long", "runner")
    rows = [
        [
            file.file,
            format_ms(file.first_ms),
            format_ms(file.last_ms),
            f"{file.slowdown:.2f}",
            _label(result.phone, file.runner),
        ]
        for file in result.files
    ]
    notes = [*describe_ranking(result), *describe_throttling(result)]
    return (table(head, rows) if rows else "") + paragraphs(notes)


def describe_ranking(result: SustainedResult) -> list[str]:
    """Says whether the ranking at the end is the ranking at the start; nothing for less than two files."""
    ranking = result.ranking
    if ranking is None or len(ranking.first) < 2:
        return []
    if ranking.order == "not shown":
        return ["Whether the ranking at the end is that at the start is not shown: too few turns, or files too close."]
    text = f"The ranking at the end is {'' if ranking.order == 'the same' else 'not '}the ranking at the start"
    turned = [f"{fast} is faster than {slow} only in the end" for fast, slow in ranking.turned]
    return [f"{text}: {'; '.join(turned) or ', '.join(ranking.last)}."]


def _render_conditions(result: AnyResult) -> str:
    before, after = list_conditions(result.before), list_conditions(result.after)
    rows = [[name, first, last] for (name, first), (_, last) in zip(before, after, strict=True)]
    phone = result.phone
    facts = f"{phone.fingerprint or 'unknown build'}, {phone.abi or 'unknown ABI'}, API {phone.sdk or 'unknown'}"
    versions = ", ".join(f"{name} {version}" for name, version in result.origin.versions.items())
    breaks = f"; went on after {result.origin.resumed} breaks" if result.origin.resumed else ""
    commit = f", commit {result.origin.commit}" if result.origin.commit else ""
    return (
        "<h3>Conditions</h3>" + table(("", "before", "after"), rows) + paragraphs([facts, versions + commit + breaks])
    )


def list_conditions(state: Conditions) -> list[tuple[str, str]]:
    """Returns names and texts of what a phone said of itself."""
    temperatures = ", ".join(f"{item.name} {item.value_c:g}" for item in state.temperatures or ())
    governors = ", ".join(dict.fromkeys(clock.governor or "unknown" for clock in state.clocks))
    allowed = ", ".join(dict.fromkeys(_number(clock.allowed_khz, "{:g}", 1e-3) for clock in state.clocks))
    return [
        ("thermal status", _number(state.thermal_status, "{:g}")),
        ("temperatures, °C", temperatures or "–"),
        ("governors", governors or "–"),
        ("allowed MHz", allowed or "–"),
        ("battery, %", _number(state.battery_percent, "{:g}")),
        ("battery, °C", _number(state.battery_c, "{:g}")),
        ("charging", _yes_no(state.battery_charging)),
        ("battery saver", _yes_no(state.battery_saver)),
        ("screen on", _yes_no(state.screen_on)),
        ("load average", _number(state.load_average, "{:g}")),
    ]


def format_ms(value_ms: float) -> str:
    """Returns two decimals, or for less than a millisecond three digits."""
    return f"{value_ms:.2f}" if value_ms >= 1 else f"{value_ms:#.3g}"


def format_memory(file: FileFigures) -> str:
    """Returns the peak of the runner's memory in MB; "+" and its growth where the peak was not told."""
    if file.peak_memory_bytes is not None:
        return f"{file.peak_memory_bytes / 1e6:.1f}"
    return "–" if file.memory_growth_bytes is None else f"+{file.memory_growth_bytes / 1e6:.1f}"


def _yes_no(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"


def _ms(value_ms: float | None) -> str:
    return "–" if value_ms is None else format_ms(value_ms)


def _number(value: float | None, form: str, factor: float = 1.0) -> str:
    return "–" if value is None else form.format(value * factor)


def shorten(names: Sequence[str], longest: int = _LONGEST_LABEL) -> list[str]:
    """Returns short names of files: without folder, ".tflite" and the words that all of them begin with."""
    stems = [PurePath(name).name.removesuffix(".tflite") for name in names]
    shared = commonprefix(stems)
    start = shared.rfind("_") + 1 if len(set(stems)) > 1 else 0
    return [_cut(stem[start:], longest) for stem in stems]


def _cut(text: str, longest: int) -> str:
    """Takes a long text's middle out: its ends tell files apart."""
    head = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:head]}…{text[head + 1 - longest :]}"


def paragraphs(texts: Sequence[str]) -> str:
    """Returns notes, without the empty ones."""
    return "".join(f'<p class="note">{escape(text)}</p>' for text in texts if text)


def warnings(texts: Sequence[str]) -> str:
    """Returns notes that nobody may overlook."""
    return "".join(f'<p class="note warning">{escape(text)}</p>' for text in texts if text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table of plain texts; the first of each row names it."""
    titles = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = "".join(f'<tr><th scope="row">{escape(row[0])}</th>{"".join(map(_cell, row[1:]))}</tr>' for row in rows)
    return f'<div class="wide"><table class="texts"><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    return f'<td class="text">{escape(text)}</td>' if len(text) > _LONGEST_FIGURE else f"<td>{escape(text)}</td>"
