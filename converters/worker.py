"""The subprocess that converts, `python -m nasfpn_lite.converters.worker FOLDER`; only `convert` starts it."""

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.converters.calibration import as_batches, make_synthetic_calibration
from nasfpn_lite.converters.convert import (
    IMAGES_FILE,
    JOB_FILE,
    RANGES,
    RESULT_FILE,
    TRAINED_FILE,
    WEIGHTS_FILE,
    ConversionError,
)
from nasfpn_lite.converters.detect_form import append_detection
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import SIGNATURE, load_converter
from nasfpn_lite.converters.metadata import Metadata, embed_metadata
from nasfpn_lite.converters.recipes import Recipe, get_recipe
from nasfpn_lite.converters.upsampling import replace_tiles
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_bytes_atomically
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.runs import collect_versions
from nasfpn_lite.specs import DetectorSpec

_INPUT = "image"
_RANDOM_SEED = 0


@dataclass(frozen=True)
class _Job:
    spec: DetectorSpec
    categories: tuple[Category, ...]
    thresholds: PostprocessSpec
    weights: Path | None
    images: np.ndarray | None
    calibration_source: str | None
    split_seed: int | None
    trained: Path | None

    @classmethod
    def read(cls, folder: Path, data: dict[str, Any]) -> "_Job":
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
        )


def main(argv: list[str]) -> int:
    """Does the job in a folder; what a user can mend goes into the result, all else is a traceback."""
    folder = Path(argv[0])
    try:
        result: dict[str, Any] = {"seconds": _work(folder)}
    except UserError as error:
        result = {"error": str(error)}
    (folder / RESULT_FILE).write_text(json.dumps(result), encoding="utf-8")
    return 1 if "error" in result else 0


def _work(folder: Path) -> list[float]:
    data = json.loads((folder / JOB_FILE).read_text(encoding="utf-8"))
    job = _Job.read(folder, data)
    converter_module = load_converter()
    model: Any = None
    raw: dict[str, bytes] = {}
    seconds = []
    for target in data["targets"]:
        started = time.perf_counter()
        recipe = get_recipe(target["recipe"])
        if recipe.name not in raw:
            if model is None and not recipe.trained:
                model = _build_model(job)
            network = _build_integer_network(job, recipe, model) if recipe.integer_activations else model
            with tempfile.TemporaryDirectory(dir=folder) as saved_model:
                _export(network, saved_model)
                raw[recipe.name] = _convert_raw(converter_module, saved_model, recipe)
        content = _finish(raw[recipe.name], job, recipe, target["form"])
        write_bytes_atomically(Path(target["path"]), content)
        seconds.append(time.perf_counter() - started)
    return seconds


def _build_integer_network(job: _Job, recipe: Recipe, model: Any) -> Any:
    """Builds the folded network whose values lie on int8 grids: measured ones, or those it was trained with."""
    from nasfpn_lite.converters.qat_plan import plan_quantization
    from nasfpn_lite.converters.ranges import measure_ranges, put_on_grids
    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.folding import folded_detector, unshare
    from nasfpn_lite.weights import load_arrays, set_arrays, to_arrays

    if recipe.trained:
        if job.trained is None:
            raise UserError(f"{recipe.name} needs a network trained for it; `nasfpn-lite quantize` makes one")
        spec, arrays = unshare(job.spec, {})[0], load_arrays(job.trained)
        ranges = {key[len(RANGES) :]: tuple(arrays.pop(key).tolist()) for key in list(arrays) if key.startswith(RANGES)}
    else:
        spec, arrays = folded_detector(job.spec, to_arrays(model))
    folded = build_detector(spec, folded=True)
    set_arrays(folded, arrays)
    plan = plan_quantization(folded)
    if not recipe.trained:
        if job.images is None:
            raise UserError(f"{recipe.name} needs calibration images")
        ranges = measure_ranges(folded, plan, as_batches(job.images))
    return put_on_grids(folded, plan, ranges)


def _build_model(job: _Job) -> Any:
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
    model(np.concatenate(as_batches(images)), training=True)
    return model


def _export(model: Any, folder: str) -> None:
    """Writes a saved model for one image, variables frozen: the converter then sees constants only."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name=_INPUT)]
    names = sorted(model.output)  # tf.function flattens a dict in this order
    network = tf.function(lambda image: model(image, training=False), input_signature=signature)
    frozen = convert_variables_to_constants_v2(network.get_concrete_function())
    serve = tf.function(lambda image: dict(zip(names, frozen(image), strict=True)), input_signature=signature)
    tf.saved_model.save(tf.Module(), folder, signatures={SIGNATURE: serve})


def _convert_raw(module: Any, saved_model: str, recipe: Recipe) -> bytes:
    import tensorflow as tf

    converter = module.TFLiteConverter.from_saved_model(saved_model, signature_keys=[SIGNATURE])
    if recipe.weight_bits < 32:
        converter.optimizations = [module.Optimize.DEFAULT]
    if recipe.weight_bits == 16:
        converter.target_spec.supported_types = [tf.float16]
    if recipe.integer_activations:
        converter.inference_input_type = converter.inference_output_type = tf.int8
    graph = Graph(converter.convert())
    replace_tiles(graph)
    _check(graph, recipe)
    return graph.to_bytes()


def _check(graph: Graph, recipe: Recipe) -> None:
    """Refuses an int8 network with parts in float: it would be slow, and it is a sign of broken ranges."""
    names = graph.op_names()
    strays = names.count("QUANTIZE") + names.count("DEQUANTIZE")
    if recipe.integer_activations and strays:
        raise ConversionError(
            f"{recipe.name}: {strays} of {len(names)} operators only change between int8 and float; "
            "ranges are broken (dead activations, or calibration images unlike the training data)"
        )


def _finish(raw: bytes, job: _Job, recipe: Recipe, form: str) -> bytes:
    graph = Graph(raw)
    if form == "detect":
        append_detection(graph, job.spec, job.thresholds)
    calibration: dict[str, Any] = {}
    if recipe.needs_calibration and job.images is not None:
        calibration = {"images": len(job.images), "source": job.calibration_source}
    metadata = Metadata(
        spec=job.spec,
        categories=job.categories,
        recipe=recipe.name,
        form=form,
        thresholds=job.thresholds,
        versions=collect_versions(),
        calibration=calibration,
        split_seed=job.split_seed,
    )
    return embed_metadata(graph.to_bytes(), metadata)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
