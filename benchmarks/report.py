"""The report of a run: one HTML file with everything in it, to be looked at offline, printed or sent."""

import base64
import logging
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nasfpn_lite.benchmarks.report_charts import Bar, Line, draw_bars, draw_lines
from nasfpn_lite.benchmarks.report_data import INT8, ReportData, find_drop, read_report_data, to_label, to_number
from nasfpn_lite.benchmarks.report_page import fill_page
from nasfpn_lite.converters.recipes import MIN_CALIBRATION_IMAGES
from nasfpn_lite.files import write_text_atomically

REPORT_FILE = "report.html"

logger = logging.getLogger(__name__)


def write_report(folder: Path, more: Mapping[str, str] = {}) -> Path:
    """Writes report.html into a run folder and returns its path.

    Args:
        more: Further sections: title -> HTML.

    Raises:
        UserError: The folder holds nothing to report, or one of its files is damaged.
    """
    data = read_report_data(Path(folder))
    path = data.folder / REPORT_FILE
    write_text_atomically(path, render_report(data, more))
    return path


def render_report(data: ReportData, more: Mapping[str, str] = {}) -> str:
    """Returns the whole page; see `write_report`."""
    name = data.recipe.get("variant") or "detector"
    title = f"{name} on {data.results.get('data', {}).get('name', data.folder.name)}"
    sections = [
        _section("At a glance", render_glance(data)),
        _section("Accuracy of every file", render_accuracy(data)),
        _section("Latency of every file", render_latency(data)),
        *(_section(title, body) for title, body in more.items()),
        _section("All figures", render_files_table(data)),
        _section("Training", render_curves(data.log)),
        _section("Held-out photos: what is there, what was found", render_examples(data)),
        _section("How to get these figures again", render_commands(data)),
        _section("Machine and versions", render_environment(data)),
    ]
    return fill_page(title=title, subtitle=_describe(data), body="\n".join(part for part in sections if part))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>" if body else ""


def _describe(data: ReportData) -> str:
    parts = []
    if data.spec:
        spec, neck = data.spec, data.spec["neck"]
        height, width = spec["image_size"]
        parts.append(f"{spec['backbone']['name']}, neck {neck['kind']} (width {neck['width']} x {neck['repeats']})")
        parts.append(f"{width}x{height} pixels, {spec['num_classes']} classes")
    images = data.results.get("data", {}).get("images", {})
    if images:
        parts.append(", ".join(f"{count} {split}" for split, count in images.items()) + " photos")
    if data.categories:
        parts.append(", ".join(str(category["name"]) for category in data.categories[:12]))
    return " · ".join(parts)


def render_glance(data: ReportData) -> str:
    """Returns the few figures that matter most, as tiles."""
    tiles = []
    raw = {file.get("recipe"): file for file in reversed(data.files) if file.get("form", "raw") == "raw"}
    floating, integer = raw.get("float32", {}), raw.get(INT8, {})
    if (ap := to_number(floating.get("AP"))) is not None:
        tiles.append((f"{ap:.3f}", "AP of the float32 file"))
    if (ap := to_number(integer.get("AP"))) is not None:
        drop = find_drop(data, integer)
        tiles.append((f"{ap:.3f}", "AP of the int8 file" + ("" if drop is None else f" ({_to_change(drop)})")))
    slow, fast = to_number(floating.get("latency_ms_p50")), to_number(integer.get("latency_ms_p50"))
    if fast is not None:
        tiles.append((f"{fast:.1f} ms", _to_work(integer) + ("" if not slow else f", {slow / fast:.1f}x float32")))
    if (size := to_number(integer.get("size_bytes"))) is not None:
        tiles.append((f"{size / 1e6:.2f} MB", "size of the int8 file"))
    boxes = "".join(f"<div><strong>{escape(value)}</strong><span>{escape(text)}</span></div>" for value, text in tiles)
    return f'<div class="tiles">{boxes}</div>' if tiles else ""


def _to_work(file: dict[str, Any]) -> str:
    """Returns "int8 on 2 threads", as far as it was recorded."""
    threads = file.get("threads")
    return "int8" if threads is None else f"int8 on {threads} thread" + ("" if threads == 1 else "s")


def render_accuracy(data: ReportData) -> str:
    """Returns bars of AP per file with the drop against float32."""
    bars = []
    for file in data.files:
        ap, drop = to_number(file.get("AP")), find_drop(data, file)
        if ap is not None:
            bars.append(Bar(to_label(file), ap, f"{ap:.3f}" + ("" if drop is None else f" ({_to_change(drop)})")))
    if not bars:
        return ""
    notes = ["COCO AP (IoU .50 to .95) on held-out photos, 0..1; in brackets the change against the float32 file."]
    photos = to_number(data.results.get("calibration", {}).get("images"))
    if photos is not None and photos < MIN_CALIBRATION_IMAGES:
        notes.append(
            f"int8 was calibrated with {photos:.0f} photos, fewer than the {MIN_CALIBRATION_IMAGES} that it takes to "
            "see the ranges: its accuracy may suffer."
        )
    return draw_bars(bars, title="AP per file") + _to_notes(notes)


def _to_notes(notes: Sequence[str]) -> str:
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _to_change(drop: float) -> str:
    return "±0.000" if abs(drop) < 0.0005 else f"{-drop:+.3f}"


def render_latency(data: ReportData) -> str:
    """Returns bars of latency per file with its interval."""
    bars = []
    for file in data.files:
        latency, interval = to_number(file.get("latency_ms_p50")), file.get("latency_ms_ci")
        if latency is not None:
            ends = (float(interval[0]), float(interval[1])) if interval else None
            bars.append(Bar(to_label(file), latency, f"{latency:.2f} ms", ends))
    if not bars:
        return ""
    notes = ["Median of the network alone, interleaved rounds; whiskers: 95 % interval of the median."]
    doubts = [f"{to_label(file)}: {text}" for file in data.files for text in file.get("warnings", [])]
    if doubts:
        notes.append("Not trustworthy: " + "; ".join(doubts) + ".")
    return draw_bars(bars, title="Latency per file") + _to_notes(notes)


_COLUMNS = (
    ("AP", "AP", 1.0, "{:.3f}"),
    ("AP50", "AP50", 1.0, "{:.3f}"),
    ("latency_ms_p50", "ms", 1.0, "{:.2f}"),
    ("latency_ms_p90", "p90 ms", 1.0, "{:.2f}"),
    ("end_to_end_ms_p50", "photo to boxes ms", 1.0, "{:.2f}"),
    ("init_ms", "start ms", 1.0, "{:.0f}"),
    ("peak_memory_bytes", "peak MB", 1e-6, "{:.0f}"),
    ("size_bytes", "file MB", 1e-6, "{:.2f}"),
)


def render_files_table(data: ReportData) -> str:
    """Returns the table of all files; columns without any figure are left out."""
    columns = [column for column in _COLUMNS if any(to_number(file.get(column[0])) is not None for file in data.files)]
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for _, text, _, _ in columns)
    rows = []
    for file in data.files:
        cells = []
        for key, _, factor, form in columns:
            value = to_number(file.get(key))
            cells.append(f"<td>{'–' if value is None else form.format(value * factor)}</td>")
        rows.append(f'<tr><th scope="row">{escape(Path(str(file["file"])).name)}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table><thead><tr><th scope="col">file</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def render_curves(log: list[dict[str, str]]) -> str:
    """Returns the curves of loss and validation AP over steps."""

    def points(column: str) -> list[tuple[float, float]]:
        pairs = ((to_number(row.get("step")), to_number(row.get(column))) for row in log)
        return [(x, y) for x, y in pairs if x is not None and y is not None]

    losses = [Line(text, points(column)) for column, text in _LOSSES]
    charts = [
        ("Loss", draw_lines(losses, title="Training loss", x_label="step")),
        ("AP on the validation photos", draw_lines([Line("AP", points("val_AP"))], title="AP", x_label="step")),
        ("Learning rate", draw_lines([Line("rate", points("learning_rate"))], title="Learning rate", x_label="step")),
    ]
    return "".join(f"<h3>{escape(title)}</h3>{chart}" for title, chart in charts if chart)


_LOSSES = (("loss", "total"), ("class_loss", "class"), ("box_loss", "box"))


def render_examples(data: ReportData) -> str:
    """Returns pairs of pictures: ground truth and detections."""
    pairs = []
    for example in data.results.get("examples", []):
        pictures = []
        for key, text in (("truth", "ground truth"), ("detections", "found")):
            path = data.folder / str(example.get(key, ""))
            if path.is_file():
                code = base64.b64encode(path.read_bytes()).decode("ascii")
                alt = escape(f"{example.get('caption', path.name)}: {text}")
                pictures.append(
                    f'<figure><img alt="{alt}" src="data:image/jpeg;base64,{code}"/>'
                    f"<figcaption>{escape(text)}</figcaption></figure>"
                )
            else:
                logger.warning("the report lacks a picture: %s", path)
        pairs.append(f'<div class="pair">{"".join(pictures)}</div>' if pictures else "")
    return f'<div class="pairs">{"".join(pairs)}</div>' if any(pairs) else ""


def render_commands(data: ReportData) -> str:
    """Returns the commands that reproduce the figures."""
    items = [
        f"<dt>{escape(str(entry['figure']))}</dt><dd><pre><code>{escape(str(entry['command']))}</code></pre></dd>"
        for entry in data.results.get("commands", [])
    ]
    return f"<dl>{''.join(items)}</dl>" if items else ""


def render_environment(data: ReportData) -> str:
    """Returns the machine, the versions and how long each part took."""
    machine = data.results.get("machine") or {}
    rows = [(key, machine[key]) for key in ("cpu", "cores", "system", "load_average") if machine.get(key) is not None]
    rows += list({**data.versions, **machine.get("versions", {})}.items())
    rows += [(f"{name}, seconds", f"{seconds:.0f}") for name, seconds in data.results.get("seconds", {}).items()]
    cells = "".join(f'<tr><th scope="row">{escape(str(k))}</th><td>{escape(str(v))}</td></tr>' for k, v in rows)
    return f'<table class="plain"><tbody>{cells}</tbody></table>' if rows else ""
