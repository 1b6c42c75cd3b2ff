"""The drift curve as an SVG that stands by itself: signal-to-noise ratio from the image to the outputs."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from nasfpn_lite.converters.parity import Parity, StageParity

_STEP, _LEAST_WIDTH = 7, 480  # pixels a stage, pixels of the plot
_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 420, 66, 70, 52, 24
_TICK_STEPS_DB = (1, 2, 5, 10, 20, 50)
_MOST_TICKS = 8
_LEVEL = "backbone level "
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#666}
.end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#ddd}.band{fill:#f4f5f7}.curve{stroke:#2563a8;
stroke-width:1.8;fill:none}.dot{fill:#2563a8}.asked{stroke:#b45309;stroke-width:1.4;stroke-dasharray:5 3;fill:none}
.bad{fill:#c0231f}.badtext{fill:#c0231f;font-weight:600}
"""


def draw_drift(parity: Parity, *, title: str) -> str:
    """Draws the stages of a parity over dB, with the tolerance as a dashed line and what is outside it in red.

    Stages that are not in the file leave a gap; those without any error stand at the top.
    """
    plot = _Plot(parity.stages)
    parts = [f'<text x="{_LEFT}" y="22" class="title">{escape(title)}</text>', *_legend(), *plot.bands(), *plot.grid()]
    parts += [plot.path([entry.tolerance_db for entry in parity.stages], "asked")]
    parts += [plot.path(run, "curve", start) for start, run in plot.runs()]
    parts += plot.dots()
    if parity.collapse is not None:
        parts.append(plot.callout(parity.collapse))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {plot.width} {_HEIGHT}" width="{plot.width}" '
        f'height="{_HEIGHT}" role="img" aria-label="{escape(parity.verdict())}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


class _Plot:
    """Places of stages and decibels in pixels."""

    def __init__(self, stages: Sequence[StageParity]) -> None:
        self.stages = stages
        finite = [e.snr_db for e in stages if e.snr_db is not None and math.isfinite(e.snr_db)]
        known = [0.0, *finite, *(e.tolerance_db for e in stages)]
        span = max(known) - min(known)
        self.step = next((s for s in _TICK_STEPS_DB if span / s <= _MOST_TICKS), _TICK_STEPS_DB[-1])
        self.low, self.high = (self.step * f(x / self.step) for f, x in ((math.floor, min(known)), (_up, max(known))))
        self.pitch = max(_STEP, _LEAST_WIDTH / len(stages))
        self.width = round(_LEFT + self.pitch * len(stages) + _RIGHT)

    def x(self, place: int) -> float:
        return _LEFT + (place + 0.5) * self.pitch

    def y(self, snr_db: float) -> float:
        share = (min(max(snr_db, self.low), self.high) - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def bands(self) -> Iterator[str]:
        """The parts of the network, every other one shaded, their names turned below."""
        start = 0
        for number, (part, members) in enumerate(groupby(e.stage.part for e in self.stages)):
            count = len(list(members))
            left, width = _LEFT + start * self.pitch, count * self.pitch
            if number % 2 == 0:
                height = _HEIGHT - _TOP - _BOTTOM
                yield f'<rect x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{height}" class="band"/>'
            x, y = left + width / 2 + 4, _HEIGHT - _BOTTOM + 12
            yield f'<text transform="translate({x:.1f} {y}) rotate(-40)" class="end">{escape(part)}</text>'
            start += count
        for place, entry in enumerate(self.stages):
            if entry.stage.words.startswith(_LEVEL):
                level = entry.stage.words.removeprefix(_LEVEL)
                yield f'<text x="{self.x(place):.1f}" y="{_TOP + 14}" class="middle small">{level}</text>'

    def grid(self) -> Iterator[str]:
        for number in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + number * self.step
            at = self.y(value)
            yield f'<path d="M{_LEFT} {at:.1f}H{self.width - _RIGHT}" class="grid"/>'
            yield f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" class="end">{value:g}</text>'
        yield f'<text x="{_LEFT - 8}" y="{_TOP - 12}" class="end small">dB</text>'

    def runs(self) -> Iterator[tuple[int, list[float]]]:
        """Stretches without a missing stage: (place of the first, values)."""
        for found, members in groupby(enumerate(self.stages), lambda item: item[1].snr_db is not None):
            places = list(members)
            if found:
                yield places[0][0], [entry.snr_db or 0.0 for _, entry in places]

    def path(self, values: Sequence[float], style: str, start: int = 0) -> str:
        points = (f"{self.x(start + i):.1f} {self.y(value):.1f}" for i, value in enumerate(values))
        return f'<path d="M{"L".join(points)}" class="{style}"/>'

    def dots(self) -> Iterator[str]:
        for place, entry in enumerate(self.stages):
            if entry.snr_db is None:
                y = _HEIGHT - _BOTTOM - 4
                yield f'<text x="{self.x(place):.1f}" y="{y}" class="middle badtext">?<title>'
                yield f"{escape(entry.stage.words)} is not in the file</title></text>"
                continue
            style = "dot" if entry.within else "bad"
            yield f'<circle cx="{self.x(place):.1f}" cy="{self.y(entry.snr_db):.1f}" r="2.4" class="{style}"><title>'
            yield f"{escape(entry.stage.words)}: {entry.snr_db:.1f} dB</title></circle>"

    def callout(self, entry: StageParity) -> str:
        x, y = self.x(self.stages.index(entry)), self.y(entry.snr_db or 0.0)
        side = "end" if x > self.width / 2 else "start"
        return (
            f'<path d="M{x:.1f} {_TOP}V{y - 5:.1f}" stroke="#c0231f"/><text x="{x:.1f}" y="{_TOP - 6}" '
            f'class="badtext" style="text-anchor:{side}">{escape(entry.stage.words)}: {entry.snr_db:.1f} dB</text>'
        )


def _up(value: float) -> int:
    return max(math.ceil(value), 1)


def _legend() -> tuple[str, ...]:
    return (
        f'<path d="M{_LEFT} 38h22" class="curve"/><text x="{_LEFT + 28}" y="42">signal-to-noise ratio</text>',
        f'<path d="M{_LEFT + 172} 38h22" class="asked"/><text x="{_LEFT + 200}" y="42">least the recipe allows</text>',
    )
