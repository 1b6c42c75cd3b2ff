"""The stages at which a .tflite is held against its reference: names, words and where they are in the file."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT, GRID
from nasfpn_lite.levels import level_name
from nasfpn_lite.specs import BackboneSpec, DetectorSpec

KINDS = ("backbone", "lateral", "cell", "tower", "box", "class")
_MOBILENET_BLOCKS = 17  # the first is called expanded_conv, the others block_1 to block_16
_MOBILENET_ADDING_BLOCKS = (2, 4, 5, 7, 8, 9, 11, 12, 14, 15)
_RESNET_BLOCKS = {"resnet10": (1, 1, 1, 1), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}  # conv2 to conv5
_OUTPUTS = (BOX_OUTPUT, CLASS_OUTPUT)  # in the order in which an exported function gives them
_UNNAMED_OUTPUT = re.compile(r"PartitionedCall:(\d+)$")


@dataclass(frozen=True)
class Stage:
    """One place in the network.

    Attributes:
        name: The Keras layer whose output is compared.
        kind: One of KINDS. The steps of every neck are cells; "box" and "class" are predictions, per level and joined.
        part: The part of the network that it belongs to: "backbone", "pyramid 2", "head P4".
        words: What it is, for people: "cell 7 of pyramid 2 at P4".
    """

    name: str
    kind: str
    part: str
    words: str


def list_stages(spec: DetectorSpec) -> tuple[Stage, ...]:
    """Returns every stage of a detector; each comes after all that it is computed from.

    Where an activation follows a batch norm at once, the activation's layer stands for both: converters fuse them.
    """
    return (*_backbone(spec.backbone), *_neck(spec), *_head(spec))


def _backbone(backbone: BackboneSpec) -> Iterator[Stage]:
    if backbone.name == "mobilenet_v2":
        c4 = "block_13_expand_relu" if backbone.expanded_c4 else "block_12_add"
        c5 = "block_16_project_BN" if backbone.top_channels is None else "out_relu"
        names, levels = list(_mobilenet_layers(backbone)), {"block_5_add": 3, c4: 4, c5: 5}
    else:
        blocks = _RESNET_BLOCKS[backbone.name]
        groups = list(zip((2, 3, 4, 5), blocks, strict=True))
        names = [f"conv{group}_block{block}_out" for group, last in groups for block in range(1, last + 1)]
        levels = {f"conv{group}_block{last}_out": group for group, last in groups[1:]}
    for name in names:
        words = f"backbone level C{levels[name]}" if name in levels else f"backbone layer {name}"
        yield Stage(name, "backbone", "backbone", words)


def _mobilenet_layers(backbone: BackboneSpec) -> Iterator[str]:
    yield "Conv1_relu"
    for number in range(_MOBILENET_BLOCKS):
        block = f"block_{number}" if number else "expanded_conv"
        if number:
            yield f"{block}_expand_relu"
        yield f"{block}_depthwise_relu"
        yield f"{block}_project_BN"
        if number in _MOBILENET_ADDING_BLOCKS:
            yield f"{block}_add"
    if backbone.top_channels is not None:
        yield "out_relu"


def _neck(spec: DetectorSpec) -> Iterator[Stage]:
    neck = spec.neck
    if neck.kind == "ssdlite":
        for level in range(6, neck.max_level + 1):
            yield Stage(f"extra_P{level}_squeeze_act", "lateral", "neck", f"squeeze before P{level}")
            yield Stage(f"extra_P{level}_act", "cell", "neck", f"extra layer at P{level}")
        return
    suffix = "_bn" if neck.kind == "nasfpn" else ""
    top = min(5, neck.max_level)
    for level in range(neck.min_level, top + 1):
        yield Stage(
            f"lateral_{level_name('C', level)}{suffix}", "lateral", "laterals", f"lateral projection of C{level}"
        )
    if neck.kind == "fpn":
        yield from _fpn(neck.min_level, top, neck.max_level)
    elif neck.genotype is not None:
        for repeat in range(1, neck.repeats + 1):
            for number, cell in enumerate(neck.genotype.cells, start=1):
                name = f"pyramid{repeat}_cell{number}_P{cell.level}_bn"
                yield Stage(name, "cell", f"pyramid {repeat}", f"cell {number} of pyramid {repeat} at P{cell.level}")


def _fpn(min_level: int, top: int, max_level: int) -> Iterator[Stage]:
    for level in range(top - 1, min_level - 1, -1):
        yield Stage(f"fpn_sum_P{level}", "cell", "neck", f"top-down sum at P{level}")
    for level in range(min_level, max_level + 1):
        yield Stage(f"fpn_P{level}_bn", "cell", "neck", f"pyramid output at P{level}")


def _head(spec: DetectorSpec) -> Iterator[Stage]:
    for level in spec.neck.levels:
        part = f"head P{level}"
        for branch in ("box", "class"):
            for depth in range(1, spec.head.depth + 1):
                name = f"head_{branch}{depth}_P{level}_act"
                yield Stage(name, "tower", part, f"layer {depth} of the {branch} tower at P{level}")
            yield Stage(f"head_{branch}_P{level}_flat", branch, part, f"{branch} prediction at P{level}")
    yield Stage(BOX_OUTPUT, "box", "outputs", "box output")
    yield Stage(CLASS_OUTPUT, "class", "outputs", "class output")


def find_tensors(
    graph: Graph, names: Sequence[str], shapes: dict[str, tuple[int, ...]] | None, *, folded: bool = False
) -> dict[str, int]:
    """Returns layer name -> index of the tensor that holds the layer's output; layers not in the file are left out.

    A converter names the result of fused operators after all of them, joined by ";", the last one first: only that
    one's layer has its value in the tensor. Of several tensors of a layer (a batch norm that was not folded makes
    two) the last computed is its output. A batch norm that shifts nothing, as only untrained ones do, leaves no name.

    Args:
        folded: Batch norms were folded before the conversion: their values are their convolutions'.
        shapes: Layer name -> shape without the batch; tensors of another shape (folded weights) are passed over. None
            where they are not known: then any shape will do.
    """
    wanted = {alias: name for name in names for alias in _aliases(name, folded=folded)}
    found: dict[str, int] = {}
    for operator in graph.main.operators:
        for index in operator.outputs:
            name = _layer_of(graph.main.tensors[index], wanted)
            if name is not None and (shapes is None or _shape(graph.main.tensors[index]) == (1, *shapes[name])):
                found[name] = int(index)
    found |= {name: index for name, index in graph.outputs().items() if name in names}
    return {name: found[name] for name in names if name in found}


def layer_of(name: str, present: Collection[str]) -> str:
    """Returns the layer of a Keras model that gives a stage: in a folded one the convolution, not its batch norm."""
    return next((alias for alias in _aliases(name, folded=True) if alias in present), name)


def find_sources(graph: Graph, places: dict[str, int]) -> dict[str, tuple[str, ...]]:
    """Returns layer name -> the layers of `places` next before it in the file's graph; none before the first."""
    names = {index: name for name, index in places.items()}
    nearest: dict[int, frozenset[str]] = {}
    sources: dict[str, tuple[str, ...]] = {}
    for operator in graph.main.operators:
        before = frozenset[str]().union(*(nearest.get(int(index), ()) for index in operator.inputs))
        for index in map(int, operator.outputs):
            nearest[index] = frozenset([names[index]]) if index in names else before
            if index in names:
                sources[names[index]] = tuple(name for name in places if name in before)
    return sources


def _aliases(name: str, *, folded: bool) -> Iterator[str]:
    yield name
    if folded and name.endswith("_BN"):
        yield name.removesuffix("_BN")
    if folded and name.endswith("_bn"):
        yield from (f"{name.removesuffix('_bn')}_{part}" for part in ("conv", "pointwise"))


def _layer_of(tensor: Any, wanted: Mapping[str, str]) -> str | None:
    path = tensor.name.decode().partition(";")[0]
    unnamed = _UNNAMED_OUTPUT.search(path)
    if unnamed and int(unnamed[1]) < len(_OUTPUTS):
        return wanted.get(_OUTPUTS[int(unnamed[1])])
    for segment in path.split("/"):
        # Keras numbers the calls of a layer: "x_1" is the first call of "x". Grids stand behind what they round.
        for call in (re.sub(r"_\d+$", "", segment), segment):
            name = wanted.get(call.removesuffix(GRID))
            if name is not None:
                return name
    return None


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(side) for side in tensor.shape)
