"""The `detect` form: suppression inside the file, appended to a raw one."""

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
_LEAST_CANDIDATES, _MOST_CANDIDATES = 100, 384
_ANCHORS_PER_CANDIDATE = 48
_CUSTOM_OP = "TFLite_Detection_PostProcess"
_OPS = schema.BuiltinOperator


def append_detection(graph: Graph, spec: DetectorSpec, thresholds: PostprocessSpec) -> None:
    """Appends candidate selection, sigmoid and suppression to a raw graph, in its own arithmetic.

    The outputs become boxes (1, n, 4) as (ymin, xmin, ymax, xmax) / image size, classes (1, n), scores (1, n) and
    count (1), all float32, best first, n = thresholds.max_detections; places from count on are zero.

    Only the `count_candidates` anchors with the best logits are dequantized, pass the sigmoid and enter
    TFLite_Detection_PostProcess, which suppresses within each class, as `postprocess` does. Differences from
    `postprocess`: it takes the best (anchor, class) pairs instead of anchors, and cuts boxes at the image first.
    """
    tail = _Tail(graph)
    raw = graph.outputs()
    boxes, logits = raw["box_encodings"], raw["class_logits"]
    _, count, num_classes = (int(side) for side in graph.main.tensors[logits].shape)
    kept = count_candidates(count, thresholds.max_detections)
    best = tail.best_anchors(logits, count, kept)
    scores = tail.sigmoid(tail.to_float(tail.gather(logits, best, (1, kept, num_classes), axis=1)))
    encodings = tail.to_float(tail.gather(boxes, best, (1, kept, 4), axis=1))
    anchors = graph.add_constant("anchors", _centre_size_anchors(spec))
    anchors = tail.gather(anchors, best, (kept, 4), axis=0)
    graph.set_outputs(tail.suppress(encodings, scores, anchors, thresholds, num_classes))


def count_candidates(anchors: int, max_detections: int) -> int:
    """Returns how many anchors enter the suppression: one in 48, at least 100 and at most 384.

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

    def best_anchors(self, logits: int, count: int, kept: int) -> int:
        graph = self.graph
        axes = graph.add_constant("detect/axes", np.array([0, 2], np.int32))
        best_logit = graph.add_tensor_like("detect/best_logit", (count,), logits)
        graph.add_op(
            graph.find_op_code(_OPS.REDUCE_MAX, version=2), (logits, axes), (best_logit,), schema.ReducerOptionsT()
        )
        number = graph.add_constant("detect/candidates", np.array(kept, np.int32))
        values = graph.add_tensor_like("detect/candidate_logits", (kept,), logits)
        indices = graph.add_tensor("detect/candidate_anchors", (kept,), "int32")
        options = schema.TopKV2OptionsT()
        graph.add_op(graph.find_op_code(_OPS.TOPK_V2, version=2), (best_logit, number), (values, indices), options)
        return indices

    def gather(self, source: int, indices: int, shape: tuple[int, ...], *, axis: int) -> int:
        options = schema.GatherOptionsT()
        options.axis = axis
        result = self.graph.add_tensor_like(f"detect/gathered{source}", shape, source)
        self.graph.add_op(self.graph.find_op_code(_OPS.GATHER, version=2), (source, indices), (result,), options)
        return result

    def to_float(self, source: int) -> int:
        tensor = self.graph.main.tensors[source]
        if tensor.type == schema.TensorType.FLOAT32:
            return source
        result = self.graph.add_tensor(f"detect/float{source}", tensor.shape, "float32")
        self.graph.add_op(self.graph.find_op_code(_OPS.DEQUANTIZE, version=2), (source,), (result,))
        return result

    def sigmoid(self, source: int) -> int:
        result = self.graph.add_tensor("detect/scores", self.graph.main.tensors[source].shape, "float32")
        self.graph.add_op(self.graph.find_op_code(_OPS.LOGISTIC), (source,), (result,))
        return result

    def suppress(
        self, encodings: int, scores: int, anchors: int, thresholds: PostprocessSpec, num_classes: int
    ) -> dict[str, int]:
        limit = thresholds.max_detections
        shapes: dict[str, Any] = {"boxes": (1, limit, 4), "classes": (1, limit), "scores": (1, limit), "count": (1,)}
        outputs = {name: self.graph.add_tensor(name, shapes[name], "float32") for name in DETECT_OUTPUTS}
        code = self.graph.find_op_code(_OPS.CUSTOM, _CUSTOM_OP)
        operator = self.graph.add_op(code, (encodings, scores, anchors), tuple(outputs.values()))
        operator.customOptions = np.frombuffer(_custom_options(thresholds, num_classes), np.uint8)
        return outputs


def _custom_options(thresholds: PostprocessSpec, num_classes: int) -> bytes:
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, number in (
            ("max_detections", thresholds.max_detections),
            ("max_classes_per_detection", 1),
            ("detections_per_class", thresholds.max_detections),
            ("num_classes", num_classes),
        ):
            builder.Int(name, number)
        for name, value in (
            ("nms_score_threshold", thresholds.score_threshold),
            ("nms_iou_threshold", thresholds.nms_iou),
            *((f"{side}_scale", 1.0) for side in "yxhw"),
        ):
            builder.Float(name, value)
        builder.Bool("use_regular_nms", True)
    return bytes(builder.Finish())
