"""The networks of a conversion job, built inside its subprocess."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.converters import progress
from nasfpn_lite.converters.calibration import as_batches, make_synthetic_calibration
from nasfpn_lite.converters.convert import IMAGES_FILE, RANGES, TRAINED_FILE, WEIGHTS_FILE
from nasfpn_lite.converters.qat_plan import LayerPlan, plan_quantization
from nasfpn_lite.converters.recipes import Recipe
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.graph import Call, run_layers, trace
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.specs import DetectorSpec

_RANDOM_SEED = 0
_SHARED_PREDICTOR = re.compile(r"(head_(?:box|class)_predictor)_((?:depthwise|pointwise|conv)/\w+)")
_APART = 1e-6


@dataclass(frozen=True)
class Job:
    """What a job folder holds."""

    spec: DetectorSpec
    categories: tuple[Category, ...]
    thresholds: PostprocessSpec
    weights: Path | None
    images: np.ndarray | None
    calibration_source: str | None
    split_seed: int | None
    trained: Path | None
    ranges: dict[str, tuple[float, float]] | None

    @classmethod
    def read(cls, folder: Path, data: dict[str, Any]) -> "Job":
        """Reads what `convert.write_job` wrote; `data` is its JSON."""
        weights, images, trained = folder / WEIGHTS_FILE, folder / IMAGES_FILE, folder / TRAINED_FILE
        return cls(
            spec=DetectorSpec.from_dict(data["spec"]),
            categories=tuple(Category(**entry) for entry in data["categories"]),
            thresholds=PostprocessSpec(**data["thresholds"]),
            weights=weights if weights.is_file() else None,
            images=np.load(images) if images.is_file() else None,
            calibration_source=data["calibration_source"],
            split_seed=data["split_seed"],
            trained=trained if trained.is_file() else None,
            ranges=None if data["ranges"] is None else {name: tuple(ends) for name, ends in data["ranges"].items()},
        )


class Networks:
    """Builds what is exported: model, folded network and ranges are made once for all targets that need them."""

    def __init__(self, job: Job, begin: Callable[..., None] = lambda name, done=0, total=0: None) -> None:
        """Takes also what is to be told of the steps of `progress.plan_steps`."""
        self.job = job
        self.begin = begin

    @functools.cached_property
    def model(self) -> Any:
        self.begin(progress.NETWORK)
        return _build_model(self.job)

    @functools.cached_property
    def folded(self) -> Any:
        from nasfpn_lite.folding import folded_detector
        from nasfpn_lite.weights import to_arrays

        return _build_folded(*folded_detector(self.job.spec, to_arrays(self.model), self.model))

    @functools.cached_property
    def plan(self) -> tuple[LayerPlan, ...]:
        return plan_quantization(self.folded)

    @functools.cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Ranges of the folded network's activations, measured unless the job brings them."""
        from nasfpn_lite.converters.ranges import measure_ranges

        if self.job.ranges is not None:
            return self.job.ranges
        if self.job.images is None:
            raise UserError("integer activations need calibration images")
        report = functools.partial(self.begin, progress.RANGES)
        return measure_ranges(self.folded, self.plan, as_batches(self.job.images), report)

    def known_ranges(self) -> dict[str, tuple[float, float]] | None:
        """Returns the ranges if something has needed them."""
        return vars(self).get("ranges", self.job.ranges)

    def build(self, recipe: Recipe, stages: tuple[str, ...]) -> tuple[Any, tuple[Call, ...]]:
        """Returns a network, and its convolutions that are to stay in float."""
        if not recipe.integer_activations:
            return self.model, ()
        if not recipe.on_grids:
            return self._unshare_predictors(), ()
        from nasfpn_lite.converters.float_stages import layers_of
        from nasfpn_lite.converters.ranges import put_on_grids

        if recipe.trained:
            if self.job.trained is None:
                raise UserError(f"{recipe.name} needs a network trained for it; `nasfpn-lite quantize` makes one")
            folded, ranges = load_trained(self.job.spec, self.job.trained)
            return put_on_grids(folded, plan_quantization(folded), ranges), ()
        kept = layers_of(self.plan, stages)  # names a mistake before any work
        weighted = {layer.name for layer in self.plan if layer.weights and layer.name in kept}
        calls = tuple(call for call in trace(self.folded) if call.name in weighted)
        return put_on_grids(self.folded, self.plan, self.ranges, kept), calls

    def _unshare_predictors(self) -> Any:
        """Returns the folded network with a predictor for each level.

        Of a bias that several levels share, TensorFlow's 16-bit conversion makes integers at the scale of one level's
        input, and uses them at all: the class output of a trained detector was all noise, and its AP 0. It would join
        equal constants again, so those of each level differ by a millionth.
        """
        from nasfpn_lite.folding import folded_detector
        from nasfpn_lite.weights import to_arrays

        spec, arrays = folded_detector(self.job.spec, to_arrays(self.model), self.model)
        if not spec.head.shared_predictors:
            return self.folded
        unshared = {}
        for key, array in arrays.items():
            shared = _SHARED_PREDICTOR.fullmatch(key)
            if shared is None:
                unshared[key] = array
                continue
            for level in spec.neck.levels:
                apart = array * (1 + level * _APART) + level * _APART if shared[2].endswith("/bias") else array
                unshared[f"{shared[1]}_P{level}_{shared[2]}"] = apart.astype(np.float32)
        return _build_folded(replace(spec, head=replace(spec.head, shared_predictors=False)), unshared)


def load_trained(spec: DetectorSpec, path: Path) -> tuple[Any, dict[str, tuple[float, float]]]:
    """Returns the folded network of a training on int8 grids, in float, and the ranges that it ended with.

    Args:
        spec: Of the run that was trained further.
    """
    from nasfpn_lite.folding import unshare
    from nasfpn_lite.weights import load_arrays

    arrays = load_arrays(path)
    ranges = {key[len(RANGES) :]: tuple(arrays.pop(key).tolist()) for key in list(arrays) if key.startswith(RANGES)}
    return _build_folded(unshare(spec, {})[0], arrays), ranges


def _build_folded(spec: DetectorSpec, arrays: dict[str, np.ndarray]) -> Any:
    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.weights import set_arrays

    folded = build_detector(spec, folded=True)
    set_arrays(folded, arrays)
    return folded


def _build_model(job: Job) -> Any:
    import keras

    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.weights import load_weights

    if job.weights is not None:
        model = build_detector(job.spec)
        load_weights(model, job.weights)
        return model
    keras.utils.set_random_seed(_RANDOM_SEED)
    # Fresh statistics would let the signal die out over a hundred layers, down to ranges that no int8 scale can hold.
    model = build_detector(job.spec, bn_momentum=0.0)
    images = make_synthetic_calibration(job.spec).images
    run_layers(model, keras.ops.convert_to_tensor(np.concatenate(as_batches(images))), training=True)
    return model
