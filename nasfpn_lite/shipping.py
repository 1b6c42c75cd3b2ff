"""The weights that a training ships: averages, with batch-norm statistics that fit them; and their AP on the way."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfpn_lite.callbacks import take_averages, weights_given_back
from nasfpn_lite.data.coco import read_record
from nasfpn_lite.data.pipeline import TrainingData
from nasfpn_lite.data.records import Category, Split
from nasfpn_lite.evaluate import detect_split, score
from nasfpn_lite.fitting import recompute_statistics
from nasfpn_lite.keras_detector import KerasDetector
from nasfpn_lite.preprocess import ImageError
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.team import Team
from nasfpn_lite.weights import set_arrays, to_arrays

logger = logging.getLogger(__name__)

_STATISTICS_IMAGES = 128
_MOST_AT_ONCE = 16


@dataclass(frozen=True)
class ShippingPlan:
    """What of a training decides its statistics.

    Attributes:
        total_steps: Of the training; the statistics are of the images that would come next.
        trained_at_once: Images of a batch that one device would compute together; a team ships what one device does.
    """

    total_steps: int
    trained_at_once: int

    @property
    def images_at_once(self) -> int:
        """Images to compute statistics of at once.

        These steps run without a compiled graph, where a few large batches cost less than many small ones; but what
        fits in a training must fit here, and a step forward and back holds about twice as much as one forward.
        """
        return min(_MOST_AT_ONCE, 2 * self.trained_at_once)


class Shipping:
    """Makes the weights to ship of a model in training."""

    def __init__(self, team: Team, data: TrainingData, plan: ShippingPlan, make_twin: Callable[[], Any]) -> None:
        """Prepares.

        Args:
            make_twin: Builds the model once more, for this process alone; called only where a team trains.
        """
        self._team = team
        self._data = data.unsharded()
        self._plan = plan
        self._twin = make_twin() if team.replicas > 1 else None

    @contextmanager
    def shipped(self, model: Any) -> Iterator[Any]:
        """Gives a model with the weights that would be shipped if the training ended here; `model` keeps its own.

        A team's model lies on all devices, and what it computes, all compute together. So each process takes the
        weights out of it, and computes with a model of its own.
        """
        if self._twin is None:
            with weights_given_back(model):
                self._finish(model, model)
                yield model
        else:
            with self._team.alone():
                set_arrays(self._twin, to_arrays(model))
                self._finish(model, self._twin)
                yield self._twin

    def _finish(self, model: Any, shipped: Any) -> None:
        if model.optimizer.use_ema:
            take_averages(model, into=shipped)
        images = (batch for batch, _ in self._data.iterate(self._plan.total_steps))
        size = self._plan.images_at_once
        recompute_statistics(shipped, regroup(images, size), _STATISTICS_IMAGES // size)


def regroup(batches: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yields the images of batches (b, H, W, 3), in their order, in batches of another size."""
    left = next(batches)
    while True:
        while len(left) < size:
            left = np.concatenate([left, next(batches)])
        yield left[:size]
        left = left[size:]


def readable(split: Split) -> Split:
    """Leaves out images that cannot be read, so that a validation cannot end a training halfway."""
    readable = []
    for record in split.images:
        try:
            read_record(record)
        except ImageError as error:
            logger.warning("left out of the validation: %s", error)
        else:
            readable.append(record)
    return dataclasses.replace(split, images=tuple(readable))


class SharedScore:
    """AP on the readable images of a split, of which each process looks at its share."""

    def __init__(self, team: Team, split: Split, spec: DetectorSpec, categories: tuple[Category, ...]) -> None:
        self._team, self._spec, self._categories = team, spec, categories
        self._share = readable(dataclasses.replace(split, images=split.images[team.index :: team.processes]))
        kept = {id_ for ids in team.gather([record.id for record in self._share.images]) for id_ in ids}
        self.split = dataclasses.replace(split, images=tuple(r for r in split.images if r.id in kept))

    def __call__(self, model: Any) -> float:
        """Returns the AP of a model; all processes must call it."""
        found = detect_split(KerasDetector(model, self._spec, self._categories), self._share)
        results = [row for rows in self._team.gather(found) for row in rows]
        return score(self.split, results).summary["AP"] or 0.0
