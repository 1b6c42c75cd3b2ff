"""MobileNetV2 1.0 (https://arxiv.org/abs/1801.04381), under the layer names of keras.applications.MobileNetV2."""

from types import ModuleType
from typing import Any, NamedTuple

from nasfpn_lite.norms import make_batch_norm

BN_EPSILON = 1e-3  # of keras.applications, so that published weights mean the same here


class _Block(NamedTuple):
    """An inverted residual block: expand by 1x1, filter each channel by 3x3, project by 1x1."""

    name: str
    expansion: int
    channels: int
    stride: int


# Table 2 of the paper, one row a block; the comments give the stride of what comes out.
_BLOCKS = (
    _Block("expanded_conv", 1, 16, 1),  # 2
    _Block("block_1", 6, 24, 2),  # 4
    _Block("block_2", 6, 24, 1),
    _Block("block_3", 6, 32, 2),  # 8
    _Block("block_4", 6, 32, 1),
    _Block("block_5", 6, 32, 1),  # C3
    _Block("block_6", 6, 64, 2),  # 16
    _Block("block_7", 6, 64, 1),
    _Block("block_8", 6, 64, 1),
    _Block("block_9", 6, 64, 1),
    _Block("block_10", 6, 96, 1),
    _Block("block_11", 6, 96, 1),
    _Block("block_12", 6, 96, 1),  # C4
    _Block("block_13", 6, 160, 2),  # 32
    _Block("block_14", 6, 160, 1),
    _Block("block_15", 6, 160, 1),
    _Block("block_16", 6, 320, 1),  # C5
)


class _Layers:
    """The few layers the network is made of, with the options that all of them share."""

    def __init__(self, keras: ModuleType, bn_momentum: float, symmetric_padding: bool, folded: bool) -> None:
        self.layers = keras.layers
        self.bn_momentum = bn_momentum
        self.symmetric_padding = symmetric_padding
        self.folded = folded

    def conv(self, x: Any, filters: int, name: str, stride: int = 1, size: int = 1) -> Any:
        x, padding = self._pad(x, name, stride)
        conv = self.layers.Conv2D(filters, size, strides=stride, padding=padding, use_bias=self.folded, name=name)
        return conv(x)

    def depthwise(self, x: Any, name: str, stride: int) -> Any:
        x, padding = self._pad(x, name, stride)
        conv = self.layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=self.folded, name=name)
        return conv(x)

    def norm(self, x: Any, name: str) -> Any:
        if self.folded:
            return x
        norm = make_batch_norm(self.layers, epsilon=BN_EPSILON, momentum=self.bn_momentum, name=name)
        return norm(x)

    def relu6(self, x: Any, name: str) -> Any:
        return self.layers.ReLU(6.0, name=name)(x)

    def _pad(self, x: Any, name: str, stride: int) -> tuple[Any, str]:
        if stride == 1 or not self.symmetric_padding:
            return x, "same"
        # At even sizes a strided 3x3 convolution never reads the row and column that (1, 1) adds at the far end.
        pad_name = "Conv1_pad" if name == "Conv1" else name.replace("depthwise", "pad")
        return self.layers.ZeroPadding2D(((1, 0), (1, 0)), name=pad_name)(x), "valid"

    def block(self, x: Any, block: _Block) -> tuple[Any, Any]:
        """Returns the block's output and its expansion (its input where it expands nothing)."""
        source, name, in_channels = x, block.name, x.shape[-1]
        if block.expansion > 1:
            x = self.conv(x, block.expansion * in_channels, f"{name}_expand")
            x = self.relu6(self.norm(x, f"{name}_expand_BN"), f"{name}_expand_relu")
        expanded = x
        x = self.depthwise(x, f"{name}_depthwise", block.stride)
        x = self.relu6(self.norm(x, f"{name}_depthwise_BN"), f"{name}_depthwise_relu")
        x = self.norm(self.conv(x, block.channels, f"{name}_project"), f"{name}_project_BN")
        if block.stride == 1 and in_channels == block.channels:
            x = self.layers.Add(name=f"{name}_add")([source, x])
        return x, expanded


def build_mobilenet_v2(  # noqa: PLR0913 - all but two are keywords
    keras: ModuleType,
    image: Any,
    *,
    top_channels: int | None,
    expanded_c4: bool,
    bn_momentum: float,
    symmetric_padding: bool,
    folded: bool = False,
) -> dict[str, Any]:
    """Puts MobileNetV2 on an image tensor of even height and width.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image: (B, H, W, 3).
        top_channels: Channels of a last 1x1 convolution with batch norm and ReLU6 on C5; None for none.
        expanded_c4: Take C4 from the expansion of block 13 (576 channels, ReLU6) instead of block 12 (96, linear).
        bn_momentum: Momentum of all batch norms. Keras's own .999 needs thousands of steps to forget its start.
        symmetric_padding: Pad strided convolutions at the top and left, as the (1, 1) padding of torchvision's
            weights comes down to, instead of at the bottom and right as TensorFlow's "same" does: worth .05 AP after
            a fine-tuning. Makes five PAD operations in TFLite: XNNPACK fuses them at no cost; without it, they
            added 2 % to the time of float32 and 11 % to that of int8 (benchmarks/results/padding.md).
        folded: Leave batch norms out and give every convolution a bias; see `folding`.

    Returns:
        {"C3": (B, H/8, W/8, 32), "C4": (B, H/16, W/16, 96 or 576), "C5": (B, H/32, W/32, 320 or top_channels)}
    """
    layers = _Layers(keras, bn_momentum, symmetric_padding, folded)
    x = layers.conv(image, 32, "Conv1", stride=2, size=3)
    x = layers.relu6(layers.norm(x, "bn_Conv1"), "Conv1_relu")
    outputs, expansions = {}, {}
    for block in _BLOCKS:
        x, expansions[block.name] = layers.block(x, block)
        outputs[block.name] = x
    if top_channels is not None:
        x = layers.relu6(layers.norm(layers.conv(x, top_channels, "Conv_1"), "Conv_1_bn"), "out_relu")
    c4 = expansions["block_13"] if expanded_c4 else outputs["block_12"]
    return {"C3": outputs["block_5"], "C4": c4, "C5": x}
