"""A .tflite file of three layers, packed by hand: no TensorFlow needed to test what reads such files."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

HEIGHT, WIDTH = 6, 8
MULTIPLY_ADDS = 6 * 8 * 4 * (3 * 3 * 3) + 6 * 8 * 4 * (3 * 3) + 5 * 192


def make_tiny_tflite() -> bytes:
    """Makes (1, 6, 8, 3) float32 -> conv 3x3 to 4 -> depthwise 3x3 -> fully connected to (1, 5)."""
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []
    model.subgraphs, model.operatorCodes = [graph], []

    def tensor(name: str, shape: tuple[int, ...], *, weights: bool = False) -> int:
        item = schema.TensorT()
        item.name, item.shape, item.type, item.buffer = name, list(shape), schema.TensorType.FLOAT32, 0
        if weights:
            buffer = schema.BufferT()
            data = np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32)
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(buffer)
            item.buffer = len(model.buffers) - 1
        graph.tensors.append(item)
        return len(graph.tensors) - 1

    def operator(code: int, kind: int, options: Any, inputs: list[int], output: int) -> None:
        entry = schema.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = 1
        model.operatorCodes.append(entry)
        item = schema.OperatorT()
        item.opcodeIndex, item.inputs, item.outputs = len(model.operatorCodes) - 1, inputs, [output]
        item.builtinOptionsType, item.builtinOptions = kind, options
        graph.operators.append(item)

    builtin, options = schema.BuiltinOperator, schema.BuiltinOptions
    image = tensor("image", (1, HEIGHT, WIDTH, 3))
    wide = tensor("wide", (1, HEIGHT, WIDTH, 4))
    deep = tensor("deep", (1, HEIGHT, WIDTH, 4))
    scores = tensor("scores", (1, 5))
    conv, depthwise, dense = schema.Conv2DOptionsT(), schema.DepthwiseConv2DOptionsT(), schema.FullyConnectedOptionsT()
    conv.strideH = conv.strideW = depthwise.strideH = depthwise.strideW = depthwise.depthMultiplier = 1
    conv_weights = [tensor("a", (4, 3, 3, 3), weights=True), tensor("b", (4,), weights=True)]
    deep_weights = [tensor("c", (1, 3, 3, 4), weights=True), tensor("d", (4,), weights=True)]
    dense_weights = [tensor("e", (5, 192), weights=True), tensor("f", (5,), weights=True)]
    operator(builtin.CONV_2D, options.Conv2DOptions, conv, [image, *conv_weights], wide)
    operator(builtin.DEPTHWISE_CONV_2D, options.DepthwiseConv2DOptions, depthwise, [wide, *deep_weights], deep)
    operator(builtin.FULLY_CONNECTED, options.FullyConnectedOptions, dense, [deep, *dense_weights], scores)
    graph.inputs, graph.outputs = [image], [scores]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def make_tiny_part(*, bias: float = 0.0) -> bytes:
    """The same with a signature "serving_default", image -> scores; `bias` replaces the last layer's."""
    model = schema.ModelT.InitFromPackedBuf(make_tiny_tflite(), 0)
    signature, graph = schema.SignatureDefT(), model.subgraphs[0]
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    maps = []
    for name, tensor in (("image", graph.inputs[0]), ("scores", graph.outputs[0])):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), tensor
        maps.append([entry])
    signature.inputs, signature.outputs = maps
    model.signatureDefs = [signature]
    if bias:
        model.buffers[-1].data = np.frombuffer(np.full(5, bias, np.float32).tobytes(), np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
