"""The `detect` form: suppression inside the file, appended to a raw one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.metadata import DETECT_OUTPUTS
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.specs import DetectorSpec

# Anchors whose best class is among the best so many enter the suppression. All others are never dequantized.
_LEAST_CANDIDATES, _MOST_CANDIDATES = 256, 768
_ANCHORS_PER_CANDIDATE = 32
# Every class has a strip of its own for its boxes, this many image heights apart.
_STRIP = 4.0
_CUSTOM_OP = "TFLite_Detection_PostProcess"
_OPS = schema.BuiltinOperator
_OPTIONS = {
    _OPS.ADD: schema.AddOptionsT,
    _OPS.SUB: schema.SubOptionsT,
    _OPS.MUL: schema.MulOptionsT,
    _OPS.MAXIMUM: schema.MaximumMinimumOptionsT,
    _OPS.MINIMUM: schema.MaximumMinimumOptionsT,
}


def append_detection(graph: Graph, spec: DetectorSpec, thresholds: PostprocessSpec) -> None:
    """Appends candidate selection, sigmoid and suppression to a raw graph.

    The outputs become boxes (1, n, 4) as (ymin, xmin, ymax, xmax) / image size, classes (1, n), scores (1, n) and
    count (1), all float32, best first, n = thresholds.max_detections; places from count on are zero. An int8 input
    becomes uint8, pixels as they are: MediaPipe takes no int8.

    Only the `count_candidates` anchors with the best logits are dequantized, pass the sigmoid and enter
    TFLite_Detection_PostProcess. Its own suppression by class loses the class whose number equals the number of
    threads when it has more than one (tensorflow#56058), so it runs as a detector of one class: the boxes of each
    class lie in a strip of their own, where no other class can suppress them, and the strip tells the class
    afterwards. Differences from `postprocess`: an anchor stands for its best class alone, and boxes are cut at the
    image after the suppression; of one that lies outside altogether nothing is left but its place.
    """
    tail = _Tail(graph)
    raw = graph.outputs()
    boxes, logits = raw["box_encodings"], raw["class_logits"]
    _, count, num_classes = (int(side) for side in graph.main.tensors[logits].shape)
    kept = count_candidates(count, thresholds.max_detections)
    best_logits, best = tail.best_anchors(logits, count, kept)
    scores = tail.reshape(tail.sigmoid(tail.to_float(best_logits)), (1, kept, 1))
    encodings = tail.to_float(tail.gather(boxes, best, (1, kept, 4), axis=1))
    classes = tail.best_class(tail.gather(logits, best, (1, kept, num_classes), axis=1), kept)
    anchors = tail.gather(graph.add_constant("anchors", _centre_size_anchors(spec)), best, (kept, 4), axis=0)
    strips = tail.apply(_OPS.MUL, classes, np.array([[_STRIP, 0, 0, 0]]), (kept, 4))
    anchors = tail.apply(_OPS.ADD, anchors, strips, (kept, 4))
    graph.set_outputs(tail.suppress(encodings, scores, anchors, thresholds))
    graph.accept_bytes()


def count_candidates(anchors: int, max_detections: int) -> int:
    """Returns how many anchors enter the suppression: one in 32, at least 256 and at most 768.

    A small network has less time to lose in the suppression, and fewer anchors on each object. Never fewer than
    `max_detections`, never more than there are.
    """
    wanted = min(_MOST_CANDIDATES, max(_LEAST_CANDIDATES, anchors // _ANCHORS_PER_CANDIDATE))
    return min(anchors, max(wanted, max_detections))


def _centre_size_anchors(spec: DetectorSpec) -> np.ndarray:
    """Anchors as (y centre, x centre, height, width) / image size, as the operator wants them."""
    height, width = spec.image_size
    anchors = make_anchors(spec) / np.array([height, width, height, width], np.float32)
    size = anchors[:, 2:] - anchors[:, :2]
    return np.concatenate([anchors[:, :2] + size / 2, size], axis=1).astype(np.float32)


class _Tail:
    """Adds the operators one by one; every method returns the index of the tensor that it makes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made = 0

    def best_anchors(self, logits: int, count: int, kept: int) -> tuple[int, int]:
        """Returns the best logits, (kept,), and the numbers of their anchors."""
        best = self.like(logits, (count,))
        self.add(_OPS.REDUCE_MAX, (logits, self.integers([0, 2])), best, schema.ReducerOptionsT(), version=2)
        values, indices = self.like(logits, (kept,)), self.graph.add_tensor(self.name(), (kept,), "int32")
        code = self.graph.find_op_code(_OPS.TOPK_V2, version=2)
        number = self.graph.add_constant(self.name(), np.array(kept, np.int32))
        self.graph.add_op(code, (best, number), (values, indices), schema.TopKV2OptionsT())
        return values, indices

    def best_class(self, logits: int, kept: int) -> int:
        """Returns the number of the best class of each row as (kept, 1) float32."""
        options = schema.ArgMaxOptionsT()
        options.outputType = schema.TensorType.INT32
        numbers = self.graph.add_tensor(self.name(), (1, kept), "int32")
        self.add(_OPS.ARG_MAX, (logits, self.integers([2])), numbers, options, version=2)
        cast = schema.CastOptionsT()
        cast.inDataType, cast.outDataType = schema.TensorType.INT32, schema.TensorType.FLOAT32
        return self.reshape(self.add(_OPS.CAST, (numbers,), self.float((1, kept)), cast), (kept, 1))

    def gather(self, source: int, indices: int, shape: tuple[int, ...], *, axis: int) -> int:
        options = schema.GatherOptionsT()
        options.axis = axis
        return self.add(_OPS.GATHER, (source, indices), self.like(source, shape), options, version=2)

    def to_float(self, source: int) -> int:
        tensor = self.graph.main.tensors[source]
        if tensor.type == schema.TensorType.FLOAT32:
            return source
        return self.add(_OPS.DEQUANTIZE, (source,), self.float(tensor.shape), version=2)

    def sigmoid(self, source: int) -> int:
        return self.add(_OPS.LOGISTIC, (source,), self.float(self.graph.main.tensors[source].shape))

    def reshape(self, source: int, shape: tuple[int, ...], result: int | None = None) -> int:
        options = schema.ReshapeOptionsT()
        options.newShape = np.array(shape, np.int32)
        result = self.float(shape) if result is None else result
        return self.add(_OPS.RESHAPE, (source, self.integers(shape)), result, options)

    def apply(
        self, op: int, first: int, second: int | np.ndarray, shape: tuple[int, ...], result: int | None = None
    ) -> int:
        """Adds first OP second in float32; the second may be values."""
        options = _OPTIONS[op]()
        if isinstance(second, np.ndarray):
            second = self.graph.add_constant(self.name(), second.astype(np.float32))
        return self.add(op, (first, second), self.float(shape) if result is None else result, options)

    def suppress(self, encodings: int, scores: int, anchors: int, thresholds: PostprocessSpec) -> dict[str, int]:
        limit = thresholds.max_detections
        shapes: dict[str, tuple[int, ...]] = {
            **{"boxes": (1, limit, 4), "classes": (1, limit), "scores": (1, limit), "count": (1,)}
        }
        # Other programs tell the outputs apart by the order of their tensors.
        outputs = {name: self.graph.add_tensor(name, shapes[name], "float32") for name in DETECT_OUTPUTS}
        found, unused, found_scores = (self.float(shapes[name]) for name in ("boxes", "classes", "scores"))
        code = self.graph.find_op_code(_OPS.CUSTOM, _CUSTOM_OP)
        results = (found, unused, found_scores, outputs["count"])
        operator = self.graph.add_op(code, (encodings, scores, anchors), results)
        operator.customOptions = np.frombuffer(_custom_options(thresholds), np.uint8)
        # The operator leaves what it likes in the places behind the last detection.
        used = self.used_places(outputs["count"], limit)
        self.keep(used, found_scores, shapes["scores"], outputs["scores"])
        used = self.reshape(used, (1, limit, 1), self.graph.add_tensor(self.name(), (1, limit, 1), "bool"))
        in_strips = self.keep(used, found, shapes["boxes"], self.float(shapes["boxes"]))
        # The number of the strip is floor((y centre + 1.5) / 4), for centres from -1.5 to 2.5 image heights.
        column = (1, limit, 1)
        share = self.apply(_OPS.MUL, in_strips, np.array([0.5, 0, 0.5, 0]) / _STRIP, shapes["boxes"])
        options = schema.ReducerOptionsT()
        options.keepDims = True
        centre = self.add(_OPS.SUM, (share, self.integers([2])), self.float(column), options)
        strip = self.add(_OPS.FLOOR, (self.apply(_OPS.ADD, centre, np.array([0.375]), column),), self.float(column))
        self.reshape(strip, shapes["classes"], outputs["classes"])
        shift = self.apply(_OPS.MUL, strip, np.array([_STRIP, 0, _STRIP, 0]), shapes["boxes"])
        moved = self.apply(_OPS.SUB, in_strips, shift, shapes["boxes"])
        # MediaPipe moves a box that begins before the image to its edge, as large as it was.
        visible = self.apply(_OPS.MAXIMUM, moved, np.array([0.0]), shapes["boxes"])
        self.apply(_OPS.MINIMUM, visible, np.array([1.0]), shapes["boxes"], outputs["boxes"])
        return outputs

    def used_places(self, count: int, limit: int) -> int:
        places = self.graph.add_constant(self.name(), np.arange(limit, dtype=np.float32)[None])
        used = self.graph.add_tensor(self.name(), (1, limit), "bool")
        return self.add(_OPS.LESS, (places, count), used, schema.LessOptionsT())

    def keep(self, used: int, source: int, shape: tuple[int, ...], result: int) -> int:
        zeros = self.graph.add_constant(self.name(), np.zeros(shape, np.float32))
        return self.add(_OPS.SELECT_V2, (used, source, zeros), result, schema.SelectV2OptionsT())

    def add(self, op: int, inputs: tuple[int, ...], result: int, options: Any = None, *, version: int = 1) -> int:
        self.graph.add_op(self.graph.find_op_code(op, version=version), inputs, (result,), options)
        return result

    def name(self) -> str:
        self.made += 1
        return f"detect/{self.made}"

    def float(self, shape: Sequence[int]) -> int:
        return self.graph.add_tensor(self.name(), shape, "float32")

    def like(self, source: int, shape: tuple[int, ...]) -> int:
        return self.graph.add_tensor_like(self.name(), shape, source)

    def integers(self, values: Sequence[int]) -> int:
        return self.graph.add_constant(self.name(), np.array(values, np.int32))


def _custom_options(thresholds: PostprocessSpec) -> bytes:
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, number in (
            ("max_detections", thresholds.max_detections),
            ("max_classes_per_detection", 1),
            ("detections_per_class", thresholds.max_detections),
            ("num_classes", 1),
        ):
            builder.Int(name, number)
        for name, value in (
            ("nms_score_threshold", thresholds.score_threshold),
            ("nms_iou_threshold", thresholds.nms_iou),
            *((f"{side}_scale", 1.0) for side in "yxhw"),
        ):
            builder.Float(name, value)
        builder.Bool("use_regular_nms", False)
    return bytes(builder.Finish())
