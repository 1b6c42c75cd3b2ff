"""The record of a profile on a phone, as it stands in its JSON file; the latency model is fitted on such files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nasfpn_lite.android_bench.checked_json import RecordError, parse_record, to_json_data
from nasfpn_lite.android_bench.layers import Layer, LayeredGraph, LayerTime, find_layer, sum_layers
from nasfpn_lite.android_bench.records import HowMeasured, Origin, Phone, Verdict
from nasfpn_lite.android_bench.row_matching import MatchedRow, match_rows
from nasfpn_lite.files import write_text_atomically

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.op_profile import OperatorTime
    from nasfpn_lite.converters.graph_view import GraphView, OperatorView, TensorView

PROFILE_SCHEMA: Literal["nasfpn-lite/android-profile"] = "nasfpn-lite/android-profile"
PROFILE_VERSION: Literal[1] = 1

_SIZES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "int16": 2}  # all others: 1 byte


@dataclass(frozen=True)
class OperatorWork:
    """What an operator has to do, whatever runs it.

    Attributes:
        kind: Its name, its kernel if it has one, and what it computes with: "CONV_2D 3x3 int8".
        bytes_moved: Of all its inputs, weights too, and outputs.
    """

    position: int
    kind: str
    multiply_adds: int
    bytes_moved: int


@dataclass(frozen=True)
class OperatorFigures:
    """An operator of the file in one run.

    Attributes:
        rows: What the runner calls its rows.
        ms: Of all its rows; None where it has none of its own.
    """

    work: OperatorWork
    part: str
    layer: str
    rows: tuple[str, ...]
    ms: float | None


@dataclass(frozen=True)
class OtherRow:
    """A row that is not of one operator alone: of several of a layer, or of none that is sure."""

    name: str
    part: str | None
    layer: str | None
    ms: float


@dataclass(frozen=True)
class LayerProfile:
    """A profile brought back to a file.

    Attributes:
        layers: In the order of the network.
        problems: What could not be matched, in words.
        unmatched_ms: Of one run, in no layer.
        total_ms: Of all rows.
    """

    operators: tuple[OperatorFigures, ...]
    others: tuple[OtherRow, ...]
    layers: tuple[LayerTime, ...]
    problems: tuple[str, ...]
    unmatched_ms: float
    total_ms: float


@dataclass(frozen=True)
class ProfileResult:
    """All of one profile on one phone.

    Attributes:
        latency_ms: Of a run without the profiler; median over turns.
        reasons: Why it is not trustworthy; empty if it is.
    """

    schema: Literal["nasfpn-lite/android-profile"]
    version: Literal[1]
    origin: Origin
    phone: Phone
    how: HowMeasured
    verdict: Verdict
    reasons: tuple[str, ...]
    file: str
    sha256: str
    size_bytes: int
    latency_ms: float
    profile: LayerProfile


def list_work(graph: "GraphView") -> tuple[OperatorWork, ...]:
    """Returns what each operator of a file has to do; those that only unpack weights are left out."""
    return tuple(
        _work(operator) for operator in graph.operators if not all(graph.is_fixed(item) for item in operator.outputs)
    )


def _work(operator: "OperatorView") -> OperatorWork:
    tensors = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]
    # A 1x1 kernel is a matrix product, and runs at another speed than a larger one.
    kernel = operator.weights.shape[1:3] if operator.weights is not None and "CONV" in operator.name else ()
    kind = " ".join([operator.name, *(["x".join(map(str, kernel))] if kernel else []), operator.arithmetic()])
    return OperatorWork(operator.position, kind, operator.multiply_adds, sum(map(_size_bytes, tensors)))


def _size_bytes(tensor: "TensorView") -> int:
    size = _SIZES.get(tensor.dtype, 1)
    for side in tensor.shape:
        size *= max(side, 1)
    return size


def make_layer_profile(rows: Sequence["OperatorTime"], layered: LayeredGraph) -> LayerProfile:
    """Brings the rows of a profile back to the operators and layers of a file."""
    matching = match_rows(rows, layered.graph)
    own: dict[int, list[MatchedRow]] = {}
    for item in matching.rows:
        if len(item.operators) == 1:
            own.setdefault(item.operators[0], []).append(item)
    others = tuple(_other(item, layered) for item in matching.rows if len(item.operators) != 1)
    return LayerProfile(
        operators=tuple(
            _operator(work, layered.layers[work.position], own.get(work.position, []))
            for work in list_work(layered.graph)
        ),
        others=others,
        layers=sum_layers([(item.operators, item.ms) for item in matching.rows], layered),
        problems=matching.problems,
        unmatched_ms=sum(other.ms for other in others if other.layer is None),
        total_ms=sum(item.ms for item in matching.rows),
    )


def _operator(work: OperatorWork, layer: Layer, rows: Sequence[MatchedRow]) -> OperatorFigures:
    names = tuple(item.row.node_type for item in rows)
    return OperatorFigures(work, layer.part, layer.name, names, sum(item.ms for item in rows) if rows else None)


def _other(item: MatchedRow, layered: LayeredGraph) -> OtherRow:
    layer = find_layer(item.operators, layered.layers)
    name = f"{item.row.node_type}:{item.row.index}"
    return OtherRow(name, None, None, item.ms) if layer is None else OtherRow(name, layer.part, layer.name, item.ms)


def write_profile(path: Path, result: ProfileResult) -> None:
    """Writes the JSON file, whole or not at all; what could not be read back is not written."""
    text = json.dumps(to_json_data(result), indent=1, ensure_ascii=False, allow_nan=False)
    check_profile(json.loads(text))
    write_text_atomically(path, text + "\n")


def check_profile(data: object) -> ProfileResult:
    """Returns the record that JSON data holds.

    Raises:
        RecordError: It does not fit the schema; the message begins with the path of the wrong entry.
    """
    if not isinstance(data, dict) or data.get("schema") != PROFILE_SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else data
        raise RecordError("schema", f"expected {PROFILE_SCHEMA}, as `android profile` writes it, got {found!r}")
    if data.get("version") != PROFILE_VERSION:
        raise RecordError("version", f"expected {PROFILE_VERSION}, got {data.get('version')!r}; use another release")
    return parse_record(ProfileResult, data)


def read_profile(path: Path) -> ProfileResult:
    """Reads the JSON file of a profile.

    Raises:
        RecordError: It is no JSON or does not fit its schema.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(str(path), f"is no JSON: {error}; expected the file of a profile") from error
    try:
        return check_profile(data)
    except RecordError as error:
        raise RecordError(f"{path}: {error.path}", error.problem) from error
