"""Which rows of a profile XNNPACK gives for an operator of a file, as its runs show.

Its rows name no operator of the file. They come in the file's order; some operators have several rows, some none.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasfpn_lite.converters.graph_view import GraphView, OperatorView

Pattern = tuple[re.Pattern[str], ...]  # of the kinds of the rows, one after another

_CONVERT = "(QD8 )?Convert|Invalid Unary Op"
_CLAMP = "Clamp"
# Operator -> kinds of its row.
_ROWS: Mapping[str, str] = {
    "CONV_2D": r"Convolution(?! DWConv).*|Fully Connected.*",  # 1x1 kernels become matrix products
    "DEPTHWISE_CONV_2D": r"Convolution (DWConv|VMulCAddC).*",
    "FULLY_CONNECTED": r"(Dynamic )?Fully Connected.*",
    "TRANSPOSE_CONV": r"Deconvolution.*",
    "BATCH_MATMUL": r"Batch Matrix Multiply.*",
    "ADD": "Add",
    "SUB": "Subtract",
    "MUL": "Multiply",
    "DIV": "Divide",
    "MAXIMUM": f"Maximum|{_CLAMP}",
    "MINIMUM": f"Minimum|{_CLAMP}",
    "SQUARED_DIFFERENCE": "Squared Difference",
    "PRELU": "(?i:PReLU)",
    "MAX_POOL_2D": r"Max Pooling.*",
    "AVERAGE_POOL_2D": r"(Global )?Average Pooling.*",
    "MEAN": r"Mean.*|Sum.*|Global Average Pooling.*|Reduce Mean.*",
    "SUM": r"Sum.*|Reduce Sum.*",
    "REDUCE_MAX": r"Reduce Max.*",
    "REDUCE_MIN": r"Reduce Min.*",
    "LOGISTIC": "Sigmoid",
    "TANH": "Tanh",
    "SOFTMAX": r"Soft ?[mM]ax.*",
    "RELU": f"{_CLAMP}|ReLU",
    "RELU6": f"{_CLAMP}|ReLU",
    "RELU_N1_TO_1": _CLAMP,
    "RELU_0_TO_1": _CLAMP,
    "LEAKY_RELU": "(?i:Leaky ReLU)",
    "ELU": "(?i:ELU)",
    "GELU": "(?i:(Approx )?GELU)",
    "HARD_SWISH": "(?i:Hard ?Swish)",
    "FLOOR": "Floor",
    "CEIL": "Ceiling",
    "ROUND": "Bankers Rounding",
    "ABS": "Abs",
    "NEG": "Negate",
    "SQUARE": "Square",
    "SQRT": "Square Root",
    "RSQRT": "Reciprocal Square Root",
    "EXP": "Exp",
    "RESHAPE": "Static Reshape|Copy",
    "SQUEEZE": "Static Reshape|Copy",
    "EXPAND_DIMS": "Static Reshape|Static Expand Dims|Copy",
    "TRANSPOSE": r"(Static )?Transpose.*",
    "CONCATENATION": r"Copy|Concatenate.*",
    "SPLIT": r"Copy|Even Split.*",
    "SLICE": r"(Static )?Slice.*",
    "STRIDED_SLICE": r"(Static )?Slice.*",
    "PAD": r"(Static )?Constant Pad.*",
    "PADV2": r"(Static )?Constant Pad.*",
    "SPACE_TO_DEPTH": "Space To Depth",
    "DEPTH_TO_SPACE": "Depth To Space",
    "RESIZE_BILINEAR": r"(Static )?Resize Bilinear.*",
    "QUANTIZE": _CONVERT,
    "DEQUANTIZE": _CONVERT,
    "CAST": _CONVERT,
}
# These may leave no row: fused into a neighbour, or done once when the model is prepared.
_MAY_BE_SILENT = frozenset(
    "PAD PADV2 RESHAPE SQUEEZE EXPAND_DIMS QUANTIZE DEQUANTIZE RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 MAXIMUM "
    "MINIMUM".split()
)
_WITH_ACTIVATION = frozenset("ADD SUB MUL DIV CONCATENATION".split())
_COMPILED = {name: re.compile(kinds) for name, kinds in _ROWS.items()}
_CLAMP_ROW, _CONVERT_ROW = re.compile(_CLAMP), re.compile(_CONVERT)


def row_kind(node_type: str) -> str:
    """Returns a row's kind without types and layouts: "Convolution (NHWC, QC8) DWConv" -> "Convolution DWConv".

    "QD8 " in front says that data become int8 on the way, as for float data with int8 weights.
    """
    prefix = "QD8 " if re.search(r"\bQDU?8\b", node_type) else ""
    return prefix + re.sub(r" \([^)]*\)", "", node_type).strip()


def list_patterns(operator: "OperatorView", graph: "GraphView") -> tuple[Pattern, ...]:
    """Returns the ways in which XNNPACK may show an operator; () alone for one that is never seen there.

    An empty pattern among them says that it may have no row at all.
    """
    if graph.is_fixed(operator.outputs[0]):
        return ((),)  # weights are unpacked when the model is prepared
    own = _COMPILED.get(operator.name)
    if own is None:
        return ((),)
    is_hybrid = operator.arithmetic() == "hybrid"
    if is_hybrid:
        own = re.compile(f"(QD8 )?({own.pattern})")
    patterns: list[Pattern] = [(own,)]
    if operator.name in _WITH_ACTIVATION and getattr(operator.options, "fusedActivationFunction", None):
        patterns.append((own, _CLAMP_ROW))
    if is_hybrid:
        patterns.append((_CONVERT_ROW, own))  # the data become int8 first, unless a neighbour has done that already
    if operator.name in _MAY_BE_SILENT:
        patterns.append(())
    return tuple(patterns)
