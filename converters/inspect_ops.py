"""What a .tflite file computes, read from its flatbuffer without running it."""

from collections import Counter
from pathlib import Path
from typing import Any

from nasfpn_lite.converters.flatbuffer import op_name, parse_model
from nasfpn_lite.converters.metadata import FILE_IDENTIFIER
from nasfpn_lite.errors import UserError

_COUNTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")


def list_operators(path: Path) -> list[tuple[str, int]]:
    """Counts the operators of all subgraphs, most frequent first, then by name; custom ones under their own name."""
    model = read_model(path)
    names = [op_name(model, operator) for graph in model.subgraphs for operator in graph.operators or ()]
    return sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))


def count_multiply_adds(path: Path) -> int:
    """Counts the multiply-adds of the convolutions and fully connected layers for the file's own input shapes."""
    model = read_model(path)
    return sum(
        multiply_adds(graph.tensors, operator, op_name(model, operator))
        for graph in model.subgraphs
        for operator in graph.operators or ()
    )


def read_model(path: Path) -> Any:
    """Reads a file into the schema's `ModelT`.

    Raises:
        UserError: The file cannot be read, is no .tflite, or is damaged.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; expected a .tflite file") from error
    if data[4:8] != FILE_IDENTIFIER:
        raise UserError(f"{path} is no .tflite file: expected the identifier TFL3 at byte 4, got {data[4:8]!r}")
    try:
        return parse_model(data)
    except UserError as error:
        raise UserError(f"{path} is {error}") from error


def multiply_adds(tensors: Any, operator: Any, name: str) -> int:
    """Counts the multiply-adds of one of the schema's operators; 0 for one that is no convolution or matrix product."""
    if name not in _COUNTED:
        return 0
    shapes = [tensor_shape(tensors, index) for index in tensor_indices(operator.inputs)]
    output = next((tensor_shape(tensors, index) for index in tensor_indices(operator.outputs)), ())
    if name == "CONV_2D":  # weights (out, h, w, in of one group)
        _, height, width, depth = shapes[1]
        return _product(output) * height * width * depth
    if name == "DEPTHWISE_CONV_2D":  # weights (1, h, w, out)
        return _product(output) * shapes[1][1] * shapes[1][2]
    if name == "TRANSPOSE_CONV":  # inputs (output shape, weights (out, h, w, in), data): each input meets each weight
        return _product(shapes[2]) * shapes[1][0] * shapes[1][1] * shapes[1][2]
    outputs, depth = shapes[1]  # FULLY_CONNECTED: weights (out, in), data (..., in), an output row for each `in` values
    return _product(shapes[0]) // depth * outputs * depth


# The schema's reader gives None for an empty list, and for the shape of a scalar.
def tensor_indices(tensors: Any) -> list[int]:
    """Returns an operator's or a graph's list of tensors; -1 stands for an optional input that is not there."""
    return [] if tensors is None else [int(index) for index in tensors]


def tensor_shape(tensors: Any, index: int) -> tuple[int, ...]:
    """Returns the shape of a tensor; () for a scalar and for index -1."""
    shape = tensors[index].shape if index >= 0 else None
    return () if shape is None else tuple(int(side) for side in shape)


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
