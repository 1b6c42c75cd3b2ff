"""AP against latency per phone, as the paper's Fig. 9b shows it, with its Pixel 1 points marked as published."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path, PurePath

from nasfpn_lite.android_bench.ap_claims import Claim, KnownAp, find_ap, read_certified
from nasfpn_lite.android_bench.page_parts import base_names, paragraphs, shorten, table, warnings
from nasfpn_lite.android_bench.page_words import (
    SIMULATED,
    SIMULATED_NOTE,
    describe_accepted,
    describe_how,
    format_ms,
    name_phone,
)
from nasfpn_lite.android_bench.published import FIGURE_9B, SOURCE
from nasfpn_lite.android_bench.record_files import list_records, read_record
from nasfpn_lite.android_bench.records import SCHEMA, FileFigures, SessionResult
from nasfpn_lite.android_bench.session_options import SessionError
from nasfpn_lite.benchmarks.report_scatter import PUBLISHED, Point, draw_legend, draw_points

TITLE = "AP against latency on phones"
X_LABEL, Y_LABEL = "latency, ms", "AP (COCO, 0 to 1)"
_LEAST_AP_SPAN = 0.02  # of an axis: what differs by less should not look far apart
_LONGEST_LABEL = 30  # characters
_WIDEST = 3  # times the span of the published AP
PUBLISHED_LABEL = "published: Pixel 1, COCO val2017 (paper, Fig. 9b)"


@dataclass(frozen=True)
class Measured:
    """One file on one phone; `ap` is None where no record tells it."""

    result: SessionResult
    file: FileFigures
    ap: KnownAp | None


def read_sessions(paths: Sequence[Path]) -> tuple[SessionResult, ...]:
    """Reads sessions: JSON files of `android bench`, or folders of them.

    Raises:
        RecordError: A file that was named is none, or one in a folder is damaged.
        SessionError: There is none.
    """
    found: list[SessionResult] = []
    for path in map(Path, paths):
        items = list_records(path, [SCHEMA]) if path.is_dir() else [path]
        sessions = [result for result in map(read_record, items) if isinstance(result, SessionResult)]
        if not sessions:
            got = "none of them" if path.is_dir() else "one of a sustained run"
            raise SessionError(f"expected JSON of `android bench` without --sustained in {path}, got {got}")
        found += sessions
    return tuple(sorted(found, key=lambda result: result.origin.finished))


def match(results: Sequence[SessionResult], claims: Sequence[Claim]) -> list[Measured]:
    """Finds the AP of all files: in what the user named, else in the certificate of the measured file.

    Of what was measured again in the same way on the same phone only the last counts.

    Args:
        results: Oldest first.

    Raises:
        ClaimError: Two records contradict each other.
    """
    hashes = defaultdict(set)
    latest: dict[tuple[object, ...], tuple[SessionResult, FileFigures]] = {}
    for result in results:
        for file in result.files:
            hashes[PurePath(file.file).name].add(file.sha256)
            latest[_key(result), file.sha256] = result, file
    return [
        Measured(result, file, _find_ap(result, file, claims, len(hashes[PurePath(file.file).name])))
        for result, file in latest.values()
    ]


def _find_ap(result: SessionResult, file: FileFigures, claims: Sequence[Claim], namesakes: int) -> KnownAp | None:
    ap = find_ap(file, result.phone.serial, claims, namesakes=namesakes)
    if ap is None and (certified := read_certified(Path(file.file))):
        return find_ap(file, result.phone.serial, [certified])
    return ap


def render_ap_latency(results: Sequence[SessionResult], claims: Sequence[Claim]) -> str:
    """Returns the body of a section: a chart with the published points, one for each phone without, and a table."""
    measured = match(results, claims)
    keys = list(dict.fromkeys(_key(item.result) for item in measured))
    names = [_name_series(next(r for r in results if _key(r) == key)) for key in keys]
    labels = shorten([item.file.file for item in measured], _LONGEST_LABEL)
    points = [
        point
        for item, label in zip(measured, labels, strict=True)
        if (point := _to_point(item, label, keys.index(_key(item.result))))
    ]
    published = [Point(item.latency_ms, item.ap, item.name, PUBLISHED) for item in FIGURE_9B]
    legend = [*enumerate(names), (PUBLISHED, PUBLISHED_LABEL)]
    apart = _is_apart(points)
    every = [*points, *published]
    if apart:  # labels would hide the points
        every = [replace(point, label="") for point in every]
    parts = [
        _draw(every, TITLE),
        draw_legend(legend),
        warnings(_list_accepted(measured)),
        paragraphs(["The points have their names in the charts below." * apart, SOURCE, *_describe_limits(measured)]),
    ]
    for series, name in enumerate(names):
        own = [point for point in points if point.series == series]
        if own:
            parts.append(f"<h3>{escape(name)}</h3>{_draw(own, f'{TITLE}: {name}')}")
    if apart:
        parts.append(f"<h3>{escape(PUBLISHED_LABEL)}</h3>{_draw(published, PUBLISHED_LABEL)}")
    note = "Your latencies are medians; whiskers: their intervals, of 95 % from six rounds on." if points else ""
    return "".join([*parts, paragraphs([note]), _render_table(measured)])


def _draw(points: Sequence[Point], title: str) -> str:
    return draw_points(points, title=title, x_label=X_LABEL, y_label=Y_LABEL, least_height=_LEAST_AP_SPAN)


def _key(result: SessionResult) -> tuple[object, ...]:
    return result.phone.serial, result.phone.model, result.phone.simulated, describe_how(result.phone, result.how)


def _name_series(result: SessionResult) -> str:
    return f"{name_phone(result.phone)}: {describe_how(result.phone, result.how)}"


def _is_apart(points: Sequence[Point]) -> bool:
    """Whether AP of own points is so far from the published ones that they become one heap in a common chart."""
    published = [item.ap for item in FIGURE_9B]
    every = [*published, *(point.y for point in points)]
    return max(every) - min(every) > _WIDEST * (max(published) - min(published))


def _to_point(item: Measured, label: str, series: int) -> Point | None:
    if item.ap is None or item.file.latency_ms_p50 is None:
        return None
    if item.result.phone.simulated:
        label = f"{label} ({SIMULATED})"
    return Point(item.file.latency_ms_p50, item.ap.ap, label, series, item.file.latency_ms_ci)


def _list_accepted(measured: Sequence[Measured]) -> list[str]:
    """Says on which phones the user put doubts aside."""
    results = [item.result for item in measured if item.ap and item.file.latency_ms_p50 is not None]
    found = [f"{name_phone(result.phone)}: {text}" for result in results for text in describe_accepted(result.how)]
    return list(dict.fromkeys(found))


def _describe_limits(measured: Sequence[Measured]) -> list[str]:
    photos = list(dict.fromkeys(item.ap.photos for item in measured if item.ap))
    notes = []
    if photos:
        notes.append(
            f"Your AP: on {'; '.join(photos)}. Height says something only among points of the same photos: AP on other "
            "photos than COCO val2017 is no better or worse than a published one."
        )
    if any(item.result.phone.simulated for item in measured):
        notes.append(SIMULATED_NOTE.replace("This is a simulated phone: its", "Points of a simulated phone: their"))
    missing = sorted(set(base_names([item.file.file for item in measured if item.ap is None])))
    if missing:
        notes.append(
            f"Not drawn, since no AP of them is recorded: {', '.join(missing)}. `nasfpn-lite eval FILE --data DIR "
            "--json > ap.json` makes a record, which `--ap ap.json` takes."
        )
    doubtful = [item for item in measured if item.file.latency_ms_p50 is None]
    if doubtful:
        names = base_names([item.file.file for item in doubtful])
        texts = [f"{name} on {name_phone(item.result.phone)}" for name, item in zip(names, doubtful, strict=True)]
        notes.append(f"Not drawn, since their latency is not trustworthy: {'; '.join(texts)}.")
    return notes


def _render_table(measured: Sequence[Measured]) -> str:
    head = ("file", "phone", "AP", "latency, ms", "interval, ms", "AP from")
    names = base_names([item.file.file for item in measured])
    rows = [[name, *_to_row(item)] for name, item in zip(names, measured, strict=True)]
    rows += [
        [
            item.name,
            "Pixel 1, published",
            f"{item.ap:.3f}",
            f"{item.latency_ms:g}",
            "–",
            "COCO val2017, the paper's Fig. 9b",
        ]
        for item in FIGURE_9B
    ]
    return table(head, rows)


def _to_row(item: Measured) -> list[str]:
    file, ap = item.file, item.ap
    interval = file.latency_ms_ci
    return [
        name_phone(item.result.phone),
        "–" if ap is None else f"{ap.ap:.3f}",
        "–" if file.latency_ms_p50 is None else format_ms(file.latency_ms_p50),
        "–" if interval is None else f"{format_ms(interval[0])} to {format_ms(interval[1])}",
        "–" if ap is None else f"{ap.photos}: {ap.where}",
    ]
