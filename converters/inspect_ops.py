"""What a .tflite file computes, read from its flatbuffer without running it."""

from collections import Counter
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.errors import UserError

_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_FILE_IDENTIFIER = b"TFL3"


def list_operators(path: Path) -> list[tuple[str, int]]:
    """Counts the operators of all subgraphs, most frequent first, then by name; custom ones under their own name."""
    model = _read_model(path)
    names = [_operator_name(model, operator) for graph in model.subgraphs for operator in graph.operators or ()]
    return sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))


def count_multiply_adds(path: Path) -> int:
    """Counts the multiply-adds of the convolutions and fully connected layers for the file's own input shapes."""
    model = _read_model(path)
    return sum(
        _multiply_adds(graph.tensors, operator, _operator_name(model, operator))
        for graph in model.subgraphs
        for operator in graph.operators or ()
    )


def _read_model(path: Path) -> Any:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; expected a .tflite file") from error
    if data[4:8] != _FILE_IDENTIFIER:
        raise UserError(f"{path} is no .tflite file: expected the identifier TFL3 at byte 4, got {data[4:8]!r}")
    return schema.ModelT.InitFromPackedBuf(data, 0)


def _operator_name(model: Any, operator: Any) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    # Files from before schema version 3a hold the code in the older one-byte field only.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return str(code.customCode.decode("utf-8"))
    return str(_NAMES.get(number, f"BUILTIN_{number}"))


def _multiply_adds(tensors: Any, operator: Any, name: str) -> int:
    shapes = [tuple(int(d) for d in tensors[i].shape) if i >= 0 else () for i in operator.inputs]
    output = tuple(int(d) for d in tensors[operator.outputs[0]].shape) if len(operator.outputs) else ()
    if name == "CONV_2D":  # weights (out, h, w, in of one group)
        _, height, width, depth = shapes[1]
        return _product(output) * height * width * depth
    if name == "DEPTHWISE_CONV_2D":  # weights (1, h, w, out)
        return _product(output) * shapes[1][1] * shapes[1][2]
    if name == "TRANSPOSE_CONV":  # inputs (output shape, weights (out, h, w, in), data): each input meets each weight
        return _product(shapes[2]) * shapes[1][0] * shapes[1][1] * shapes[1][2]
    if name == "FULLY_CONNECTED":  # weights (out, in), data (..., in): one output row for each `in` values
        outputs, depth = shapes[1]
        return _product(shapes[0]) // depth * outputs * depth
    return 0


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
