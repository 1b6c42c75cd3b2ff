"""The weights that a training ships: averages, with batch-norm statistics that fit them; and their AP on the way."""

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

_STATISTICS_BATCH, _STATISTICS_BATCHES = 16, 8


class Shipping:
    """Makes the weights to ship of a model in training."""

    def __init__(self, team: Team, data: TrainingData, total_steps: int, make_twin: Callable[[], Any]) -> None:
        """Prepares.

        Args:
            make_twin: Builds the model once more, for this process alone; called only where a team trains.
        """
        self._team = team
        self._data = data.unsharded()
        self._total_steps = total_steps
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
        # These steps run without a compiled graph, where a few large batches cost less than many small ones.
        joined = math.ceil(_STATISTICS_BATCH / self._data.batch_size)
        batches = (images for images, _ in self._data.iterate(self._total_steps))
        joined_batches = (np.concatenate([next(batches) for _ in range(joined)]) for _ in range(_STATISTICS_BATCHES))
        recompute_statistics(shipped, joined_batches, _STATISTICS_BATCHES)


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
