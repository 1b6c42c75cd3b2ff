"""A .tflite's operators with the tensors they touch, read-only and in plain Python types."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.flatbuffer import op_name
from nasfpn_lite.converters.inspect_ops import multiply_adds, tensor_indices, tensor_shape
from nasfpn_lite.errors import UserError

_DTYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
_MATRIX_OPERANDS = {  # name -> places of data and weights among the inputs
    "CONV_2D": (0, 1),
    "DEPTHWISE_CONV_2D": (0, 1),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
}
_FLOATS, _BYTES, _SMALL = ("float32", "float16"), ("int8", "uint8"), ("int8", "uint8", "int4")


@dataclass(frozen=True)
class TensorView:
    """A tensor.

    Attributes:
        dtype: "float32", "int8", ...
        scales: One, or one per channel along `axis`; () for a tensor that is not quantized.
        data: The fixed values as stored; None for a tensor that is computed or fed.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    data: bytes | None = field(repr=False)

    def integers(self) -> tuple[int, ...]:
        """Returns the values of a fixed int32 or int64 tensor; () for any other."""
        if self.data is None or self.dtype not in ("int32", "int64"):
            return ()
        return tuple(int(value) for value in np.frombuffer(self.data, self.dtype))


@dataclass(frozen=True)
class OperatorView:
    """An operator; an optional input that is not there is None."""

    position: int
    name: str
    version: int
    custom: bool
    inputs: tuple[TensorView | None, ...]
    outputs: tuple[TensorView, ...]
    options: Any
    multiply_adds: int

    @property
    def data(self) -> TensorView | None:
        """The main input: the activations of a convolution or matrix product, else the first."""
        place = _MATRIX_OPERANDS.get(self.name, (0, 0))[0]
        return self.inputs[place] if place < len(self.inputs) else None

    @property
    def per_channel(self) -> bool:
        """Whether the weights have a scale for each channel of the result."""
        weights = self.weights
        if weights is None or not weights.shape:
            return False
        return len(weights.scales) == weights.shape[-1 if self.name == "DEPTHWISE_CONV_2D" else 0]

    @property
    def weights(self) -> TensorView | None:
        """The weights of a convolution or matrix product; None for other operators."""
        place = _MATRIX_OPERANDS.get(self.name, (0, len(self.inputs)))[1]
        return self.inputs[place] if place < len(self.inputs) else None

    def arithmetic(self) -> str:
        """Says what is computed with.

        Returns:
            "int8" (uint8 too; data, weights and result alike), "int16x8", "hybrid" (float data by int8 weights: dynamic
            range), "float", "mixed" (in one type, out another: QUANTIZE for one) or "index" (shapes and indices only).
        """
        if self.name in ("SHAPE", "RANK"):
            return "index"
        data, weights = self.data, self.weights
        if data is not None and weights is not None and self.outputs:
            return _matrix_arithmetic(data.dtype, weights.dtype, self.outputs[0].dtype)
        kinds = {_kind(tensor.dtype) for tensor in (*self.inputs, *self.outputs) if tensor is not None} - {"index"}
        return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else "index"


@dataclass(frozen=True)
class GraphView:
    """One subgraph.

    Attributes:
        producers: Tensor index -> the operator that makes it.
        consumers: Tensor index -> the operators that read it.
    """

    operators: tuple[OperatorView, ...]
    inputs: tuple[TensorView, ...]
    outputs: tuple[TensorView, ...]
    producers: dict[int, OperatorView]
    consumers: dict[int, tuple[OperatorView, ...]]

    def is_fixed(self, tensor: TensorView) -> bool:
        """Whether a tensor holds weights: fixed values, or fixed values that one operator unpacks."""
        if tensor.data is not None:
            return True
        maker = self.producers.get(tensor.index)
        return maker is not None and maker.name in ("DEQUANTIZE", "DENSIFY") and _all_fixed(maker)


def view_graphs(model: Any) -> tuple[GraphView, ...]:
    """Views all subgraphs of the schema's `ModelT`; the first one is what an interpreter runs.

    Raises:
        UserError: There is none, or an operator names what is not there.
    """
    if not model.subgraphs:
        raise UserError("expected a .tflite with a graph, this one has none; convert or download it again")
    try:
        return tuple(_view(model, graph) for graph in model.subgraphs)
    except (IndexError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise UserError(f"the .tflite file is damaged: {error}; convert or download it again") from error


def _view(model: Any, graph: Any) -> GraphView:
    tensors = [_tensor(model, graph, index) for index in range(len(graph.tensors or ()))]
    operators = tuple(_operator(model, graph, tensors, place) for place in range(len(graph.operators or ())))
    readers: dict[int, list[OperatorView]] = {}
    for operator in operators:
        for index in {tensor.index for tensor in operator.inputs if tensor is not None}:
            readers.setdefault(index, []).append(operator)
    return GraphView(
        operators=operators,
        inputs=tuple(tensors[index] for index in tensor_indices(graph.inputs)),
        outputs=tuple(tensors[index] for index in tensor_indices(graph.outputs)),
        producers={tensor.index: operator for operator in operators for tensor in operator.outputs},
        consumers={index: tuple(found) for index, found in readers.items()},
    )


def _operator(model: Any, graph: Any, tensors: list[TensorView], place: int) -> OperatorView:
    operator = graph.operators[place]
    code = model.operatorCodes[operator.opcodeIndex]
    name = op_name(model, operator)
    return OperatorView(
        position=place,
        name=name,
        version=code.version,
        custom=code.customCode is not None,
        inputs=tuple(tensors[index] if index >= 0 else None for index in tensor_indices(operator.inputs)),
        outputs=tuple(tensors[index] for index in tensor_indices(operator.outputs)),
        options=operator.builtinOptions,
        multiply_adds=multiply_adds(graph.tensors, operator, name),
    )


def _tensor(model: Any, graph: Any, index: int) -> TensorView:
    tensor = graph.tensors[index]
    data = model.buffers[tensor.buffer].data
    quantization = tensor.quantization
    scales = () if quantization is None or quantization.scale is None else quantization.scale
    zeros = () if quantization is None or quantization.zeroPoint is None else quantization.zeroPoint
    return TensorView(
        index=index,
        name=(tensor.name or b"").decode(errors="replace"),
        dtype=_DTYPES.get(tensor.type, f"type {tensor.type}"),
        shape=tensor_shape(graph.tensors, index),
        scales=tuple(float(scale) for scale in scales),
        zero_points=tuple(int(zero) for zero in zeros),
        axis=0 if quantization is None else int(quantization.quantizedDimension),
        data=None if data is None or len(data) == 0 else bytes(data),
    )


def _all_fixed(operator: OperatorView) -> bool:
    return all(tensor is not None and tensor.data is not None for tensor in operator.inputs)


def _kind(dtype: str) -> str:
    if dtype in _FLOATS:
        return "float"
    return "int8" if dtype in _SMALL else "int16x8" if dtype == "int16" else "index"


def _matrix_arithmetic(data: str, weights: str, result: str) -> str:
    if data in _FLOATS and result in _FLOATS:
        return "hybrid" if weights in _SMALL else "float" if weights in _FLOATS else "mixed"
    if data in _BYTES and weights in _BYTES and result in _BYTES:
        return "int8"
    return "int16x8" if (data, result) == ("int16", "int16") and weights in _SMALL else "mixed"
