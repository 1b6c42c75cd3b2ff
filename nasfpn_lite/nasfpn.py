"""NAS-FPN: interprets a genotype as Keras layers, stacked any number of times."""

from typing import Any

from nasfpn_lite.blocks import Blocks, input_pyramid
from nasfpn_lite.genotype import Genotype
from nasfpn_lite.specs import NeckSpec


def build_nasfpn(blocks: Blocks, features: dict[str, Any], neck: NeckSpec) -> list[dict[int, Any]]:
    """Builds the input projections and `neck.repeats` pyramids.

    Args:
        features: {"C3", "C4", "C5"} of the backbone.

    Returns:
        For each pyramid {level: (b, H / 2**level, W / 2**level, neck.width)}, batch-normalized and not activated.
    """
    if neck.genotype is None:
        raise ValueError("a nasfpn neck has a genotype; NeckSpec checks it")
    pyramid = input_pyramid(blocks, features, width=neck.width, min_level=neck.min_level, max_level=neck.max_level)
    pyramids = []
    for repeat in range(1, neck.repeats + 1):
        pyramid = _Pyramid(blocks, neck, neck.genotype, f"pyramid{repeat}").build(pyramid)
        pyramids.append(pyramid)
    return pyramids


class _Pyramid:
    """One pyramid. Resampled nodes and attention gates are made once and used by every cell that asks."""

    def __init__(self, blocks: Blocks, neck: NeckSpec, genotype: Genotype, name: str) -> None:
        self.blocks, self.neck, self.genotype, self.name = blocks, neck, genotype, name
        self.nodes: list[Any] = []
        self.resampled: dict[tuple[int, int], Any] = {}
        self.gates: dict[int, Any] = {}

    def build(self, inputs: dict[int, Any]) -> dict[int, Any]:
        self.nodes = [inputs[level] for level in self.genotype.levels]
        for index in range(len(self.genotype.cells)):
            self.nodes.append(self.cell(index))
        return {level: self.nodes[node] for level, node in self.genotype.outputs.items()}

    def cell(self, index: int) -> Any:
        """Merge, add what dangles, activation, 3x3 convolution, batch norm (paper section 3.1)."""
        cell, dangling = self.genotype.cells[index], self.genotype.dangling[index]
        name = f"{self.name}_cell{index + 1}_P{cell.level}"
        first, second = (self.at_level(node, cell.level) for node in cell.inputs)
        if cell.op == "attention":
            merged = self.attention(cell.inputs, first, second, name)
        else:
            merged = self.blocks.keras.layers.Add(name=f"{name}_sum")([first, second])
        for node in dangling:
            merged = self.blocks.keras.layers.Add(name=f"{name}_dangling{node}")([merged, self.nodes[node]])
        merged = self.blocks.act(merged, f"{name}_act")
        merged = self.blocks.conv3x3(self.neck.width, separable=self.neck.separable, name=name)(merged)
        return self.blocks.pyramid_norm(merged, f"{name}_bn")

    def attention(self, inputs: tuple[int, int], first: Any, second: Any, name: str) -> Any:
        """coarser + finer * sigmoid(global max of coarser); at equal levels the first input counts as the coarser."""
        levels = self.genotype.node_levels
        first_is_coarser = levels[inputs[0]] >= levels[inputs[1]]
        coarser, finer = (first, second) if first_is_coarser else (second, first)
        gate = self.gate(inputs[0] if first_is_coarser else inputs[1])
        gated = self.blocks.keras.layers.Multiply(name=f"{name}_gated")([finer, gate])
        return self.blocks.keras.layers.Add(name=f"{name}_attention")([coarser, gated])

    def gate(self, node: int) -> Any:
        """sigmoid(global max): (b, 1, 1, width). Taken before resampling, which leaves the maximum as it is."""
        if node not in self.gates:
            feature = self.nodes[node]
            layers = self.blocks.keras.layers
            # A max pooling as large as the feature map: unlike a reduction it has a fast int8 kernel.
            pooled = layers.MaxPooling2D(feature.shape[1:3], name=f"{self.name}_node{node}_globalmax")(feature)
            self.gates[node] = layers.Activation("sigmoid", name=f"{self.name}_node{node}_gate")(pooled)
        return self.gates[node]

    def at_level(self, node: int, to_level: int) -> Any:
        """Max pooling 2**k with stride 2**k downwards, nearest neighbour upwards, the node itself at its own level."""
        key = (node, to_level)
        if key not in self.resampled:
            factor = 2 ** abs(self.genotype.node_levels[node] - to_level)
            name, x, layers = f"{self.name}_node{node}_to_P{to_level}", self.nodes[node], self.blocks.keras.layers
            if self.genotype.node_levels[node] > to_level:
                x = layers.UpSampling2D(factor, interpolation="nearest", name=name)(x)
            elif self.genotype.node_levels[node] < to_level:
                x = layers.MaxPooling2D(factor, name=name)(x)
            self.resampled[key] = x
        return self.resampled[key]
