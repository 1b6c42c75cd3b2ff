"""Several trainings of one recipe against several of another: AP on the same photos, and how much of it is chance.

Every run is evaluated anew: a run folder holds no AP that could be of other photos or of other weights.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.bootstrap import Resampler
from nasfpn_lite.compare import CONFIDENCE, POINTS
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import detect_split, mean_precision, run_cocoeval
from nasfpn_lite.run_sides import seed_of
from nasfpn_lite.runs import WEIGHTS_FILE, Run
from nasfpn_lite.seed_statistics import MOST_SEEDS, Mean, SeedTest, compare_means, estimate_mean

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredRun:
    """A run's AP in points on a split, and the means to score it on other draws of the split's images.

    Attributes:
        images: The ids of the split's images: a lone instances.json is divided by the training's seed.
        resample: (places of images) -> AP in points; NaN where they hold no object.
    """

    seed: int
    ap: float
    images: tuple[int, ...]
    resample: Callable[[np.ndarray], float]


@dataclass(frozen=True)
class RunComparison:
    """Side A less side B, in AP points.

    Attributes:
        values: AP by seed of A and of B.
        differences: What else differs between the sides, in words.
        image_interval: Of the difference over other photos, for these very networks; None where it was not worked out.
        notes: What a reader must know about the figures.
    """

    values: tuple[dict[int, float], dict[int, float]]
    means: tuple[Mean, Mean]
    test: SeedTest
    differences: tuple[str, ...]
    image_interval: tuple[float, float] | None
    images: int
    bootstrap: int
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Who is better, if both the seeds and the photos say so."""
        difference, needed = self.test.difference, self.test.seeds_needed
        intervals = [self.test.interval] + ([self.image_interval] if self.image_interval else [])
        apart = all(low > 0 for low, _ in intervals) or all(high < 0 for _, high in intervals)
        if apart and self.test.spread > 0:
            name, (low, high) = ("A", self.test.interval) if difference > 0 else ("B", _negate(self.test.interval))
            return f"{name} is better by {abs(difference):.2f} AP points ({low:.2f}..{high:.2f})"
        if self.test.spread == 0:
            return "no difference shown: not one digit differs between seeds, so that nothing is known of their spread"
        if self.test.interval[0] <= 0 <= self.test.interval[1]:
            count = f"more than {MOST_SEEDS}" if needed is None else f"about {needed}"
            return (
                f"no difference shown: the seeds allow {_in_words(self.test.interval)}; a true difference of "
                f"{abs(difference):.2f} with this spread would need {count} seeds on each side"
            )
        return "no difference shown: on other photos these networks may come out the other way round; take more photos"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data."""
        test = {**asdict(self.test), "confidence": CONFIDENCE, "seeds_needed": self.test.seeds_needed}
        sides = {
            name: {"ap_by_seed": {str(seed): ap for seed, ap in values.items()}, **asdict(mean)}
            for name, values, mean in zip("AB", self.values, self.means, strict=True)
        }
        return {
            "unit": "AP points, 0..100; differences are A less B",
            **sides,
            "verdict": self.verdict,
            "test": test,
            "image_interval": self.image_interval,
            "images": self.images,
            "bootstrap": self.bootstrap,
            "what_differs": list(self.differences),
            "notes": list(self.notes),
        }


def score_runs(runs: Sequence[Run], data: Path, split_name: str) -> list[ScoredRun]:
    """Evaluates runs on a split; runs of one spec share a Keras model, which takes long to build.

    Raises:
        UserError: There is no such split, its classes are others, or it has no object.
    """
    from nasfpn_lite.keras_detector import KerasDetector
    from nasfpn_lite.weights import load_weights

    detectors: dict[str, KerasDetector] = {}
    scored = []
    for run in runs:
        key = run.spec.to_json() + str(run.categories)
        if key in detectors:
            load_weights(detectors[key].model, run.folder / WEIGHTS_FILE)
        else:
            detectors[key] = KerasDetector(run.build_model(), run.spec, run.categories)
        split = load_split(data, split_name, seed=seed_of(run))
        coco = run_cocoeval(split, detect_split(detectors[key], split))
        ap = mean_precision(coco.eval["precision"][:, :, :, 0, -1])
        if ap is None:
            raise UserError(f"split {split_name!r} has no object, so that there is no AP; choose another split")
        logger.info("%s, seed %d: AP %.2f", run.folder, seed_of(run), POINTS * ap)
        images = tuple(record.id for record in split.images)
        scored.append(ScoredRun(seed_of(run), POINTS * ap, images, _make_resampler(Resampler(coco))))
    return scored


def _make_resampler(resampler: Resampler) -> Callable[[np.ndarray], float]:
    def resample(drawn: np.ndarray) -> float:
        by_class = resampler.average_precision(drawn)
        known = by_class[~np.isnan(by_class)]
        return POINTS * float(known.mean()) if known.size else float("nan")

    return resample


def compare_scored(
    first: Sequence[ScoredRun],
    second: Sequence[ScoredRun],
    *,
    differences: Sequence[str] = (),
    bootstrap: int = 1000,
    seed: int = 0,
) -> RunComparison:
    """Compares two sides of evaluated runs.

    Args:
        bootstrap: Draws of as many images as the split holds; every run is scored on the same ones. 0 for none.
    """
    values = tuple({run.seed: run.ap for run in side} for side in (first, second))
    paired = values[0].keys() == values[1].keys()
    splits = {run.images for run in (*first, *second)}
    notes = []
    if len(splits) > 1:
        notes.append("each seed has its own share of the photos, since one instances.json was divided by the seed")
    if not paired:
        notes.append(
            "with the same seeds on both sides the test would be paired; that is sharper only where a seed moves both"
        )
    possible = bootstrap > 0 and (len(splits) == 1 or paired)
    if bootstrap > 0 and not possible:
        notes.append("no interval over photos: the sides were scored on different ones")
    return RunComparison(
        values=(values[0], values[1]),
        means=(estimate_mean(list(values[0].values())), estimate_mean(list(values[1].values()))),
        test=compare_means(*values),
        differences=tuple(differences),
        image_interval=_image_interval(first, second, bootstrap, seed) if possible else None,
        images=len({image for images in splits for image in images}),
        bootstrap=bootstrap if possible else 0,
        notes=tuple(notes),
    )


def _image_interval(
    first: Sequence[ScoredRun], second: Sequence[ScoredRun], draws: int, seed: int
) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    splits = dict.fromkeys(run.images for run in (*first, *second))
    found = []
    for _ in range(draws):
        drawn = {images: rng.integers(0, len(images), len(images)) for images in splits}
        means = [np.mean([run.resample(drawn[run.images]) for run in side]) for side in (first, second)]
        found.append(means[0] - means[1])
    margin = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(found, [margin, 1 - margin])
    return float(low), float(high)


def _negate(interval: tuple[float, float]) -> tuple[float, float]:
    return -interval[1], -interval[0]


def _in_words(interval: tuple[float, float]) -> str:
    return f"{interval[0]:+.2f}..{interval[1]:+.2f}"
