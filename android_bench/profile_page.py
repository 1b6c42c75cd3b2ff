"""Profiles as one HTML page: where the time of a run goes, by part and by layer of the network."""

from collections.abc import Sequence
from html import escape
from pathlib import Path, PurePath

from nasfpn_lite.android_bench.layers import KINDS, LayerTime, sum_parts
from nasfpn_lite.android_bench.page_parts import paragraphs, table, warnings
from nasfpn_lite.android_bench.page_words import (
    SIMULATED,
    SIMULATED_NOTE,
    describe_accepted,
    describe_how,
    format_ms,
    name_phone,
    to_words,
)
from nasfpn_lite.android_bench.profile_record import PROFILE_SCHEMA, LayerProfile, ProfileResult, read_profile
from nasfpn_lite.android_bench.record_files import read_folder
from nasfpn_lite.benchmarks.report_charts import Bar, draw_bars
from nasfpn_lite.benchmarks.report_page import fill_page
from nasfpn_lite.files import write_text_atomically

PAGE_FILE = "profile.html"
_VALUE_WIDTH = 160
_LONGEST_LABEL = 28
_OPERATORS = 30  # of the slowest, in the table


def write_profile_page(folder: Path) -> Path:
    """Writes the page of all profiles that lie in a folder, the latest first; returns its path."""
    path = folder / PAGE_FILE
    results = read_folder(folder, [PROFILE_SCHEMA], read_profile)
    results.sort(key=lambda result: result.origin.finished, reverse=True)
    write_text_atomically(path, make_profile_page(results))
    return path


def make_profile_page(results: Sequence[ProfileResult]) -> str:
    """Returns the page."""
    phones = ", ".join(dict.fromkeys(name_phone(result.phone) for result in results))
    return fill_page(title="Where the time goes", subtitle=phones, body="\n".join(map(_render, results)))


def _render(result: ProfileResult) -> str:
    profile = result.profile
    notes = [
        f"{describe_how(result.phone, result.how)}; {result.how.rounds} turns with the profiler and as many without; "
        f"finished {to_words(result.origin.finished)}",
        f"A run takes {format_ms(result.latency_ms)} ms without the profiler; the rows of the profile add up to "
        f"{format_ms(profile.total_ms)} ms, of which the shares are.",
        *profile.problems,
        *result.phone.notes,
    ]
    if result.phone.simulated:
        notes.insert(0, SIMULATED_NOTE)
    doubts = [*(f"Not trustworthy: {reason}" for reason in result.reasons), *describe_accepted(result.how)]
    label = f" [{result.how.runner}{', ' + SIMULATED if result.phone.simulated else ''}]"
    title = f"{PurePath(result.file).name} on {name_phone(result.phone)}{label}"
    return (
        f"<section><h2>{escape(title)}</h2>{warnings(doubts)}{paragraphs(notes)}"
        f"{_render_parts(profile)}"
        f"<h3>The slowest operators</h3>{_table(profile)}</section>"
    )


def _render_parts(profile: LayerProfile) -> str:
    parts = sum_parts(profile.layers)
    if all(part.part == KINDS for part in parts):
        title = "Time by kind of operator"
        return f"<h3>{title}</h3>{_bars(profile.layers, profile, title)}"
    return (
        f"<h3>Time by part of the network</h3>{_bars(parts, profile, 'Time by part')}"
        f"<h3>Time by layer</h3>{_bars(profile.layers, profile, 'Time by layer')}"
    )


def _bars(times: Sequence[LayerTime], profile: LayerProfile, title: str) -> str:
    rows = [(time.name, time.ms) for time in times]
    if profile.unmatched_ms > 0:
        rows.append(("in no layer surely", profile.unmatched_ms))
    bars = [
        Bar(name[:_LONGEST_LABEL], ms, escape(f"{ms:.3f} ms, {ms / (profile.total_ms or 1):.1%}")) for name, ms in rows
    ]
    return draw_bars(bars, title=title, value_width=_VALUE_WIDTH)


def _table(profile: LayerProfile) -> str:
    known = [(operator, operator.ms) for operator in profile.operators if operator.ms is not None]
    slowest = sorted(known, key=lambda item: -item[1])[:_OPERATORS]
    head = ("layer", "operator number", "kind", "ms", "share", "million multiply-adds")
    rows = [
        [
            operator.layer,
            str(operator.work.position),
            operator.work.kind,
            f"{ms:.3f}",
            f"{ms / (profile.total_ms or 1):.1%}",
            f"{operator.work.multiply_adds / 1e6:.2f}",
        ]
        for operator, ms in slowest
    ]
    return table(head, rows)
