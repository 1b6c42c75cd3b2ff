"""Several .tflite files of one signature each as one file; what is equal in them is stored once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.flatbuffer import op_name, pack_model, parse_model


def join_files(parts: Mapping[str, bytes]) -> bytes:
    """Joins files to one with a subgraph and a signature for each.

    Buffers of equal bytes become one, and equal tensors and options too: with a name, and a scale and a zero point for
    each channel, the description of a small layer takes as much room as its weights.

    Args:
        parts: Name of the signature -> a .tflite with one subgraph and one signature. The first one's metadata stay.
    """
    joined = _Joined()
    for name, content in parts.items():
        joined.append(name, parse_model(content))
    return pack_model(joined.model)


class _Joined:
    def __init__(self) -> None:
        self.model: Any = None
        self._buffers: dict[bytes, int] = {}
        self._op_codes: dict[tuple[str, int], int] = {}
        self._tables: dict[Any, _PackedOnce] = {}

    def append(self, name: str, part: Any) -> None:
        if len(part.subgraphs) != 1 or len(part.signatureDefs or ()) != 1:
            raise ValueError(f"expected one subgraph and one signature to make {name} of")
        buffers, codes = part.buffers, part.operatorCodes
        graph, signature = part.subgraphs[0], part.signatureDefs[0]
        names = [op_name(part, operator) for operator in graph.operators]
        if self.model is None:
            self._start(part, buffers)
        for tensor in graph.tensors:
            tensor.buffer = self._buffer(buffers[tensor.buffer])
            tensor.quantization = self._share(tensor.quantization)
        graph.tensors = [self._share(tensor) for tensor in graph.tensors]
        for operator, known in zip(graph.operators, names, strict=True):
            operator.opcodeIndex = self._op_code(known, codes[operator.opcodeIndex])
            operator.builtinOptions = self._share(operator.builtinOptions)
        signature.signatureKey, signature.subgraphIndex = name.encode(), len(self.model.subgraphs)
        graph.name = name.encode()
        self.model.subgraphs.append(graph)
        self.model.signatureDefs.append(signature)

    def _start(self, first: Any, buffers: list[Any]) -> None:
        self.model = first
        first.buffers, first.operatorCodes, first.subgraphs, first.signatureDefs = [], [], [], []
        self._buffer(schema.BufferT())  # the first is that of tensors without values
        for entry in first.metadata or ():
            entry.buffer = self._buffer(buffers[entry.buffer])

    def _buffer(self, buffer: Any) -> int:
        content = b"" if buffer.data is None else bytes(buffer.data)
        if content not in self._buffers:
            self._buffers[content] = len(self.model.buffers)
            self.model.buffers.append(buffer)
        return self._buffers[content]

    def _op_code(self, name: str, code: Any) -> int:
        if (name, code.version) not in self._op_codes:
            self._op_codes[name, code.version] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._op_codes[name, code.version]

    def _share(self, table: Any) -> Any:
        return None if table is None else self._tables.setdefault(_content(table), _PackedOnce(table))


def _content(value: Any) -> Any:
    """Returns what tells equal tables from others."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, list):
        return tuple(_content(item) for item in value)
    if isinstance(value, _PackedOnce):
        return id(value)
    if hasattr(value, "__dict__"):
        return type(value).__name__, tuple(_content(field) for field in vars(value).values())
    return value


class _PackedOnce:
    """A table that several others point to: the schema's objects write theirs anew each time."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._offset: int | None = None

    def Pack(self, builder: Any) -> int:
        """Writes the table where it has not been written; the schema's objects call this."""
        if self._offset is None:
            self._offset = int(self._table.Pack(builder))
        return self._offset
