"""Sessions as one HTML page: figures with their runner, what they were measured under, and what is not trustworthy."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from nasfpn_lite.android_bench.compare_files import FileRatio, compare_all, find_slow_int8
from nasfpn_lite.android_bench.page_parts import base_names, paragraphs, shorten, table, warnings
from nasfpn_lite.android_bench.page_words import (
    SIMULATED_NOTE,
    describe_accepted,
    describe_how,
    describe_verdict,
    format_memory,
    format_ms,
    label_runner,
    list_conditions,
    name_phone,
    number,
    to_words,
)
from nasfpn_lite.android_bench.record_files import AnyResult, read_folder, read_record
from nasfpn_lite.android_bench.records import SCHEMA, FileFigures, SessionResult
from nasfpn_lite.android_bench.sustained_page import render_curves, render_drifts
from nasfpn_lite.android_bench.sustained_record import SUSTAINED_SCHEMA
from nasfpn_lite.benchmarks.report_charts import Bar, draw_bars
from nasfpn_lite.benchmarks.report_page import fill_page
from nasfpn_lite.files import write_text_atomically

PAGE_FILE = "latency.html"


def write_page(folder: Path) -> Path:
    """Writes the page of all sessions and sustained runs that lie in a folder, the latest first; returns its path."""
    path = folder / PAGE_FILE
    results = read_folder(folder, [SCHEMA, SUSTAINED_SCHEMA], read_record)
    results.sort(key=lambda result: result.origin.finished, reverse=True)
    write_text_atomically(path, make_page(results))
    return path


def make_page(results: Sequence[AnyResult]) -> str:
    """Returns the page of sessions and sustained runs."""
    sections = [_render_result(result) for result in results]
    phones = ", ".join(dict.fromkeys(name_phone(result.phone) for result in results))
    return fill_page(title="Latency on phones", subtitle=phones, body="\n".join(sections))


def _render_result(result: AnyResult) -> str:
    if isinstance(result, SessionResult):
        parts = [_render_bars(result), _render_table(result), _render_ratios(result), _render_discarded(result)]
    else:
        parts = [render_curves(result), render_drifts(result)]
    how = f"{describe_how(result.phone, result.how)}; finished {to_words(result.origin.finished)}"
    notes = [how, *result.phone.notes]
    if result.phone.simulated:
        notes.insert(0, SIMULATED_NOTE)
    return (
        f"<section><h2>{escape(name_phone(result.phone))}</h2>\n{warnings(_find_warnings(result))}{paragraphs(notes)}"
        f"{''.join(parts)}{_render_conditions(result)}</section>"
    )


def _find_warnings(result: AnyResult) -> list[str]:
    """Says what nobody may overlook: doubts, and those that the user put aside."""
    found = [f"Not trustworthy: {'; '.join(result.reasons)}"] if result.reasons else []
    if isinstance(result, SessionResult) and not result.reasons:
        doubtful = [file.file for file in result.files if file.reasons]
        if doubtful:
            found.append(f"Not trustworthy: {', '.join(base_names(doubtful))}; the verdicts below say why.")
    return [*found, *describe_accepted(result.how)]


def _render_bars(result: SessionResult) -> str:
    labels = shorten([file.file for file in result.files])
    bars = [
        Bar(
            label,
            file.latency_ms_p50,
            f"{format_ms(file.latency_ms_p50)} ms",
            file.latency_ms_ci,
        )
        for label, file in zip(labels, result.files, strict=True)
        if file.latency_ms_p50 is not None
    ]
    if not bars:
        return ""
    note = "Median over rounds of the mean of each round's runs; whiskers: its interval, of 95 % from six rounds on."
    title = f"Latency per file [{label_runner(result.phone, result.how.runner)}]"
    return f"<h3>{escape(title)}</h3>{draw_bars(bars, title=title)}{paragraphs([note])}"


def _render_table(result: SessionResult) -> str:
    figures = ("file", "ms (median)", "interval, ms", "p90, ms", "runner", "verdict")
    more = ("file", "numbers", "init, ms", "memory, MB", "file, MB", "operators in delegates")
    names = base_names([file.file for file in result.files])
    rows = [[name, *_to_row(result, file)] for name, file in zip(names, result.files, strict=True)]
    others = [[name, *_to_second_row(file)] for name, file in zip(names, result.files, strict=True)]
    notes = ("Numbers: what most multiply-adds compute with.", "Memory: the runner's peak; with + its growth instead.")
    return table(figures, rows) + table(more, others) + paragraphs([" ".join(notes)])


def _to_row(result: SessionResult, file: FileFigures) -> list[str]:
    interval = file.latency_ms_ci
    return [
        "–" if file.latency_ms_p50 is None else format_ms(file.latency_ms_p50),
        "–" if interval is None else f"{format_ms(interval[0])} to {format_ms(interval[1])} ({file.ci_coverage:.1%})",
        "–" if file.latency_ms_p90 is None else f"{format_ms(file.latency_ms_p90)} (of {file.p90_of})",
        label_runner(result.phone, file.runner),
        "; ".join([describe_verdict(file.verdict, result.how), *file.reasons]),
    ]


def _to_second_row(file: FileFigures) -> list[str]:
    return [
        file.arithmetic or "unknown",
        number(file.init_ms, "{:.1f}"),
        format_memory(file),
        number(file.size_bytes, "{:.2f}", 1e-6),
        file.coverage.text if file.coverage else "–",
    ]


def _render_ratios(result: SessionResult) -> str:
    head = ("first", "second", "first / second", "interval", "faster")
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
    title = f"Ratios of latency, from pairs of the same round [{label_runner(result.phone, result.how.runner)}]"
    return (f"<h3>{escape(title)}</h3>{table(head, rows)}" if rows else "") + warnings(find_slow_int8(result))


def _tell_winner(ratio: FileRatio) -> str:
    if ratio.winner is None or ratio.latency_ratio is None:
        return "no difference shown"
    gain = 1 / ratio.latency_ratio if ratio.winner == "first" else ratio.latency_ratio
    return f"{ratio.winner}, {gain:.2f} times"


def _render_discarded(result: SessionResult) -> str:
    return paragraphs(
        [
            f"Round {item.number}, attempt {item.attempt}, was discarded: {'; '.join(item.reasons)}"
            for item in result.discarded
        ]
    )


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
