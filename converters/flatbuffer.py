"""A .tflite as an object tree: reading, changing, writing it back."""

import struct
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.metadata import FILE_IDENTIFIER
from nasfpn_lite.errors import UserError

_ALIGNMENT = 16  # bytes; the schema asks for it, and Python's generated writer forgets it
_INT8_TO_UINT8 = 128
_TYPES = {
    np.dtype("float32"): schema.TensorType.FLOAT32,
    np.dtype("int32"): schema.TensorType.INT32,
    np.dtype("bool"): schema.TensorType.BOOL,
}
_OP_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def op_name(model: Any, operator: Any) -> str:
    """Returns "CONV_2D", or a custom operator's own name."""
    code = model.operatorCodes[operator.opcodeIndex]
    if code.customCode:
        return str(code.customCode.decode())
    # Files from before schema version 3a hold the code in the older one-byte field only.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return str(_OP_NAMES.get(number, f"BUILTIN_{number}"))


def parse_model(content: bytes) -> Any:
    """Reads a .tflite into the schema's `ModelT`.

    Raises:
        UserError: It is damaged.
    """
    try:
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise UserError(f"a damaged .tflite file: {error}; convert or download it again") from error


class _AlignedBuilder(flatbuffers.Builder):
    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, _ALIGNMENT if elemSize == 1 else alignment)


class Graph:
    """A model with one subgraph. `model` and `main` are the schema's objects; helpers add tensors and operators."""

    def __init__(self, content: bytes) -> None:
        """Reads a .tflite.

        Raises:
            UserError: It is damaged.
            ValueError: It has another number of subgraphs.
        """
        self.model = parse_model(content)
        if len(self.model.subgraphs) != 1:
            raise ValueError(f"expected a model with one subgraph, got {len(self.model.subgraphs)}")
        self.main = self.model.subgraphs[0]

    def to_bytes(self) -> bytes:
        """Returns the .tflite."""
        builder = _AlignedBuilder(1024)
        builder.Finish(self.model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def op_names(self) -> list[str]:
        """Returns the names of all operators in the order of execution."""
        return [op_name(self.model, operator) for operator in self.main.operators]

    def find_op_code(self, builtin: int, custom: str | None = None, *, version: int = 1) -> int:
        """Returns the index of an operator code of at least a version, which is added if there is none."""
        for index, code in enumerate(self.model.operatorCodes):
            same = max(code.builtinCode, code.deprecatedBuiltinCode) == builtin
            if same and code.version >= version and (code.customCode or b"") == (custom or "").encode():
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
        code.customCode = custom.encode() if custom else None
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def add_buffer(self, data: bytes) -> int:
        """Adds a buffer and returns its index."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def add_constant(self, name: str, values: np.ndarray) -> int:
        """Adds a tensor with fixed float32 or int32 values and returns its index."""
        return self._add_tensor(name, values.shape, _TYPES[values.dtype], self.add_buffer(values.tobytes()))

    def add_tensor(self, name: str, shape: Sequence[int], dtype: str) -> int:
        """Adds a float32, int32 or bool tensor that an operator will fill and returns its index."""
        return self._add_tensor(name, shape, _TYPES[np.dtype(dtype)], 0)

    def add_tensor_like(self, name: str, shape: Sequence[int], like: int) -> int:
        """Adds a tensor of the type and quantization of another."""
        index = self._add_tensor(name, shape, self.main.tensors[like].type, 0)
        self.main.tensors[index].quantization = self.main.tensors[like].quantization
        return index

    def add_op(self, code: int, inputs: Sequence[int], outputs: Sequence[int], options: Any = None) -> Any:
        """Appends an operator; `options` is the schema's options object."""
        operator = schema.OperatorT()
        operator.opcodeIndex = code
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.main.operators.append(operator)
        return operator

    def constant(self, tensor: int) -> np.ndarray | None:
        """Returns the int32 values of a constant tensor; None for one that is computed."""
        data = self.model.buffers[self.main.tensors[tensor].buffer].data
        return None if data is None or len(data) == 0 else np.frombuffer(bytes(data), np.int32)

    def set_outputs(self, outputs: dict[str, int]) -> None:
        """Replaces the outputs of the subgraph and of its signature: name -> tensor index."""
        self.main.outputs = np.array(list(outputs.values()), np.int32)
        entries = []
        for name, tensor in outputs.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), tensor
            entries.append(entry)
        self.model.signatureDefs[0].outputs = entries

    def set_metadata(self, name: str, data: bytes) -> None:
        """Puts in an entry of the model's metadata, in place of an older one of the same name."""
        entries = self.model.metadata or []
        for entry in entries:
            if entry.name == name.encode():
                self.model.buffers[entry.buffer].data = np.frombuffer(data, np.uint8)
                return
        entry = schema.MetadataT()
        entry.name, entry.buffer = name.encode(), self.add_buffer(data)
        self.model.metadata = [*entries, entry]

    def has_byte_input(self) -> bool:
        """Says whether the (first) input is uint8, as pixels are."""
        return bool(self.main.tensors[self.main.inputs[0]].type == schema.TensorType.UINT8)

    def accept_bytes(self) -> None:
        """Puts operators before an int8 input, so that the file takes uint8 of the same scale; others stay.

        QUANTIZE alone would do, but XNNPACK has none from uint8 to int8, and TFLite's own kernel takes ten times as
        long as the way over float32.
        """
        inner = int(self.main.inputs[0])
        tensor = self.main.tensors[inner]
        if tensor.type != schema.TensorType.INT8:
            return
        outer = self._add_tensor(tensor.name.decode(), tensor.shape, schema.TensorType.UINT8, 0)
        between = self.add_tensor(f"{tensor.name.decode()}/float", tensor.shape, "float32")
        tensor.name += b"/int8"
        quantization = schema.QuantizationParametersT()
        quantization.scale = tensor.quantization.scale
        quantization.zeroPoint = np.array(tensor.quantization.zeroPoint, np.int64) + _INT8_TO_UINT8
        self.main.tensors[outer].quantization = quantization
        dequantize = self.find_op_code(schema.BuiltinOperator.DEQUANTIZE)
        quantize = self.find_op_code(schema.BuiltinOperator.QUANTIZE)
        self.add_op(dequantize, (outer,), (between,), schema.DequantizeOptionsT())
        self.add_op(quantize, (between,), (inner,), schema.QuantizeOptionsT())
        *others, first, second = self.main.operators
        self.main.operators = [first, second, *others]
        self.main.inputs = np.array([outer], np.int32)
        self.model.signatureDefs[0].inputs[0].tensorIndex = outer

    def outputs(self) -> dict[str, int]:
        """Returns the signature's outputs: name -> tensor index."""
        return {entry.name.decode(): entry.tensorIndex for entry in self.model.signatureDefs[0].outputs}

    def _add_tensor(self, name: str, shape: Sequence[int], dtype: int, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), np.array(shape, np.int32), dtype, buffer
        self.main.tensors.append(tensor)
        return len(self.main.tensors) - 1
