"""How far a conversion is. Its subprocess tells on stdout; who asked to be told is shown a bar with the time left."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from nasfpn_lite.converters.recipes import get_recipe

# Takes what is being done, and the share of the whole that is done, 0..1.
Report = Callable[[str, float], None]
Display = Callable[[], AbstractContextManager[Report]]

START = "starting TensorFlow"
NETWORK = "building the network"
RANGES = "ranges of activations"

_MARK = "nasfpn-lite progress\t"  # no line of TensorFlow's begins like this
# Seconds on one core of the network of 7 repeats; only their proportions count.
_COSTS = {START: 4.0, NETWORK: 6.0, RANGES: 6.0, "export": 4.0, "convert": 6.0, "write": 0.5}
_IMAGE_COST = 0.15

_display: ContextVar[Display] = ContextVar("display", default=lambda: contextlib.nullcontext(lambda name, share: None))


def plan_steps(targets: Sequence[Mapping[str, Any]], images: int, *, measured: bool = False) -> dict[str, float]:
    """Returns what a job has to do, in order, and what each step costs in proportion.

    Args:
        targets: `dataclasses.asdict` of each `Target`.
        images: Number of calibration images.
        measured: Whether the ranges are known.
    """
    steps = {step: _COSTS[step] for step in (START, NETWORK)}
    if not measured and any(get_recipe(t["recipe"]).on_grids and not get_recipe(t["recipe"]).trained for t in targets):
        steps[RANGES] = _COSTS[RANGES] + _IMAGE_COST * images
    for recipe in dict.fromkeys(target["recipe"] for target in targets):
        sets = {tuple(target["float_stages"]) for target in targets if target["recipe"] == recipe}
        for step in ("export", "convert", "write"):
            steps[f"{recipe}: {step}"] = _COSTS[step] * len(sets)
    return steps


class Steps:
    """Tells the parent process which of the planned steps is being done."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self._costs = dict(costs)

    def begin(self, name: str, done: int = 0, total: int = 0) -> None:
        """Says that a step has begun, or `done` of its `total` passes of an image; nothing of an unplanned one."""
        if name not in self._costs:
            return
        names = list(self._costs)
        before = sum(self._costs[earlier] for earlier in names[: names.index(name)])
        part = self._costs[name] * done / total if total else 0.0
        text = f"{name}, {done} of {total} images" if total else name
        print(f"{_MARK}{(before + part) / sum(self._costs.values()):.4f}\t{text}", flush=True)


def read_line(line: str) -> tuple[str, float] | None:
    """Returns text and share of a line that `Steps` printed; None for another."""
    if not line.startswith(_MARK):
        return None
    share, text = line.removeprefix(_MARK).rstrip("\n").split("\t", 1)
    return text, float(share)


def open_display() -> AbstractContextManager[Report]:
    """Opens what `shown` has set: to be told of one conversion."""
    return _display.get()()


@contextlib.contextmanager
def shown(display: Display | None = None) -> Iterator[None]:
    """Shows how far conversions are that begin inside, by default as a bar where stderr is a terminal."""
    if display is None and not sys.stderr.isatty():
        yield
        return
    token = _display.set(display or _bar)
    try:
        yield
    finally:
        _display.reset(token)


@contextlib.contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("converting: {task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    # Long steps move the bar seldom: the speed is that of all the way, and the bar leaves no line behind.
    options: dict[str, Any] = {"transient": True, "speed_estimate_period": 3600}
    with Progress(*columns, console=Console(stderr=True), **options) as bar:
        task = bar.add_task(START, total=1.0)
        yield lambda text, share: bar.update(task, completed=share, description=text)
