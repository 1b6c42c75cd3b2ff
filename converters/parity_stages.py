"""The stages at which a .tflite is held against its reference: names, words and where they are in the file."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.head import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.levels import level_name
from nasfpn_lite.specs import BackboneSpec, DetectorSpec

KINDS = ("backbone", "lateral", "cell", "tower", "output")
_RESNET_LAST_BLOCKS = {"resnet10": (1, 1, 1), "resnet50": (4, 6, 3), "resnet101": (4, 23, 3)}  # of conv3, conv4, conv5
_OUTPUTS = (BOX_OUTPUT, CLASS_OUTPUT)  # in the order in which an exported function gives them
_UNNAMED_OUTPUT = re.compile(r"PartitionedCall:(\d+)$")


@dataclass(frozen=True)
class Stage:
    """One place in the network.

    Attributes:
        name: The Keras layer whose output is compared.
        kind: One of KINDS; the merging steps of every neck are cells.
        words: What it is, for people: "cell 7 of pyramid 2 at P4".
    """

    name: str
    kind: str
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
        names = ["block_5_add", c4, c5]
    else:
        blocks = _RESNET_LAST_BLOCKS[backbone.name]
        names = [f"conv{group}_block{last}_out" for group, last in zip((3, 4, 5), blocks, strict=True)]
    for level, name in zip((3, 4, 5), names, strict=True):
        yield Stage(name, "backbone", f"backbone level C{level}")


def _neck(spec: DetectorSpec) -> Iterator[Stage]:
    neck = spec.neck
    if neck.kind == "ssdlite":
        for level in range(6, neck.max_level + 1):
            yield Stage(f"extra_P{level}_squeeze_act", "lateral", f"squeeze before P{level}")
            yield Stage(f"extra_P{level}_act", "cell", f"extra layer at P{level}")
        return
    suffix = "_bn" if neck.kind == "nasfpn" else ""
    top = min(5, neck.max_level)
    for level in range(neck.min_level, top + 1):
        yield Stage(f"lateral_{level_name('C', level)}{suffix}", "lateral", f"lateral projection of C{level}")
    if neck.kind == "fpn":
        yield from _fpn(neck.min_level, top, neck.max_level)
    elif neck.genotype is not None:
        for repeat in range(1, neck.repeats + 1):
            for number, cell in enumerate(neck.genotype.cells, start=1):
                name = f"pyramid{repeat}_cell{number}_P{cell.level}_bn"
                yield Stage(name, "cell", f"cell {number} of pyramid {repeat} at P{cell.level}")


def _fpn(min_level: int, top: int, max_level: int) -> Iterator[Stage]:
    for level in range(top - 1, min_level - 1, -1):
        yield Stage(f"fpn_sum_P{level}", "cell", f"top-down sum at P{level}")
    for level in range(min_level, max_level + 1):
        yield Stage(f"fpn_P{level}_bn", "cell", f"pyramid output at P{level}")


def _head(spec: DetectorSpec) -> Iterator[Stage]:
    for level in spec.neck.levels:
        for branch in ("box", "class"):
            for depth in range(1, spec.head.depth + 1):
                name = f"head_{branch}{depth}_P{level}_act"
                yield Stage(name, "tower", f"layer {depth} of the {branch} tower at P{level}")
            yield Stage(f"head_{branch}_P{level}_flat", "output", f"{branch} prediction at P{level}")
    yield Stage(BOX_OUTPUT, "output", "box output")
    yield Stage(CLASS_OUTPUT, "output", "class output")


def find_tensors(graph: Graph, names: Sequence[str], shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
    """Returns layer name -> index of the tensor that holds the layer's output; layers not in the file are left out.

    A converter names the result of fused operators after all of them, joined by ";", the last one first: only that
    one's layer has its value in the tensor. Of several tensors of a layer (a batch norm that was not folded makes
    two) the last computed is its output.

    Args:
        shapes: Layer name -> shape without the batch; tensors of another shape (folded weights) are passed over.
    """
    wanted, found = set(names), {}
    outputs = graph.outputs()
    for operator in graph.main.operators:
        for index in operator.outputs:
            name = _layer_of(graph.main.tensors[index], wanted)
            if name is not None and _shape(graph.main.tensors[index]) == (1, *shapes[name]):
                found[name] = int(index)
    found |= {name: index for name, index in outputs.items() if name in wanted}
    return {name: found[name] for name in names if name in found}


def _layer_of(tensor: Any, wanted: set[str]) -> str | None:
    path = tensor.name.decode().partition(";")[0]
    unnamed = _UNNAMED_OUTPUT.search(path)
    if unnamed and int(unnamed[1]) < len(_OUTPUTS):
        return _OUTPUTS[int(unnamed[1])] if _OUTPUTS[int(unnamed[1])] in wanted else None
    for segment in path.split("/"):
        # Keras numbers the calls of a layer: "x_1" is the first call of "x".
        for name in (re.sub(r"_\d+$", "", segment), segment):
            if name in wanted:
                return name
    return None


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(side) for side in tensor.shape)
