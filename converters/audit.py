"""The honesty audit of a .tflite: what it computes with, against what it says."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nasfpn_lite.converters.audit_findings import (
    Conversion,
    find_claims,
    find_fake_quantizers,
    find_float_stages,
    find_shared_scales,
    find_stray_conversions,
)
from nasfpn_lite.converters.delegation import Delegation, measure_delegation
from nasfpn_lite.converters.graph_view import GraphView, OperatorView, TensorView, view_graphs
from nasfpn_lite.converters.inspect_ops import read_model
from nasfpn_lite.converters.interpreter import make_interpreter
from nasfpn_lite.converters.xnnpack_rules import find_reason
from nasfpn_lite.errors import UserError

LEAST_HONEST_SHARE = 0.99  # of the multiply-adds, below which a file that says int8 is warned of
_UNKNOWN_REASON = "the interpreter left it out, for a reason that is not known here"


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        name: That of the signature, if there is one.
        shape: () for a scalar, and where the file states none.
        scale: None where the values are not quantized.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class OperatorCount:
    """How often an operator occurs with one kind of arithmetic; see `OperatorView.arithmetic` for the kinds."""

    name: str
    arithmetic: str
    count: int
    multiply_adds: int


@dataclass(frozen=True)
class Refusal:
    """Operators that XNNPACK leaves to slower kernels."""

    name: str
    reason: str
    count: int
    multiply_adds: int


@dataclass(frozen=True)
class Audit:
    """What a file computes with.

    Attributes:
        multiply_adds: Of convolutions and fully connected layers, at the file's own input size.
        int8_multiply_add_share: 0..1, those whose data, weights and result are all int8 or uint8; likewise the shares
            of int16 data with int8 weights, of float data with int8 weights (hybrid: dynamic range), and of float.
            All 0 in a file without multiply-adds.
        int8_operator_share: 0..1, of all operators.
        weights: "per_channel", "per_tensor", "float" -> number of convolutions and fully connected layers.
        stray_conversions: QUANTIZE and DEQUANTIZE away from inputs and outputs.
        fake_quant_count: Operators left over from training with simulated quantization.
        delegated_operator_count: Operators of the first subgraph that XNNPACK runs: as tried on this machine if
            `delegation_measured`, else as the table of its conditions foretells.
        delegated_parts: Pieces of the graph that XNNPACK runs; None unless measured.
        refused: What XNNPACK does not run, and why.
        claims: What says that the file is int8.
        float_stages: What our metadata say is kept in float on purpose.
        warnings: Sentences.
    """

    path: Path
    size_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    multiply_adds: int
    int8_multiply_add_share: float
    int16x8_multiply_add_share: float
    hybrid_multiply_add_share: float
    float_multiply_add_share: float
    operator_count: int
    int8_operator_share: float
    operators: tuple[OperatorCount, ...]
    weights: dict[str, int]
    stray_conversions: tuple[Conversion, ...]
    fake_quant_count: int
    delegated_operator_count: int
    delegation_measured: bool
    delegated_parts: int | None
    refused: tuple[Refusal, ...]
    claims: tuple[str, ...]
    float_stages: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold."""
        return {**asdict(self), "path": str(self.path)}


def audit_file(path: Path) -> Audit:
    """Audits any .tflite; it is loaded to see what XNNPACK takes, and never run.

    Raises:
        UserError: The file cannot be read, is no .tflite, or is damaged.
    """
    model = read_model(path)
    graphs = view_graphs(model)
    main, operators = graphs[0], [operator for graph in graphs for operator in graph.operators]
    delegation = _try_delegation(path, main)
    refused = _refusals(main, delegation)
    shares, names = _shares(operators), _signature_names(model)
    audit = Audit(
        path=path,
        size_bytes=path.stat().st_size,
        inputs=tuple(_port(tensor, names) for tensor in main.inputs),
        outputs=tuple(_port(tensor, names) for tensor in main.outputs),
        multiply_adds=sum(operator.multiply_adds for operator in operators),
        int8_multiply_add_share=shares["int8"],
        int16x8_multiply_add_share=shares["int16x8"],
        hybrid_multiply_add_share=shares["hybrid"],
        float_multiply_add_share=shares["float"],
        operator_count=len(operators),
        int8_operator_share=sum(o.arithmetic() == "int8" for o in operators) / max(len(operators), 1),
        operators=_count(operators),
        weights=_count_weights(operators),
        stray_conversions=tuple(found for graph in graphs for found in find_stray_conversions(graph)),
        fake_quant_count=sum(len(find_fake_quantizers(graph)) for graph in graphs),
        delegated_operator_count=len(main.operators) - sum(refusal.count for refusal in refused),
        delegation_measured=delegation is not None,
        delegated_parts=None if delegation is None else delegation.parts,
        refused=refused,
        claims=find_claims(path, model),
        float_stages=find_float_stages(model),
        warnings=(),
    )
    return replace(audit, warnings=tuple(_find_warnings(audit, main, names)))


def _find_warnings(audit: Audit, graph: GraphView, names: dict[int, str]) -> Iterator[str]:
    if audit.claims and audit.multiply_adds and audit.int8_multiply_add_share < LEAST_HONEST_SHARE:
        yield (
            f"{' and '.join(audit.claims)} {'says' if len(audit.claims) == 1 else 'say'} int8, but only "
            f"{audit.int8_multiply_add_share:.1%} of the multiply-adds run in int8; "
            f"{audit.hybrid_multiply_add_share:.1%} take float data by int8 weights (dynamic range), "
            f"{audit.float_multiply_add_share:.1%} are float"
        )
    for output, scale in find_shared_scales(graph):
        yield (
            f"output {names.get(output.index, output.name)} holds scores and boxes with one scale of {scale:.3g}: "
            f"a score of 0..1 has only {math.floor(1 / scale)} steps; give them separate outputs"
        )
    if audit.fake_quant_count:
        yield f"operators of simulated quantization are left over ({audit.fake_quant_count}); convert without them"
    strays = [stray for stray in audit.stray_conversions if stray.interrupts]
    if strays and not audit.float_stages:
        yield (
            f"QUANTIZE and DEQUANTIZE operators interrupt the quantized arithmetic ({len(strays)}); "
            f"the first: {strays[0].types} {strays[0].where}"
        )
    slow = sum(refusal.multiply_adds for refusal in audit.refused)
    if slow:
        first_reason = audit.refused[0]
        yield (
            f"{slow / audit.multiply_adds:.1%} of the multiply-adds run outside XNNPACK, in slower kernels; "
            f"{first_reason.name}: {first_reason.reason}"
        )


def _try_delegation(path: Path, graph: GraphView) -> Delegation | None:
    try:
        return measure_delegation(make_interpreter(path), graph)
    # An operator that this interpreter lacks, no interpreter, or names that are no text: the table must do.
    except (UserError, UnicodeDecodeError):
        return None


def _refusals(graph: GraphView, delegation: Delegation | None) -> tuple[Refusal, ...]:
    found: dict[tuple[str, str], list[int]] = {}
    for operator in graph.operators:
        reason = find_reason(operator, graph)
        if reason is not None if delegation is None else operator.position not in delegation.positions:
            found.setdefault((operator.name, reason or _UNKNOWN_REASON), []).append(operator.multiply_adds)
    refusals = [Refusal(*key, len(sums), sum(sums)) for key, sums in found.items()]
    return tuple(sorted(refusals, key=lambda refusal: (-refusal.multiply_adds, -refusal.count, refusal.name)))


def _shares(operators: Sequence[OperatorView]) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for operator in operators:
        sums[operator.arithmetic()] += operator.multiply_adds
    whole = max(sum(sums.values()), 1)
    return {kind: sums[kind] / whole for kind in ("int8", "int16x8", "hybrid", "float")}


def _count(operators: Sequence[OperatorView]) -> tuple[OperatorCount, ...]:
    found: dict[tuple[str, str], list[int]] = {}
    for operator in operators:
        found.setdefault((operator.name, operator.arithmetic()), []).append(operator.multiply_adds)
    counts = [OperatorCount(*key, len(sums), sum(sums)) for key, sums in found.items()]
    return tuple(sorted(counts, key=lambda count: (-count.count, count.name, count.arithmetic)))


def _count_weights(operators: Sequence[OperatorView]) -> dict[str, int]:
    counts = {"per_channel": 0, "per_tensor": 0, "float": 0}
    for operator in operators:
        if operator.weights is not None:
            quantized = "per_channel" if operator.per_channel else "per_tensor"
            counts[quantized if operator.weights.scales else "float"] += 1
    return counts


def _signature_names(model: Any) -> dict[int, str]:
    """Returns tensor index -> name, of the first signature: what code that runs the file calls it by."""
    signature = next((entry for entry in model.signatureDefs or () if entry.subgraphIndex == 0), None)
    if signature is None:
        return {}
    entries = [*(signature.inputs or ()), *(signature.outputs or ())]
    return {entry.tensorIndex: entry.name.decode(errors="replace") for entry in entries}


def _port(tensor: TensorView, names: dict[int, str]) -> Port:
    scale = tensor.scales[0] if len(tensor.scales) == 1 and tensor.scales[0] else None
    zero_point = tensor.zero_points[0] if scale is not None and tensor.zero_points else None
    return Port(names.get(tensor.index, tensor.name), tensor.shape, tensor.dtype, scale, zero_point)
