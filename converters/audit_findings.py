"""What a .tflite says of itself, and what in its graph gives the lie to it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.converters.graph_view import GraphView, OperatorView, TensorView
from nasfpn_lite.converters.metadata import ENTRY

_CLAIM = re.compile(r"int8(?!\d)|(?<![a-z0-9])a?i8(?![a-z0-9])|w8a8|full[ _-]?integer", re.IGNORECASE)
_OTHER_CLAIM = re.compile(r"dynamic|selective|afp32|weight[ _-]?only|int16|16x8|ai16", re.IGNORECASE)  # says what it is
_SUPPRESSION = "TFLite_Detection_PostProcess"
_SCORES = ("LOGISTIC", "SOFTMAX")
_REARRANGE = ("RESHAPE", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE", "SLICE", "STRIDED_SLICE", "SPLIT", "SQUEEZE")
_QUANTIZED = ("int8", "uint8", "int16")


@dataclass(frozen=True)
class Conversion:
    """A QUANTIZE or DEQUANTIZE in the midst of a graph.

    Attributes:
        name: "QUANTIZE" or "DEQUANTIZE".
        types: Such as "int8 -> float32".
        where: The operators before and after it.
        interrupts: Matrix products, or another change of type, lie before it and behind it. If not, only lesser float
            operators lie between it and the inputs or outputs.
    """

    name: str
    types: str
    where: str
    interrupts: bool


def find_stray_conversions(graph: GraphView) -> tuple[Conversion, ...]:
    """Lists QUANTIZE and DEQUANTIZE operators that are not the first or last thing done to an input or output.

    What unpacks weights is left out, and a DEQUANTIZE that only feeds suppression stands at the outputs.
    """
    found = [operator for operator in graph.operators if operator.name in ("QUANTIZE", "DEQUANTIZE")]
    return tuple(_describe(graph, operator) for operator in found if _is_stray(graph, operator))


def find_claims(path: Path, model: Any) -> tuple[str, ...]:
    """Lists what says that a file is int8: its name, its description, our metadata's recipe."""
    texts = {
        "its name": path.stem,
        "its description": (model.description or b"").decode(errors="replace"),
        "its metadata": _recipe(model),
    }
    return tuple(place for place, text in texts.items() if _says_int8(text))


def find_float_stages(model: Any) -> tuple[str, ...]:
    """Lists the stages that our metadata say are kept in float; () where they say nothing."""
    return tuple(str(name) for name in _read_entry(model).get("float_stages") or ())


def find_shared_scales(graph: GraphView) -> tuple[tuple[TensorView, float], ...]:
    """Finds outputs in which scores and something else, such as boxes, are quantized with one scale.

    Scores are told by the LOGISTIC or SOFTMAX they come from; logits joined with boxes are not found.

    Returns:
        Output, scale.
    """
    found = []
    for output in graph.outputs:
        joined = next(
            (tensor for tensor in _joined(graph, output) if tensor.dtype in _QUANTIZED and tensor.scales), None
        )
        if joined is not None and len({name in _SCORES for name in _sources(graph, joined)}) == 2:
            found.append((output, joined.scales[0]))
    return tuple(found)


def find_fake_quantizers(graph: GraphView) -> tuple[OperatorView, ...]:
    """Lists the operators that training with simulated quantization leaves behind."""
    return tuple(operator for operator in graph.operators if "fakequant" in operator.name.replace("_", "").lower())


def _is_stray(graph: GraphView, operator: OperatorView) -> bool:
    source, result = operator.inputs[0], operator.outputs[0]
    if source is None or graph.is_fixed(source) or source in graph.inputs:
        return False
    before = graph.producers.get(source.index)
    if before is not None and before.name == "DEQUANTIZE" and before.inputs[0] in graph.inputs:
        return False  # uint8 pixels become int8 by way of float, which XNNPACK runs faster than one QUANTIZE
    readers = graph.consumers.get(result.index, ())
    leaves = result in graph.outputs or {reader.name for reader in readers} == {_SUPPRESSION}
    return not leaves


def _describe(graph: GraphView, operator: OperatorView) -> Conversion:
    source, result = operator.inputs[0], operator.outputs[0]
    before = graph.producers.get(source.index) if source is not None else None
    after = sorted({reader.name for reader in graph.consumers.get(result.index, ())})
    where = f"between {before.name if before else 'nothing'} and {' and '.join(after) or 'nothing'}"
    types = f"{source.dtype if source else 'nothing'} -> {result.dtype}"
    interrupts = _computes_before(graph, operator) and _computes_behind(graph, operator)
    return Conversion(operator.name, types, where, interrupts)


def _computes_before(graph: GraphView, operator: OperatorView) -> bool:
    def makers(found: OperatorView) -> list[OperatorView]:
        tensors = [tensor for tensor in found.inputs if tensor is not None and not graph.is_fixed(tensor)]
        return [graph.producers[tensor.index] for tensor in tensors if tensor.index in graph.producers]

    return _reaches(operator, makers, "DEQUANTIZE")


def _computes_behind(graph: GraphView, operator: OperatorView) -> bool:
    def readers(found: OperatorView) -> list[OperatorView]:
        return [reader for tensor in found.outputs for reader in graph.consumers.get(tensor.index, ())]

    return _reaches(operator, readers, "QUANTIZE")


def _reaches(start: OperatorView, neighbours: Callable[[OperatorView], list[OperatorView]], conversion: str) -> bool:
    """Whether a matrix product or the given conversion is met on the way."""
    seen, waiting = {start.position}, neighbours(start)
    while waiting:
        operator = waiting.pop()
        if operator.multiply_adds or operator.name == conversion:
            return True
        if operator.position not in seen:
            seen.add(operator.position)
            waiting += neighbours(operator)
    return False


def _recipe(model: Any) -> str:
    return str(_read_entry(model).get("recipe", ""))


def _read_entry(model: Any) -> dict[str, Any]:
    """Reads our metadata, whatever their schema version; {} without."""
    for entry in model.metadata or ():
        if entry.name == ENTRY.encode():
            try:
                data = json.loads(bytes(model.buffers[entry.buffer].data))
            except (ValueError, TypeError):  # damaged, or empty
                return {}
            return data if isinstance(data, dict) else {}
    return {}


def _says_int8(text: str) -> bool:
    return _CLAIM.search(text) is not None and _OTHER_CLAIM.search(text) is None


def _joined(graph: GraphView, tensor: TensorView) -> Iterator[TensorView]:
    """Yields a tensor and what it was before it was only rearranged, up to a CONCATENATION."""
    yield tensor
    maker = graph.producers.get(tensor.index)
    source = maker.inputs[1 if maker.name == "SPLIT" else 0] if maker is not None and maker.inputs else None
    if maker is not None and maker.name in _REARRANGE and source is not None:
        yield from _joined(graph, source)


def _sources(graph: GraphView, tensor: TensorView) -> set[str]:
    """Returns the names of the operators whose results are joined in a tensor."""
    *_, first = _joined(graph, tensor)
    maker = graph.producers.get(first.index)
    if maker is None:
        return {"input"}
    if maker.name != "CONCATENATION":
        return {maker.name}
    return {name for source in maker.inputs if source is not None for name in _sources(graph, source)}
