"""What keeps some layers of an int8 file in float: marks that the converter cannot quantize, taken out afterwards.

TensorFlow's converter makes float operators, with float32 weights, of layers whose results have no grid. But it also
carries a grid on to a single layer between two grids. So every value that leaves the float part passes a sine, which
TFLite cannot quantize; in the finished file it is taken out again.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nasfpn_lite.converters.convert import ConversionError
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.graph_view import GraphView, OperatorView, view_graphs
from nasfpn_lite.graph import Call

_MARK = "SIN"
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


class Mark(keras.layers.Layer):
    """Stands where values leave the float part of a network that is about to be converted."""

    def call(self, x: Any) -> Any:
        """Returns what `remove_marks` undoes."""
        return tf.sin(x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape; without this Keras would trace the call to learn it."""
        return input_shape


def remove_marks(graph: Graph) -> int:
    """Takes the marks out: what reads one reads its source then. Returns their number."""
    names = graph.op_names()
    marked = [op for op, name in zip(graph.main.operators, names, strict=True) if name == _MARK]
    sources = {int(op.outputs[0]): int(op.inputs[0]) for op in marked}
    graph.main.operators = [op for op, name in zip(graph.main.operators, names, strict=True) if name != _MARK]
    for operator in graph.main.operators:
        operator.inputs = np.array([sources.get(int(i), int(i)) for i in operator.inputs], np.int32)
    _drop_unused_codes(graph)
    return len(marked)


def check_parts(graph: Graph, float_calls: Sequence[Call]) -> None:
    """Refuses a file in which more or less is float than was asked for, or types change away from the boundaries.

    Args:
        float_calls: The calls of convolutions that were to stay in float.

    Raises:
        ConversionError: Ranges are broken, or the converter took another way.
    """
    view = view_graphs(graph.model)[0]
    kinds = [operator.arithmetic() for operator in view.operators if operator.weights is not None]
    strange = [kind for kind in kinds if kind not in ("int8", "float")]
    if strange or kinds.count("float") != len(float_calls):
        raise ConversionError(
            f"expected {len(float_calls)} convolutions in float and all others in int8, got {kinds.count('float')} in "
            f"float and {len(strange)} mixed; ranges are broken (dead activations, or calibration images unlike the "
            "training data)"
        )
    strays = [op for op in view.operators if op.name in _CONVERSIONS and not _is_boundary(view, op)]
    if strays:
        raise ConversionError(
            f"{len(strays)} QUANTIZE and DEQUANTIZE operators stand away from the float stages, the first makes "
            f"{strays[0].outputs[0].name}; ranges are broken"
        )


def _is_boundary(view: GraphView, operator: OperatorView) -> bool:
    """Whether one side is float work, and not the other conversion: DEQUANTIZE before it, QUANTIZE behind it."""
    source, result = operator.inputs[0], operator.outputs[0]
    if source is None:
        return False
    if operator.name == "DEQUANTIZE":
        near = list(view.consumers.get(result.index, ()))
    else:
        near = [view.producers[source.index]] if source.index in view.producers else []
    return any(neighbour.arithmetic() == "float" for neighbour in near)


def _drop_unused_codes(graph: Graph) -> None:
    used = sorted({operator.opcodeIndex for operator in graph.main.operators})
    places = {old: new for new, old in enumerate(used)}
    for operator in graph.main.operators:
        operator.opcodeIndex = places[operator.opcodeIndex]
    graph.model.operatorCodes = [graph.model.operatorCodes[old] for old in used]
