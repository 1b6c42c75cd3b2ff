"""Detection under a deadline: exits one after another, as long as the next one is expected to end in time. No Keras."""

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.specs import DetectorSpec

WARM_UP_RUNS = 5
_REMEMBERED = 15
_SKIPS = 50  # photos without an exit, after which it may have become faster


class Exits(Protocol):
    """A network of several exits; numbers count from 1."""

    @property
    def spec(self) -> DetectorSpec:
        """With exits."""
        ...

    @property
    def categories(self) -> tuple[Category, ...]:
        """What it finds."""
        ...

    def prepare(self, image: np.ndarray) -> tuple[Any, Any]:
        """Returns what the first exit takes, and what `finish` must know of the photo."""
        ...

    def run(self, number: int, given: Any) -> tuple[Any, Any]:
        """Runs one exit on what the one before gave; returns its boxes and scores, and what the next one takes."""
        ...

    def finish(self, outputs: Any, photo: Any) -> Detections:
        """Turns boxes and scores into detections in the photo's pixels."""
        ...


@dataclass(frozen=True)
class AnytimeDetections(Detections):
    """Detections, and where they come from.

    Attributes:
        exit: Which exit answered, from 1 on.
        elapsed_ms: From the photo to these detections.
    """

    exit: int
    elapsed_ms: float


class Anytime:
    """Finds objects within a budget of time; satisfies `evaluate.Detector`.

    How long an exit takes is known as a multiple of the first exit's time: that changes little when something slows
    the machine, and the first exit's time is measured anew for each photo.
    """

    def __init__(self, network: Exits, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """Measures all exits on a grey photo.

        Args:
            clock: In seconds.
        """
        self.network, self._clock = network, clock
        count = len(network.spec.exits)
        self._first_ms: deque[float] = deque(maxlen=_REMEMBERED)
        self._finish_ms: deque[float] = deque(maxlen=_REMEMBERED)
        self._ratios: list[deque[float]] = [deque(maxlen=_REMEMBERED) for _ in range(count)]
        self._skips = [0] * count  # photos in a row
        grey = np.full((*network.spec.image_size, 3), 128, np.uint8)
        self.detect(grey, budget_ms=None)
        for times in (self._first_ms, self._finish_ms, *self._ratios):
            times.clear()  # the first run allocates memory, or compiles
        for _ in range(WARM_UP_RUNS):
            self.detect(grey, budget_ms=None)

    @property
    def spec(self) -> DetectorSpec:
        """What it detects with."""
        return self.network.spec

    @property
    def categories(self) -> tuple[Category, ...]:
        """What it detects."""
        return self.network.categories

    @property
    def exit_ms(self) -> tuple[float, ...]:
        """Each exit's own time, without those before it: the median of its latest runs."""
        first = statistics.median(self._first_ms)
        return tuple(statistics.median(ratios) * first for ratios in self._ratios)

    def detect(self, image: np.ndarray, budget_ms: float | None = None) -> AnytimeDetections:
        """Finds objects in an upright (h, w, 3) uint8 RGB image of any size; boxes are in its pixels.

        Args:
            budget_ms: When to have an answer, counted from the call, its preparation included. An exit after the first
                is begun only if it is expected to end in time, boxes and all; the first one always answers. One that
                was too slow for 50 photos is tried once, if its fastest time would do. None for the last exit's answer.
        """
        if budget_ms is not None and not budget_ms >= 0:
            raise UserError(f"a budget is a number of milliseconds, 0 or more, got {budget_ms}")
        began = self._clock()
        given, photo = self.network.prepare(image)
        outputs, first_ms = None, 0.0
        for number in range(1, len(self._ratios) + 1):
            if number > 1 and budget_ms is not None and not self._may_begin(number, first_ms, began, budget_ms):
                number -= 1
                break
            start = self._clock()
            outputs, given = self.network.run(number, given)
            own_ms = (self._clock() - start) * 1e3
            if number == 1:
                first_ms = own_ms
                self._first_ms.append(own_ms)
            self._remember(number, own_ms / first_ms if first_ms else 1.0)
        return self._finish(number, outputs, photo, began)

    def detect_exits(self, image: np.ndarray) -> list[AnytimeDetections]:
        """Returns every exit's detections; `elapsed_ms` is what each would have taken without the others' boxes."""
        began = self._clock()
        given, photo = self.network.prepare(image)
        elapsed, found = self._clock() - began, []
        for number in range(1, len(self._ratios) + 1):
            start = self._clock()
            outputs, given = self.network.run(number, given)
            elapsed += self._clock() - start
            found.append(self._finish(number, outputs, photo, self._clock() - elapsed))
        return found

    def _may_begin(self, number: int, first_ms: float, began: float, budget_ms: float) -> bool:
        ratios, skips = self._ratios[number - 1], self._skips[number - 1]
        ratio = min(ratios) if skips >= _SKIPS else statistics.median(ratios)
        ends_at_ms = (self._clock() - began) * 1e3 + ratio * first_ms + statistics.median(self._finish_ms)
        if ends_at_ms > budget_ms:
            self._skips[number - 1] += 1
        return ends_at_ms <= budget_ms

    def _remember(self, number: int, ratio: float) -> None:
        ratios, skips = self._ratios[number - 1], self._skips[number - 1]
        if skips >= _SKIPS and ratio < statistics.median(ratios):
            ratios.clear()  # what made it slow is over
        ratios.append(ratio)
        self._skips[number - 1] = 0

    def _finish(self, number: int, outputs: Any, photo: Any, began: float) -> AnytimeDetections:
        start = self._clock()
        found = self.network.finish(outputs, photo)
        end = self._clock()
        self._finish_ms.append((end - start) * 1e3)
        return AnytimeDetections(found.boxes_yxyx, found.scores, found.classes, number, (end - began) * 1e3)
