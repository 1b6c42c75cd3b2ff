"""The few layer patterns that neck and head are made of, for either Keras implementation."""

import math
from dataclasses import dataclass
from typing import Any

from nasfpn_lite.levels import level_name
from nasfpn_lite.norms import make_batch_norm

BN_EPSILON = 1e-3
CLASS_PRIOR = 0.01  # score of every anchor before training; Lin et al. 2017, section 4.1


@dataclass(frozen=True)
class Blocks:
    """Makes layers of one Keras implementation with one activation and one batch-norm momentum.

    Attributes:
        keras: The module `keras`, or `tf_keras` for quantization-aware training. Only layers that both have are used.
        folded: Leave batch norms out and give the convolutions before them a bias; see `folding`.
        drop_block: `regularizers.Dropping` of the pyramid, for training alone.
    """

    keras: Any
    activation: str
    bn_momentum: float
    folded: bool = False
    drop_block: Any = None

    def act(self, x: Any, name: str) -> Any:
        """Applies the detector's activation."""
        limit = 6.0 if self.activation == "relu6" else None
        return self.keras.layers.ReLU(max_value=limit, name=name)(x)

    def batch_norm(self, x: Any, name: str, *, foldable: bool = True) -> Any:
        """Applies batch normalization.

        Args:
            foldable: False where others use x too: a folded network then scales and shifts x in a layer of its own.
        """
        if self.folded:
            return x if foldable else self.keras.layers.DepthwiseConv2D(1, name=name)(x)
        return make_batch_norm(self.keras.layers, momentum=self.bn_momentum, epsilon=BN_EPSILON, name=name)(x)

    def pyramid_norm(self, x: Any, name: str, *, foldable: bool = True) -> Any:
        """Applies batch normalization inside the pyramid, and DropBlock after it where a training asks for it."""
        x = self.batch_norm(x, name, foldable=foldable)
        if self.drop_block is None:
            return x
        from nasfpn_lite.regularizers import DropBlock

        return DropBlock(self.drop_block, name=f"{name.removesuffix('_bn')}_drop_block")(x)

    def project(self, x: Any, width: int, name: str) -> Any:
        """1x1 convolution and batch norm, no activation: (b, h, w, any) -> (b, h, w, width)."""
        conv = self.keras.layers.Conv2D(
            width, 1, use_bias=self.folded, kernel_initializer="he_normal", name=f"{name}_conv"
        )
        x = conv(x)
        return self.batch_norm(x, f"{name}_bn")

    def conv3x3(self, width: int, *, separable: bool, name: str, strides: int = 1) -> "Conv3x3":
        """Makes a 3x3 convolution for a batch norm to follow, which can be applied at several levels."""
        layers, initializers = self.keras.layers, self.keras.initializers
        if not separable:
            conv = layers.Conv2D(
                width, 3, strides, "same", use_bias=self.folded, kernel_initializer="he_normal", name=f"{name}_conv"
            )
            return Conv3x3((conv,))
        # Variance 1/9 keeps the signal's variance through a depthwise 3x3.
        depthwise = layers.DepthwiseConv2D(
            3,
            strides,
            "same",
            use_bias=False,
            depthwise_initializer=initializers.RandomNormal(stddev=1 / 3),
            name=f"{name}_depthwise",
        )
        pointwise = layers.Conv2D(
            width, 1, use_bias=self.folded, kernel_initializer="he_normal", name=f"{name}_pointwise"
        )
        return Conv3x3((depthwise, pointwise))

    def predictor(self, channels: int, *, separable: bool, is_class: bool, name: str) -> "Conv3x3":
        """Makes a 3x3 convolution with bias that predicts; starts at N(0, .01), class scores at CLASS_PRIOR."""
        layers, initializers = self.keras.layers, self.keras.initializers
        bias = -math.log((1 - CLASS_PRIOR) / CLASS_PRIOR) if is_class else 0.0
        options = {
            "kernel_initializer": initializers.RandomNormal(stddev=0.01),
            "bias_initializer": initializers.Constant(bias),
        }
        if not separable:
            return Conv3x3((layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv", **options),))
        depthwise = layers.DepthwiseConv2D(
            3,
            padding="same",
            use_bias=False,
            depthwise_initializer=initializers.RandomNormal(stddev=1 / 3),
            name=f"{name}_depthwise",
        )
        return Conv3x3((depthwise, layers.Conv2D(channels, 1, name=f"{name}_pointwise", **options)))


@dataclass(frozen=True)
class Conv3x3:
    """One full or depthwise-separable 3x3 convolution: the layers to apply in turn."""

    parts: tuple[Any, ...]

    def __call__(self, x: Any) -> Any:
        for layer in self.parts:
            x = layer(x)
        return x


def input_pyramid(blocks: Blocks, features: dict[str, Any], *, width: int, min_level: int, max_level: int) -> dict:
    """Brings backbone features to one width and adds the levels above C5 by max pooling.

    Args:
        features: {"C3", "C4", "C5"}, each (b, H / 2**level, W / 2**level, any).

    Returns:
        {level: (b, H / 2**level, W / 2**level, width)}.

    Source: paper section 3.1 (C6 and C7 are stride 2 and 4 max poolings of C5); one projection per backbone level,
    as in tensorflow/tpu nasfpn.py.
    """
    pyramid = {
        level: blocks.project(features[level_name("C", level)], width, f"lateral_{level_name('C', level)}")
        for level in range(min_level, 6)
    }
    for level in range(6, max_level + 1):
        pyramid[level] = blocks.keras.layers.MaxPooling2D(2, padding="same", name=f"pool_{level_name('C', level)}")(
            pyramid[level - 1]
        )
    return pyramid
