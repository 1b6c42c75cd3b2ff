"""The subprocess that converts, `python -m nasfpn_lite.converters.worker FOLDER`; only `convert` starts it."""

import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasfpn_lite.converters.calibration import as_batches
from nasfpn_lite.converters.convert import (
    JOB_FILE,
    RESULT_FILE,
    ConversionError,
)
from nasfpn_lite.converters.detect_form import append_detection
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.graph_view import OperatorView, view_graphs
from nasfpn_lite.converters.interpreter import SIGNATURE, load_converter
from nasfpn_lite.converters.metadata import Metadata, embed_metadata
from nasfpn_lite.converters.progress import Steps, plan_steps
from nasfpn_lite.converters.recipes import Recipe, get_recipe
from nasfpn_lite.converters.upsampling import replace_tiles
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_bytes_atomically
from nasfpn_lite.runs import collect_versions

if TYPE_CHECKING:
    from nasfpn_lite.converters.networks import Job
    from nasfpn_lite.graph import Call

_INPUT = "image"
# Millions of small objects, hardly any of them garbage: to look for it as often as usual takes a tenth of the time.
GC_THRESHOLD = (200_000, 50, 100)


def main(argv: list[str]) -> int:
    """Does the job in a folder; what a user can mend goes into the result, all else is a traceback."""
    gc.set_threshold(*GC_THRESHOLD)
    folder = Path(argv[0])
    try:
        result = _work(folder)
    except UserError as error:
        result = {"error": str(error)}
    (folder / RESULT_FILE).write_text(json.dumps(result), encoding="utf-8")
    return 1 if "error" in result else 0


def _work(folder: Path) -> dict[str, Any]:
    from nasfpn_lite.converters.networks import Job, Networks  # TensorFlow: after gc.set_threshold

    data = json.loads((folder / JOB_FILE).read_text(encoding="utf-8"))
    job = Job.read(folder, data)
    converter_module = load_converter()
    images, known = (0 if job.images is None else len(job.images)), job.ranges is not None
    steps = Steps(plan_steps(data["targets"], images, measured=known))
    networks = Networks(job, steps.begin)
    raw: dict[Any, bytes] = {}
    seconds = []
    for target in data["targets"]:
        started = time.perf_counter()
        recipe, stages = get_recipe(target["recipe"]), tuple(target["float_stages"])
        if (recipe.name, stages) not in raw:
            with tempfile.TemporaryDirectory(dir=folder) as saved_model:
                network, float_calls = networks.build(recipe, stages)
                steps.begin(f"{recipe.name}: export")
                _export(network, saved_model)
                steps.begin(f"{recipe.name}: convert")
                content = _convert_raw(converter_module, saved_model, recipe, job.images)
            raw[recipe.name, stages] = _finish_raw(content, recipe, float_calls)
        steps.begin(f"{recipe.name}: write")
        content = _finish(raw[recipe.name, stages], job, target)
        write_bytes_atomically(Path(target["path"]), content)
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "ranges": networks.known_ranges()}


def _export(model: Any, folder: str) -> None:
    """Writes a saved model for one image whose weights are constants: to freeze variables afterwards takes longer."""
    import tensorflow as tf

    kinds = model.trainable_variables, model.non_trainable_variables
    arrays = [[variable.numpy() for variable in variables] for variables in kinds]

    def serve(image: Any) -> Any:
        constants = [[tf.constant(array) for array in group] for group in arrays]
        return model.stateless_call(*constants, image, training=False)[0]

    signature = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name=_INPUT)]
    function = tf.function(serve, input_signature=signature, autograph=False)
    tf.saved_model.save(tf.Module(), folder, signatures={SIGNATURE: function})


def _convert_raw(module: Any, saved_model: str, recipe: Recipe, images: np.ndarray | None) -> bytes:
    import tensorflow as tf

    converter = module.TFLiteConverter.from_saved_model(saved_model, signature_keys=[SIGNATURE])
    if recipe.weight_bits < 32:
        converter.optimizations = [module.Optimize.DEFAULT]
    if recipe.weight_bits == 16:
        converter.target_spec.supported_types = [tf.float16]
    if recipe.on_grids:
        converter.inference_input_type = converter.inference_output_type = tf.int8
    elif recipe.integer_activations:
        if images is None:
            raise UserError(f"{recipe.name} needs calibration images")
        wide = module.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide]
        converter.representative_dataset = lambda: ({_INPUT: batch} for batch in as_batches(images))
    return bytes(converter.convert())


def _finish_raw(content: bytes, recipe: Recipe, float_calls: "tuple[Call, ...]") -> bytes:
    graph = Graph(content)
    replace_tiles(graph)
    if recipe.selective:
        from nasfpn_lite.converters.selective import check_parts, remove_marks

        remove_marks(graph)
        check_parts(graph, float_calls)
    else:
        _check(graph, recipe)
    return graph.to_bytes()


def _check(graph: Graph, recipe: Recipe) -> None:
    """Refuses an integer network with parts in float: it would be slow, and it is a sign of broken ranges."""
    if not recipe.integer_activations:
        return
    view = view_graphs(graph.model)[0]
    # 16-bit files take and give float; between their scales QUANTIZE changes from int16 to int16.
    ends = {tensor.index for tensor in (*view.inputs, *view.outputs)} if not recipe.on_grids else set()
    strays = [
        operator
        for operator in view.operators
        if operator.name in ("QUANTIZE", "DEQUANTIZE")
        and operator.arithmetic() != "int16x8"
        and not _tensors_of(operator) & ends
    ]
    if strays:
        raise ConversionError(
            f"{recipe.name}: {len(strays)} of {len(view.operators)} operators only change between integers and float; "
            "ranges are broken (dead activations, or calibration images unlike the training data)"
        )


def _tensors_of(operator: OperatorView) -> set[int]:
    return {tensor.index for tensor in (*operator.inputs, *operator.outputs) if tensor is not None}


def _finish(raw: bytes, job: "Job", target: dict[str, Any]) -> bytes:
    recipe, form = get_recipe(target["recipe"]), target["form"]
    if form == "detect":
        graph = Graph(raw)
        append_detection(graph, job.spec, job.thresholds)
        raw = graph.to_bytes()
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
        float_stages=tuple(target["float_stages"]),
    )
    return embed_metadata(raw, metadata)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
