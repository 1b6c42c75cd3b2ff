"""ResNet-10, 50 and 101 (https://arxiv.org/abs/1512.03385), under the layer names of keras.applications.

Facts from the TPU detection code that NAS-FPN was published with: no biases, batch norm epsilon 1e-4, kernels from a
truncated normal of variance 1/fan_in, a projection shortcut in the first block of every group, and in bottleneck
blocks the stride on the 3x3 convolution. That last choice is told by the paper's FLOPs: the ResNet-50 share of its FPN
model at 640x640 is 33.3 G multiply-adds; this one has 33.4 G, one with the stride on the first 1x1, as in
keras.applications, 31.5 G. Keras's weights were trained for those strides; `keras_resnet` tells how they are used.
"""

from types import ModuleType
from typing import Any, Literal

from nasfpn_lite.norms import make_batch_norm

BN_EPSILON = 1e-4
Depth = Literal[10, 50, 101]

# Blocks in the groups conv2 (stride 4) to conv5 (stride 32).
_BLOCKS: dict[int, tuple[int, int, int, int]] = {10: (1, 1, 1, 1), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_WIDTHS = (64, 128, 256, 512)
_STRIDES = (1, 2, 2, 2)
_BASIC_DEPTHS = (10,)  # two 3x3 convolutions a block; deeper ones have a bottleneck of 1x1, 3x3, 1x1
_BOTTLENECK_EXPANSION = 4


class _Layers:
    """Convolution, batch norm and ReLU with the options that all of them share."""

    def __init__(self, keras: ModuleType, bn_momentum: float, symmetric_padding: bool, folded: bool) -> None:
        self.layers = keras.layers
        self.bn_momentum = bn_momentum
        self.symmetric_padding = symmetric_padding
        self.folded = folded

    def pad(self, x: Any, size: int, stride: int, name: str) -> tuple[Any, str]:
        """Pads size // 2 before a strided layer of an odd size."""
        if size == 1 or stride == 1 or not self.symmetric_padding:
            return x, "same"
        # At even sizes a layer of stride 2 never reads the last row and column that the far end would add.
        sides = (size // 2, size // 2 - 1)
        return self.layers.ZeroPadding2D((sides, sides), name=f"{name}_pad")(x), "valid"

    def conv_bn(self, x: Any, filters: int, size: int, name: str, stride: int = 1) -> Any:
        x, padding = self.pad(x, size, stride, name)
        x = self.layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding=padding,
            use_bias=self.folded,
            kernel_initializer="lecun_normal",
            name=f"{name}_conv",
        )(x)
        if self.folded:
            return x
        norm = make_batch_norm(self.layers, epsilon=BN_EPSILON, momentum=self.bn_momentum, name=f"{name}_bn")
        return norm(x)

    def relu(self, x: Any, name: str) -> Any:
        return self.layers.ReLU(name=name)(x)

    def join(self, shortcut: Any, x: Any, name: str) -> Any:
        return self.relu(self.layers.Add(name=f"{name}_add")([shortcut, x]), f"{name}_out")

    def basic_block(self, x: Any, width: int, stride: int, name: str, project: bool) -> Any:
        shortcut = self.conv_bn(x, width, 1, f"{name}_0", stride) if project else x
        x = self.relu(self.conv_bn(x, width, 3, f"{name}_1", stride), f"{name}_1_relu")
        return self.join(shortcut, self.conv_bn(x, width, 3, f"{name}_2"), name)

    def bottleneck_block(self, x: Any, width: int, stride: int, name: str, project: bool) -> Any:
        channels = width * _BOTTLENECK_EXPANSION
        shortcut = self.conv_bn(x, channels, 1, f"{name}_0", stride) if project else x
        x = self.relu(self.conv_bn(x, width, 1, f"{name}_1"), f"{name}_1_relu")
        x = self.relu(self.conv_bn(x, width, 3, f"{name}_2", stride), f"{name}_2_relu")
        return self.join(shortcut, self.conv_bn(x, channels, 1, f"{name}_3"), name)


def build_resnet(
    keras: ModuleType,
    image: Any,
    *,
    depth: Depth,
    bn_momentum: float,
    symmetric_padding: bool,
    folded: bool = False,
) -> dict[str, Any]:
    """Puts a ResNet on an image tensor of even height and width.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image: (B, H, W, 3).
        bn_momentum: Momentum of all batch norms (.997 in the TPU code).
        symmetric_padding: Pad strided layers on all sides, as the TPU code, Keras's and torchvision's networks do,
            instead of at the bottom and right as TensorFlow's "same" does.
        folded: Leave batch norms out and give every convolution a bias; see `folding`.

    Returns:
        {"C3": stride 8, "C4": stride 16, "C5": stride 32}, with 128, 256, 512 channels for depth 10 and
        512, 1024, 2048 for the deeper ones.
    """
    layers = _Layers(keras, bn_momentum, symmetric_padding, folded)
    block = layers.basic_block if depth in _BASIC_DEPTHS else layers.bottleneck_block
    x = layers.relu(layers.conv_bn(image, 64, 7, "conv1", stride=2), "conv1_relu")
    x, padding = layers.pad(x, 3, 2, "pool1")  # zeros are no maximum of what a ReLU gives
    x = keras.layers.MaxPooling2D(3, strides=2, padding=padding, name="pool1_pool")(x)
    groups = {}
    for group, (blocks, width, stride) in enumerate(zip(_BLOCKS[depth], _WIDTHS, _STRIDES, strict=True), start=2):
        for index in range(1, blocks + 1):
            first = index == 1
            x = block(x, width, stride if first else 1, f"conv{group}_block{index}", project=first)
        groups[group] = x
    return {"C3": groups[3], "C4": groups[4], "C5": groups[5]}
