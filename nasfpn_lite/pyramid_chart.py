"""Draws a pyramid's graph with matplotlib, which only who calls this must have."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Polygon

from nasfpn_lite.files import atomic_file
from nasfpn_lite.pyramid_graph import DOT_RADIUS, ROW_HEIGHT, Arc, Point, PyramidGraph, place_labels, route

_INCHES = 0.72  # a column
_COLOURS = {"input": "#2f9e5b", "cell": "#4a6fa5", "output": "#d2382c"}
_LINE, _DANGLING = "#5b6570", "#b07a00"
_DASHES = (0, (3, 2))
_METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
FORMATS = tuple(_METADATA)


def write_chart(graph: PyramidGraph, path: Path, *, title: str) -> None:
    """Writes the picture to an .svg or .png file, whole or not at all; the same graph gives the same bytes."""
    from matplotlib import rc_context

    form = path.suffix[1:].lower()
    with rc_context({"svg.hashsalt": "nasfpn", "font.family": "DejaVu Sans"}), atomic_file(path) as file:
        _draw(graph, title).savefig(file, format=form, dpi=150, metadata=_METADATA[form])


def _draw(graph: PyramidGraph, title: str) -> Figure:
    levels = sorted({dot.level for dot in graph.dots})
    right = max(dot.column for dot in graph.dots) + 0.7
    low, high = (levels[0] - 1.0) * ROW_HEIGHT, (levels[-1] + 0.7) * ROW_HEIGHT
    left, right = -1.5, max(right, 6.2)  # room for the legend
    figure = Figure(figsize=((right - left) * _INCHES, (high - low) * _INCHES))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.axis("off")
    axes.text(left + 0.15, high - 0.3, title, fontsize=10, fontweight="bold", va="center")
    for level in levels:
        y = level * ROW_HEIGHT
        axes.plot((-0.45, right - 0.2), (y, y), color="#e6e9ec", linewidth=1, zorder=0)
        axes.text(-0.6, y, f"P{level}", fontsize=10, ha="right", va="bottom")
        axes.text(-0.6, y, f"stride {2**level}", fontsize=6.5, color=_LINE, ha="right", va="top")
    routes = route(graph)
    for arc, way in routes.items():
        _draw_arc(axes, arc, way)
    for number, (dot, label) in enumerate(zip(graph.dots, place_labels(graph, routes), strict=True)):
        x, y = dot.point
        axes.add_patch(Circle((x, y), DOT_RADIUS, facecolor=_COLOURS[dot.kind], edgecolor="white", zorder=3))
        if dot.op == "sum":
            axes.plot(x, y, marker="+", markersize=10, markeredgewidth=1.5, color="white", zorder=4)
        elif dot.op == "attention":
            axes.text(x, y, "GP", fontsize=7, color="white", ha="center", va="center_baseline", zorder=4)
        axes.text(*label, str(number), fontsize=6, color=_LINE, ha="center", va="center", zorder=4)
    _add_legend(axes, graph)
    return figure


def _draw_arc(axes: Axes, arc: Arc, way: tuple[Point, ...]) -> None:
    colour, style = (_DANGLING, _DASHES) if arc.dangling else (_LINE, "-")
    axes.plot(*zip(*way, strict=True), color=colour, linestyle=style, linewidth=1.1, zorder=1)
    (x0, y0), (x, y) = way[-4], way[-1]
    length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5
    ahead, aside = (0.13 * (x - x0) / length, 0.13 * (y - y0) / length), 0.4
    base = (x - ahead[0], y - ahead[1])
    wings = [(base[0] - side * ahead[1], base[1] + side * ahead[0]) for side in (aside, -aside)]
    axes.add_patch(Polygon([(x, y), *wings], facecolor=colour, edgecolor="none", zorder=2))


def _add_legend(axes: Axes, graph: PyramidGraph) -> None:
    def mark(marker: str, colour: str, label: str) -> Line2D:
        edge = 0 if "$" in marker else 1
        return Line2D([], [], ls="", marker=marker, markersize=8, markeredgewidth=edge, color=colour, label=label)

    kinds = {"input": "input", "cell": "intermediate", "output": "output"}
    used = {dot.kind for dot in graph.dots}
    handles = [mark("o", _COLOURS[kind], label) for kind, label in kinds.items() if kind in used]
    handles.append(mark("+", "#333333", "sum"))
    if any(dot.op == "attention" for dot in graph.dots):
        handles.append(mark(r"$\mathrm{GP}$", "#333333", "global pooling (attention)"))
        handles[-1].set_markersize(11)
    if any(arc.dangling for arc in graph.arcs):
        handles.append(Line2D([], [], linestyle=_DASHES, color=_DANGLING, label="added: used by no cell"))
    axes.legend(handles=handles, loc="lower left", ncols=len(handles), fontsize=7, frameon=False, columnspacing=1.2)
