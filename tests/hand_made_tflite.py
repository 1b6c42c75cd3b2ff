"""A .tflite put together by hand, tensor by tensor: what a converter would never write can be tested too."""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.flatbuffer import Graph

Shape = tuple[int, ...]
_QUANTIZED = {"int8": 0.05, "uint8": 0.05, "int16": 0.001}  # the scale where none is given


class HandMade:
    """A graph that grows; tensors are indices."""

    def __init__(self) -> None:
        model = schema.ModelT()
        model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
        model.subgraphs = [schema.SubGraphT()]
        model.subgraphs[0].tensors, model.subgraphs[0].operators = [], []
        builder = flatbuffers.Builder(64)
        builder.Finish(model.Pack(builder), b"TFL3")
        self.graph = Graph(bytes(builder.Output()))
        for owner, field in ((self.graph.model, "operatorCodes"), (self.graph.main, "operators")):
            setattr(owner, field, getattr(owner, field) or [])
        self.graph.main.tensors = self.graph.main.tensors or []

    def tensor(
        self, shape: Shape, dtype: str = "float32", *, scale: float | Sequence[float] | None = None, zero_point: int = 0
    ) -> int:
        """Adds a tensor that is fed or computed; int8, uint8 and int16 get a scale unless one is given."""
        item = schema.TensorT()
        item.name, item.shape = f"t{len(self.graph.main.tensors)}".encode(), np.array(shape, np.int32)
        item.type, item.buffer = getattr(schema.TensorType, dtype.upper()), 0
        scale = _QUANTIZED.get(dtype) if scale is None else scale
        if scale is not None:
            scales = np.atleast_1d(np.array(scale, np.float32))
            item.quantization = schema.QuantizationParametersT()
            item.quantization.scale = scales
            item.quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
        self.graph.main.tensors.append(item)
        return len(self.graph.main.tensors) - 1

    def fixed(self, values: Any, dtype: str = "int32", *, scale: Any = None, axis: int = 0) -> int:
        """Adds a tensor with fixed values."""
        array = np.asarray(values, dtype)
        index = self.tensor(array.shape, dtype, scale=scale)
        item = self.graph.main.tensors[index]
        item.buffer = self.graph.add_buffer(array.tobytes())
        if item.quantization is not None:
            item.quantization.quantizedDimension = axis
        return index

    def op(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, *, version: int = 1
    ) -> None:
        """Adds an operator; a name that the schema lacks is a custom one."""
        code = getattr(schema.BuiltinOperator, name, None)
        custom = name if code is None else None
        number = schema.BuiltinOperator.CUSTOM if code is None else code
        self.graph.add_op(self.graph.find_op_code(number, custom, version=version), inputs, outputs, options)

    def conv(self, source: int, target: int, *, weights: str = "int8", per_channel: bool = True) -> None:
        """Adds a 1x1 convolution of NHWC tensors, with int32 bias for int8 weights on int8 data."""
        tensors = self.graph.main.tensors
        depth, channels = int(tensors[source].shape[-1]), int(tensors[target].shape[-1])
        scale = None if weights == "float32" else [0.01] * channels if per_channel else 0.01
        kernel = self.fixed(np.ones((channels, 1, 1, depth)), weights, scale=scale)
        whole = tensors[source].type in (schema.TensorType.INT8, schema.TensorType.UINT8)
        bias = self.fixed(
            np.zeros(channels), "int32" if whole else "float32", scale=scale and whole and [5e-4] * channels
        )
        self.op("CONV_2D", [source, kernel, bias], [target], conv_options())

    def to_bytes(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Returns the .tflite with these inputs and outputs."""
        self.graph.main.inputs, self.graph.main.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        return self.graph.to_bytes()


def options(kind: str, **values: Any) -> Any:
    """Makes the schema's options object, e.g. options("Add", fusedActivationFunction=1)."""
    made = getattr(schema, f"{kind}OptionsT")()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def conv_options() -> Any:
    """Stride 1, SAME padding, no dilation, no activation."""
    return options("Conv2D", strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
