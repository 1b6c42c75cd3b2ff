"""AP and latency of every exit, from one pass over a split."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nasfpn_lite.anytime import Anytime
from nasfpn_lite.data.coco import read_record
from nasfpn_lite.data.records import Split
from nasfpn_lite.evaluate import Evaluation, match_classes, score, to_coco_results


@dataclass(frozen=True)
class ExitEvaluation:
    """One exit's figures.

    Attributes:
        pyramid: How many pyramids it has behind it.
        latency_ms: Median over the photos, from a decoded photo to boxes, the exits before it included.
    """

    exit: int
    pyramid: int
    latency_ms: float
    evaluation: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """Returns the numbers as flat plain data."""
        figures = {"exit": self.exit, "pyramid": self.pyramid, "latency_ms": round(self.latency_ms, 3)}
        return figures | self.evaluation.to_dict()


def evaluate_exits(
    detector: Anytime, split: Split, *, progress: Callable[[int, int], None] | None = None
) -> list[ExitEvaluation]:
    """Runs all exits over a split and scores what each finds.

    Args:
        progress: Called with (images done, all images) after every image.

    Raises:
        UserError: The detector lacks a class of the split, or an image cannot be read.
    """
    class_ids = match_classes(detector.categories, split.categories)
    exits = detector.spec.exits
    results: list[list[dict[str, Any]]] = [[] for _ in exits]
    times_ms: list[list[float]] = [[] for _ in exits]
    for done, record in enumerate(split.images, start=1):
        for found in detector.detect_exits(read_record(record)):
            results[found.exit - 1] += to_coco_results(record.id, found, class_ids)
            times_ms[found.exit - 1].append(found.elapsed_ms)
        if progress is not None:
            progress(done, len(split.images))
    return [
        ExitEvaluation(number, pyramid, statistics.median(times), score(split, entries, seconds=sum(times) / 1e3))
        for number, (pyramid, entries, times) in enumerate(zip(exits, results, times_ms, strict=True), start=1)
    ]
