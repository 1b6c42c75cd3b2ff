"""A small detector as a .tflite of ours, with metadata and signature, packed by hand: no TensorFlow needed."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.converters.detect_form import append_detection
from nasfpn_lite.converters.metadata import Metadata, embed_metadata
from nasfpn_lite.data.records import Category
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.variants import get_spec
from tests.hand_made_tflite import HandMade, conv_options, options

CATEGORIES = (Category(1, "blue"), Category(7, "red"))
HEIGHT, WIDTH = 64, 128
THRESHOLDS = PostprocessSpec(score_threshold=0.3, max_detections=20)
_SCALES = {"image": 1 / 127.5, "pooled": 1 / 127.5, "box": 0.02, "class": 0.05}
_WEIGHT_SCALE = 0.01


def make_detector_tflite(*, form: str = "raw", dtype: str = "float32", seed: int = 3) -> bytes:
    """Makes a detector that averages over the cells of each level, and predicts from that by a 1x1 convolution.

    Args:
        dtype: "float32", or "int8" throughout.
    """
    spec = get_spec("fpnlite_64", size=f"{HEIGHT}x{WIDTH}", num_classes=len(CATEGORIES))
    made, rng = HandMade(), np.random.default_rng(seed)

    def tensor(kind: str, shape: Sequence[int]) -> int:
        scale = _SCALES[kind] if dtype == "int8" else None
        return made.tensor(tuple(shape), dtype, scale=scale)

    image = tensor("image", (1, HEIGHT, WIDTH, 3))
    per_cell = len(make_anchors(spec)) // sum((HEIGHT >> level) * (WIDTH >> level) for level in spec.neck.levels)
    parts: dict[str, list[int]] = {"box": [], "class": []}
    for level in spec.neck.levels:
        rows, columns = HEIGHT >> level, WIDTH >> level
        pooled = tensor("pooled", (1, rows, columns, 3))
        made.op("AVERAGE_POOL_2D", [image], [pooled], _pool_options(2**level), version=2)
        for kind, width in (("box", 4), ("class", len(CATEGORIES))):
            channels = per_cell * width
            mixed = tensor(kind, (1, rows, columns, channels))
            _add_conv(made, rng, pooled, mixed, channels, dtype, _SCALES[kind])
            flat = tensor(kind, (1, rows * columns * per_cell, width))
            shape = made.fixed([1, -1, width])
            made.op("RESHAPE", [mixed, shape], [flat], options("Reshape", newShape=np.array([1, -1, width])))
            parts[kind].append(flat)
    outputs = {}
    for kind, name, width in (("box", "box_encodings", 4), ("class", "class_logits", len(CATEGORIES))):
        outputs[name] = tensor(kind, (1, len(make_anchors(spec)), width))
        made.op("CONCATENATION", parts[kind], [outputs[name]], options("Concatenation", axis=1), version=2)
    _add_signature(made, image, outputs)
    if form == "detect":
        append_detection(made.graph, spec, THRESHOLDS)
    recipe = "float32" if dtype == "float32" else "static_wi8_ai8"
    versions = {"nasfpn-lite": "0"}
    metadata = Metadata(spec, CATEGORIES, recipe, form, THRESHOLDS, versions, {}, split_seed=5)
    return embed_metadata(made.graph.to_bytes(), metadata)


def _add_conv(made, rng, source, target, channels, dtype, scale):
    """Classes go by colour, more blue than red or the other way; boxes stay near their anchors."""
    if scale == _SCALES["box"]:
        kernel = rng.normal(0, 0.1, (channels, 1, 1, 3))
    else:
        kernel = np.tile([[-1.2, 0.1, 1.1], [1.2, -0.1, -1.1]], (channels // 2, 1)).reshape(channels, 1, 1, 3)
    bias = rng.normal(0, 0.2, channels)
    if dtype == "float32":
        made.op(
            "CONV_2D", [source, made.fixed(kernel, "float32"), made.fixed(bias, "float32")], [target], conv_options()
        )
        return
    whole = np.rint(kernel / _WEIGHT_SCALE)
    step = _WEIGHT_SCALE * _SCALES["pooled"]
    weights = made.fixed(whole, "int8", scale=[_WEIGHT_SCALE] * channels)
    shift = made.fixed(np.rint(bias / step), "int32", scale=[step] * channels)
    made.op("CONV_2D", [source, weights, shift], [target], conv_options(), version=3)


def _pool_options(side: int):
    pool = options("Pool2D", strideH=side, strideW=side, filterHeight=side, filterWidth=side)
    pool.padding = schema.Padding.VALID
    return pool


def _add_signature(made: HandMade, image: int, outputs: dict[str, int]) -> None:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = b"image", image
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.inputs, signature.outputs, signature.subgraphIndex = (
        "serving_default",
        [entry],
        [],
        0,
    )
    made.graph.model.signatureDefs = [signature]
    made.graph.main.inputs = np.array([image], np.int32)
    made.graph.main.tensors[image].name = b"image"
    made.graph.set_outputs(outputs)
