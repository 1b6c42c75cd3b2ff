"""Nearest upsampling in a form that XNNPACK runs."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.flatbuffer import Graph, op_name

_MAX_PARTS = 5  # XNNPACK's delegate takes concatenations of at most five tensors


def replace_tiles(graph: Graph) -> int:
    """Turns every TILE along one axis into a CONCATENATION of the same tensor; returns how many it turned.

    TensorFlow's converter writes nearest upsampling as RESHAPE and TILE. XNNPACK has no TILE, so each one would cut
    the network into one more partition; the concatenation gives the same bytes.
    """
    replaced = 0
    for operator in graph.main.operators:
        if op_name(graph.model, operator) != "TILE":
            continue
        source, multiples_tensor = operator.inputs
        multiples = graph.constant(multiples_tensor)
        if multiples is None:
            continue
        axes = np.flatnonzero(multiples != 1)
        if len(axes) != 1 or multiples[axes[0]] > _MAX_PARTS:
            continue
        options = schema.ConcatenationOptionsT()
        options.axis = int(axes[0])
        operator.opcodeIndex = graph.find_op_code(schema.BuiltinOperator.CONCATENATION, version=2)
        operator.inputs = np.full(multiples[axes[0]], source, np.int32)
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.ConcatenationOptions, options
        replaced += 1
    return replaced
