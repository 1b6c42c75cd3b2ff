"""Two detectors on the same images: what changed, and how sure that is. Every figure here is in AP points, 0..100."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfpn_lite.bootstrap import Resampler
from nasfpn_lite.data.records import Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import mean_precision, run_cocoeval

SIZES = ("small", "medium", "large")  # COCO's, in pycocotools' order behind "all"
CONFIDENCE = 0.95
POINTS = 100.0  # in AP 1
_LEAST_AP = 1.0  # points of a reference that a budget can protect
_ROUNDING = 1e-9  # points; a drop of just the budget is within it


@dataclass(frozen=True)
class Change:
    """AP before and after for one kind of objects, in points.

    Attributes:
        reference, candidate: None where the split has no such object.
        interval: 95 % bootstrap interval of the difference; None where it was not worked out.
    """

    reference: float | None
    candidate: float | None
    interval: tuple[float, float] | None = None

    @property
    def difference(self) -> float | None:
        """Candidate less reference: a loss is negative."""
        if self.reference is None or self.candidate is None:
            return None
        return self.candidate - self.reference

    @property
    def drop(self) -> float:
        """What was lost; 0 for a gain, and where there is nothing to lose."""
        return max(0.0, -(self.difference or 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data."""
        return {
            "reference": self.reference,
            "candidate": self.candidate,
            "difference": self.difference,
            "interval": None if self.interval is None else list(self.interval),
        }


@dataclass(frozen=True)
class Comparison:
    """A candidate against a reference on one split, in AP points.

    Attributes:
        per_class: By class name, with intervals.
        per_size: By SIZES, without intervals.
        bootstrap: Number of draws behind the intervals; 0 for none.
    """

    ap: Change
    per_class: dict[str, Change]
    per_size: dict[str, Change]
    images: int
    bootstrap: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data."""
        return {
            "unit": "AP points, 0..100",
            "ap": self.ap.to_dict(),
            "per_class": {name: change.to_dict() for name, change in self.per_class.items()},
            "per_size": {name: change.to_dict() for name, change in self.per_size.items()},
            "images": self.images,
            "bootstrap": {"draws": self.bootstrap, "seed": self.seed, "confidence": CONFIDENCE},
        }


def compare(
    reference_results: Sequence[dict[str, Any]],
    candidate_results: Sequence[dict[str, Any]],
    split: Split,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compares what two detectors found in the images of a split.

    Both are scored on the same draws of images, so that what makes a draw easy or hard cancels out.

    Args:
        reference_results, candidate_results: As `evaluate.detect_split` returns them.
        bootstrap: Draws of as many images as the split holds, with replacement; 0 for no intervals.

    Raises:
        UserError: The split has no object, or a negative number of draws.
    """
    if bootstrap < 0:
        raise UserError(f"expected 0 or more bootstrap draws, got {bootstrap}")
    pair = (run_cocoeval(split, reference_results), run_cocoeval(split, candidate_results))
    precisions = [coco.eval["precision"][..., -1] for coco in pair]  # (IoU, recall, class, area)
    overall = _change([precision[:, :, :, 0] for precision in precisions])
    if overall.reference is None:
        raise UserError(f"split {split.name!r} has no object, so that there is no AP to compare; choose another split")
    interval, class_intervals = _intervals([Resampler(coco) for coco in pair], len(split.images), bootstrap, seed)
    names = {category.id: category.name for category in split.categories}
    per_class = {
        names[id_]: _change([precision[:, :, index, 0] for precision in precisions], class_intervals[index])
        for index, id_ in enumerate(pair[0].params.catIds)
    }
    per_size = {
        size: _change([precision[:, :, :, area] for precision in precisions]) for area, size in enumerate(SIZES, 1)
    }
    return Comparison(
        Change(overall.reference, overall.candidate, interval), per_class, per_size, len(split.images), bootstrap, seed
    )


@dataclass(frozen=True)
class Budget:
    """How many AP points a file may lose; None for any number.

    Attributes:
        max_ap_drop: AP over all classes.
        max_class_drop: AP of each class, since a mean can hide that one collapsed.
    """

    max_ap_drop: float | None
    max_class_drop: float | None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (math.isfinite(value) and 0 <= value <= POINTS):
                raise UserError(f"{name} must be 0 to 100 AP points, got {value}")
        if self.max_ap_drop is None and self.max_class_drop is None:
            raise UserError("a budget limits the drop of AP, of each class, or both; got neither")


def check(comparison: Comparison, budget: Budget) -> list[str]:
    """Says in plain words what a candidate lost beyond the budget; nothing if it kept it.

    The drops as measured are judged; the interval says how much of them may be chance.

    Raises:
        UserError: The reference finds next to nothing: it has nothing to lose, and any file would pass.
    """
    reference = comparison.ap.reference or 0.0
    if reference < _LEAST_AP:
        raise UserError(
            f"the reference itself has AP {reference:.2f} points on {comparison.images} images, and a budget needs one "
            f"with at least {_LEAST_AP:g}: train for longer, or look at the data (`nasfpn-lite data check`)"
        )
    exceeded = [
        *_exceeded({"AP": comparison.ap}, budget.max_ap_drop),
        *_exceeded({f"class {name}": change for name, change in comparison.per_class.items()}, budget.max_class_drop),
    ]
    if not exceeded:
        return []
    lost = {"classes": comparison.per_class, "sizes": comparison.per_size}
    return exceeded + [f"{kind} that lost: {_list_losses(changes)}" for kind, changes in lost.items()]


def _exceeded(changes: dict[str, Change], limit: float | None) -> list[str]:
    return [
        f"{name} fell by {change.drop:.2f} points, from {change.reference:.2f} to {change.candidate:.2f}"
        f"{_in_words(change.interval)}; at most {limit:g} are allowed"
        for name, change in changes.items()
        if limit is not None and change.drop > limit + _ROUNDING
    ]


def _in_words(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" (difference between {interval[0]:+.2f} and {interval[1]:+.2f})"


def _list_losses(changes: dict[str, Change]) -> str:
    lost = sorted(((change.drop, name) for name, change in changes.items() if change.drop > 0), reverse=True)
    return ", ".join(f"{name} {drop:.2f} points" for drop, name in lost) or "none"


def _change(precisions: Sequence[np.ndarray], interval: tuple[float, float] | None = None) -> Change:
    reference, candidate = (None if mean is None else POINTS * mean for mean in map(mean_precision, precisions))
    return Change(reference, candidate, interval)


_Interval = tuple[float, float] | None


def _intervals(pair: Sequence[Resampler], images: int, draws: int, seed: int) -> tuple[_Interval, list[_Interval]]:
    """Returns the interval of the AP difference, and that of each class."""
    rng = np.random.default_rng(seed)
    per_class, overall = [], []
    for _ in range(draws):
        drawn = rng.integers(0, images, images)
        reference, candidate = (detector.average_precision(drawn) for detector in pair)
        per_class.append(candidate - reference)
        known = ~np.isnan(reference)
        if known.any():  # a draw without any object says nothing
            overall.append(float(candidate[known].mean() - reference[known].mean()))
    if not draws:
        return None, [None] * len(pair[0].average_precision(np.arange(images)))
    return _percentiles(np.array(overall)), [_percentiles(column) for column in np.array(per_class).T]


def _percentiles(differences: np.ndarray) -> _Interval:
    known = differences[~np.isnan(differences)]
    if not known.size:
        return None
    margin = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [margin, 1 - margin]) * POINTS
    return float(low), float(high)
