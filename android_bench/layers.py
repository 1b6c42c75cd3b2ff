"""The layers of a network that the operators of its .tflite belong to: stem, block of the backbone, cell, head."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.converters.graph_view import GraphView
    from nasfpn_lite.converters.metadata import Metadata
    from nasfpn_lite.converters.parity_stages import Stage

_MOBILENET_BLOCK = re.compile(r"(?:block_(\d+)|expanded_conv)_")
_RESNET_BLOCK = re.compile(r"conv(\d)_block(\d+)_")
_RESNET_STEM = re.compile(r"(?:^|/)(?:conv1|pool1)_")
_POOL = re.compile(r"(?:^|/)pool_C(\d)")


@dataclass(frozen=True)
class Layer:
    """One layer, as people call it.

    Attributes:
        part: Of the network: "stem", "backbone", "laterals", "pyramid 2", "head P4", "outputs", "suppression".
        name: In the part, or the part again: "backbone block 3", "cell 7 of pyramid 2 at P4".
    """

    part: str
    name: str


SUPPRESSION = Layer("suppression", "suppression")  # what a detect file appends
OUTPUTS = Layer("outputs", "outputs")
KINDS = "operators"  # the part of all layers of a file that does not tell its network


@dataclass(frozen=True)
class LayerTime:
    """A layer's time in one run, and how many operators it has in the file."""

    part: str
    name: str
    ms: float
    operators: int


@dataclass(frozen=True)
class LayeredGraph:
    """A file's operators and their layers.

    Attributes:
        layers: By position of the operator.
        order: Of the layers in the network.
    """

    graph: "GraphView"
    layers: Mapping[int, Layer]
    order: tuple[Layer, ...]


def name_layers(path: Path) -> LayeredGraph:
    """Returns the operators of a file and the layer of each.

    The layers of a file without our metadata are its kinds of operators.

    Raises:
        UserError: It cannot be read.
    """
    from nasfpn_lite.converters.graph_view import view_graphs
    from nasfpn_lite.converters.inspect_ops import read_model
    from nasfpn_lite.converters.metadata import read_metadata

    view = view_graphs(read_model(path))[0]
    content = path.read_bytes()
    try:
        metadata = read_metadata(content)
    except UserError:
        kinds = {place: Layer(KINDS, operator.name) for place, operator in enumerate(view.operators)}
        return LayeredGraph(view, kinds, tuple(sorted(set(kinds.values()), key=lambda layer: layer.name)))
    from nasfpn_lite.converters.parity_stages import list_stages

    layers = _find_layers(view, _find_places(content, metadata), metadata.form)
    stages = [name_stage(stage) for stage in list_stages(metadata.spec)]
    return LayeredGraph(view, layers, _order(stages, [layers[place] for place in sorted(layers)]))


def _order(stages: Sequence[Layer], found: Sequence[Layer]) -> tuple[Layer, ...]:
    """Puts layers in the order of the stages; others come last in their part, and other parts last of all."""
    known = list(dict.fromkeys(stages))
    parts = list(dict.fromkeys(("stem", *(layer.part for layer in (*known, *found)))))

    def place(layer: Layer) -> tuple[int, int]:
        return parts.index(layer.part), known.index(layer) if layer in known else len(known)

    return tuple(sorted(dict.fromkeys(found), key=place))


def _find_places(content: bytes, metadata: "Metadata") -> dict[int, "Stage"]:
    """Returns the stages of the network by the tensors that hold their outputs."""
    from nasfpn_lite.converters.flatbuffer import Graph
    from nasfpn_lite.converters.parity_stages import find_tensors, list_stages

    stages = {stage.name: stage for stage in list_stages(metadata.spec)}
    places = find_tensors(Graph(content), list(stages), None, folded=True)
    return {tensor: stages[name] for name, tensor in places.items()}


def _find_layers(view: "GraphView", stages: Mapping[int, "Stage"], form: str) -> dict[int, Layer]:
    """Gives each operator the layer of the stage it computes, or else of the first operator that reads its result."""
    layers: dict[int, Layer] = {}
    for operator in reversed(view.operators):
        own = next((stages[tensor.index] for tensor in operator.outputs if tensor.index in stages), None)
        named = _name_by_itself(operator.outputs[0].name)
        readers = [reader.position for tensor in operator.outputs for reader in view.consumers.get(tensor.index, ())]
        if own is not None:
            layers[operator.position] = name_stage(own)
        elif named is not None:
            layers[operator.position] = named
        elif readers:
            layers[operator.position] = layers[min(readers)]
        else:
            layers[operator.position] = SUPPRESSION if form == "detect" else OUTPUTS
    return layers


def name_stage(stage: "Stage") -> Layer:
    """Returns the layer that a stage is part of."""
    if stage.kind != "backbone":
        is_whole_part = stage.part.startswith("head") or stage.part == "outputs"
        return Layer(stage.part, stage.part if is_whole_part else stage.words)
    mobilenet, resnet = _MOBILENET_BLOCK.match(stage.name), _RESNET_BLOCK.match(stage.name)
    if mobilenet:
        return Layer("backbone", f"backbone block {mobilenet[1] or 0}")
    if resnet:
        return Layer("backbone", f"backbone conv{resnet[1]} block {resnet[2]}")
    return Layer("stem", "stem") if stage.name.startswith("Conv1") else Layer("backbone", "backbone top")


def _name_by_itself(tensor_name: str) -> Layer | None:
    """Returns the layer of what stands before several stages, or before the first one."""
    name = tensor_name.partition(";")[0]
    pool = _POOL.search(name)
    if pool:
        return Layer("laterals", f"pooling to C{pool[1]}")
    return Layer("stem", "stem") if _RESNET_STEM.search(name) else None


def sum_layers(times: Sequence[tuple[Sequence[int], float]], layered: LayeredGraph) -> tuple[LayerTime, ...]:
    """Adds up the times of each layer, in the order of the network; times that belong to no single layer are left out.

    Args:
        times: (operators that the time may be of, milliseconds).
    """
    found = dict.fromkeys(layered.order, 0.0)
    for operators, ms in times:
        layer = find_layer(operators, layered.layers)
        if layer is not None:
            found[layer] += ms
    counts = Counter(layered.layers.values())
    return tuple(LayerTime(layer.part, layer.name, ms, counts[layer]) for layer, ms in found.items())


def find_layer(operators: Sequence[int], layers: Mapping[int, Layer]) -> Layer | None:
    """Returns the layer of all these operators; None if there are none or they are of several."""
    found = {layers[place] for place in operators}
    return found.pop() if len(found) == 1 else None


def sum_parts(times: Sequence[LayerTime]) -> tuple[LayerTime, ...]:
    """Adds up layers to parts of the network, in its order."""
    parts = dict.fromkeys(time.part for time in times)
    return tuple(
        LayerTime(
            part,
            part,
            sum(time.ms for time in times if time.part == part),
            sum(time.operators for time in times if time.part == part),
        )
        for part in parts
    )
