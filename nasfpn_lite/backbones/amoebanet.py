"""AmoebaNet-D (https://arxiv.org/abs/1802.01548), as a backbone.

Facts of the two cells from tensorflow/tpu models/official/amoeba_net: ReLU before and batch norm (epsilon .001) behind
every convolution, no biases, kernels from a truncated normal of variance 2/fan_out.

The NAS-FPN paper does not tell how large its network was. N = 6 normal cells a stage, as in the published network, and
F = 240 filters fit its figures best: of N = 2 to 7 and F in steps of 4 they alone keep the parameters of its FPN and
7 @ 384 models (114.4 M in Table 1, 185 M in figure 9a) within .5 % and the FLOPs of its five models (Table 1, figure 8)
within 1.7 %. The published code's F = 256 is 13 % over in parameters with N = 6, and 3.6 % under with N = 5.

Deliberate differences: the first convolution pads ("same"), so that the levels nest, and a factorized reduction has a
batch norm behind each of its two convolutions instead of one behind both, which computes the same and can be folded.
"""

from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

from nasfpn_lite.norms import make_batch_norm

BN_EPSILON = 1e-3
FILTERS = 240
CELLS = 6

_STEM_CHANNELS = 32
_BOTTLENECK = 4

_Branch = tuple[str, int]  # operation, state


class _Cell(NamedTuple):
    """State 0 is the input at the cell's width, state 1 the input of the cell before; each pair of branches adds one.

    `joined` are the states that no branch uses; side by side they are the output.
    """

    pairs: tuple[tuple[_Branch, _Branch], ...]
    joined: tuple[int, ...]


# fmt: off
_NORMAL = _Cell((
    (("1x1", 1),  ("max3", 1)),  # 2
    (("none", 1), ("7x7", 0)),   # 3
    (("1x1", 0),  ("7x7", 0)),   # 4
    (("max3", 2), ("none", 2)),  # 5
    (("avg3", 1), ("1x1", 5)),   # 6
), joined=(0, 3, 4, 6))

# Strides are on the branches from states 0 and 1.
_REDUCTION = _Cell((
    (("max2", 0), ("max3", 0)),  # 2
    (("none", 2), ("3x3", 1)),   # 3
    (("7x7", 2),  ("max3", 2)),  # 4
    (("none", 3), ("max2", 1)),  # 5
    (("avg3", 2), ("1x1", 3)),   # 6
), joined=(4, 5, 6))
# fmt: on


class _Layers:
    """The few layers the network is made of, with the options that all of them share."""

    def __init__(self, keras: ModuleType, bn_momentum: float, folded: bool) -> None:
        self.keras, self.layers = keras, keras.layers
        self.bn_momentum = bn_momentum
        self.folded = folded

    def conv_bn(self, x: Any, filters: int, size: int | tuple[int, int], name: str, stride: Any = 1) -> Any:
        x = self.layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="same",
            use_bias=self.folded,
            kernel_initializer=self.keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal"),
            name=f"{name}_conv",
        )(x)
        if self.folded:
            return x
        norm = make_batch_norm(self.layers, epsilon=BN_EPSILON, momentum=self.bn_momentum, name=f"{name}_bn")
        return norm(x)

    def relu_conv_bn(self, x: Any, filters: int, size: int | tuple[int, int], name: str, stride: Any = 1) -> Any:
        return self.conv_bn(self.layers.ReLU(name=f"{name}_relu")(x), filters, size, name, stride)

    def factorized_reduction(self, x: Any, filters: int, name: str) -> Any:
        """Halves the size and loses no pixel row for good: half of the filters look one pixel down and right."""
        x = self.layers.ReLU(name=f"{name}_relu")(x)
        shifted = self.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_shift_pad")(x)
        shifted = self.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_shift")(shifted)
        halves = [
            self.conv_bn(half, filters // 2, 1, f"{name}_{number}", stride=2)
            for number, half in enumerate((x, shifted), start=1)
        ]
        return self.layers.Concatenate(name=f"{name}_concat")(halves)

    def branch(self, x: Any, operation: str, filters: int, name: str, stride: int) -> Any:
        """Applies one operation of a cell."""
        if operation == "none":
            return x
        if operation == "1x1":
            return self.relu_conv_bn(x, filters, 1, name, stride)
        if operation in ("3x3", "7x7"):
            inner = filters // _BOTTLENECK
            x = self.relu_conv_bn(x, inner, 1, f"{name}_squeeze")
            if operation == "3x3":
                x = self.relu_conv_bn(x, inner, 3, f"{name}_3x3", stride)
            else:  # as a row and a column
                x = self.relu_conv_bn(x, inner, (1, 7), f"{name}_1x7", (1, stride))
                x = self.relu_conv_bn(x, inner, (7, 1), f"{name}_7x1", (stride, 1))
            return self.relu_conv_bn(x, filters, 1, f"{name}_expand")
        kind, size = operation[:3], int(operation[3:])
        pool = {"max": self.layers.MaxPooling2D, "avg": self.layers.AveragePooling2D}[kind]
        x = pool(size, strides=stride, padding="same", name=f"{name}_{operation}")(x)
        return x if x.shape[-1] == filters else self.conv_bn(x, filters, 1, name)


class _Network:
    """The chain of cells; each is also fed by the one before the last."""

    def __init__(self, layers: _Layers, stem: Any, num_cells: int, drop_path: Any) -> None:
        self.layers, self.last, self.before = layers, stem, None
        self.made, self.num_cells, self.dropping = 0, num_cells, drop_path

    def add(self, cell: _Cell, filters: int, name: str) -> Any:
        stride = 2 if cell is _REDUCTION else 1
        self.made += 1
        states = [self.layers.relu_conv_bn(self.last, filters, 1, f"{name}_input"), self.fit_before(filters, name)]
        for number, pair in enumerate(cell.pairs, start=2):
            ends = []
            for side, (operation, state) in zip(("left", "right"), pair, strict=True):
                branch = f"{name}_{number}_{side}"
                x = self.layers.branch(states[state], operation, filters, branch, stride if state < 2 else 1)
                ends.append(x if operation == "none" else self.drop_path(x, branch))
            states.append(self.layers.layers.Add(name=f"{name}_{number}_add")(ends))
        out = self.layers.layers.Concatenate(name=f"{name}_out")([states[number] for number in cell.joined])
        self.before, self.last = self.last, out
        return out

    def drop_path(self, x: Any, name: str) -> Any:
        """Drops whole images' branches in training, the more the later the cell."""
        if self.dropping is None:
            return x
        from nasfpn_lite.regularizers import DropPath

        keep = 1 - (1 - self.dropping.keep) * self.made / self.num_cells
        return DropPath(replace(self.dropping, keep=keep), name=f"{name}_drop")(x)

    def fit_before(self, filters: int, name: str) -> Any:
        """State 1: the output of the cell before the last, at the size and width of state 0."""
        if self.before is None:
            return self.last  # its branches bring it to the cell's width
        if self.before.shape[1] != self.last.shape[1]:
            return self.layers.factorized_reduction(self.before, filters, f"{name}_before")
        if self.before.shape[-1] != filters:
            return self.layers.relu_conv_bn(self.before, filters, 1, f"{name}_before")
        return self.before


def build_amoebanet_d(  # noqa: PLR0913 - all but two are keywords
    keras: ModuleType,
    image: Any,
    *,
    bn_momentum: float,
    folded: bool = False,
    drop_path: Any = None,
    filters: int = FILTERS,
    cells: int = CELLS,
) -> dict[str, Any]:
    """Puts AmoebaNet-D on an image tensor.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image: (B, H, W, 3).
        bn_momentum: Momentum of all batch norms (.9997 in the published code).
        folded: Leave batch norms out and give every convolution a bias; see `folding`.
        drop_path: `regularizers.Dropping` for stochastic depth in training: its `keep` is that of a branch in the last
            cell, and falls to that linearly from 1 before the first (the published code ends at .7).
        filters: F, a multiple of 16: the width of the cells at stride 8.
        cells: N: normal cells at each of the strides 8, 16 and 32.

    Returns:
        {"C3": stride 8, "C4": stride 16, "C5": stride 32}, not activated, with 4, 8 and 16 times `filters` channels.
    """
    layers = _Layers(keras, bn_momentum, folded)
    network = _Network(layers, layers.conv_bn(image, _STEM_CHANNELS, 3, "stem", 2), 3 * cells + 4, drop_path)
    for number in (1, 2):
        network.add(_REDUCTION, filters * number // 4, f"stem_reduction{number}")
    features = {}
    for level in (3, 4, 5):
        if level > 3:
            network.add(_REDUCTION, filters, f"reduction_C{level}")
        for number in range(1, cells + 1):
            features[f"C{level}"] = network.add(_NORMAL, filters, f"cell{number}_C{level}")
        filters *= 2
    return features
