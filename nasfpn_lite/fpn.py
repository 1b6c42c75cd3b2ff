"""The necks that NAS-FPN is measured against: FPN (FPNLite when separable) and SSDLite's extra layers."""

from typing import Any

from nasfpn_lite.blocks import Blocks
from nasfpn_lite.levels import level_name
from nasfpn_lite.specs import NeckSpec

# SSDLite's features above C5: channels of the squeeze and of the stride-2 result, per level.
# Source: TF OD API, ssd_mobilenet_v2 feature extractor (layer_19_2 ... layer_19_5).
SSDLITE_EXTRA_LAYERS = {6: (256, 512), 7: (128, 256), 8: (128, 256), 9: (64, 128)}


def build_fpn(blocks: Blocks, features: dict[str, Any], neck: NeckSpec) -> list[dict[int, Any]]:
    """Builds a feature pyramid network: 1x1 laterals, nearest top-down additions, 3x3 smoothing, strided P6 and P7.

    Args:
        features: {"C3", "C4", "C5"} of the backbone.

    Returns:
        Of each pyramid, {level: (b, H / 2**level, W / 2**level, neck.width)}, batch-normalized and not activated.

    Source: Lin et al. 2017 as in tensorflow/tpu official/retinanet: P6 from P5, P7 from act(P6). Further pyramids, of
    which the paper tells no more than FLOPs (figure 8: 11.2 B each at 640x640, which is five 3x3 and five 1x1
    convolutions of 256 channels), take all levels by laterals of their own and go down from the top one. Ours: the
    activation before these laterals, without which a stack would be one linear map.
    """
    pyramids = [_first_fpn(blocks, features, neck)]
    for repeat in range(2, neck.repeats + 1):
        pyramids.append(_further_fpn(blocks, pyramids[-1], neck, f"fpn{repeat}"))
    return pyramids


def _first_fpn(blocks: Blocks, features: dict[str, Any], neck: NeckSpec) -> dict[int, Any]:
    layers = blocks.keras.layers
    top = min(5, neck.max_level)
    merged = {
        level: layers.Conv2D(neck.width, 1, kernel_initializer="he_normal", name=f"lateral_{level_name('C', level)}")(
            features[level_name("C", level)]
        )
        for level in range(neck.min_level, top + 1)
    }
    _add_downwards(blocks, merged, "fpn")

    def smooth(x: Any, name: str, strides: int = 1) -> Any:
        return blocks.conv3x3(neck.width, separable=neck.separable, strides=strides, name=name)(x)

    pyramid = {level: smooth(x, f"fpn_P{level}") for level, x in merged.items()}
    for level in range(top + 1, neck.max_level + 1):
        below = pyramid[level - 1]
        if level > top + 1:
            below = blocks.act(below, f"fpn_P{level - 1}_act")
        pyramid[level] = smooth(below, f"fpn_P{level}", strides=2)
    used_above = range(top, neck.max_level)
    return {
        level: blocks.pyramid_norm(x, f"fpn_P{level}_bn", foldable=level not in used_above)
        for level, x in pyramid.items()
    }


def _further_fpn(blocks: Blocks, below: dict[int, Any], neck: NeckSpec, name: str) -> dict[int, Any]:
    conv, merged, pyramid = blocks.keras.layers.Conv2D, {}, {}
    for level, x in below.items():
        lateral = conv(neck.width, 1, kernel_initializer="he_normal", name=f"{name}_lateral_P{level}")
        merged[level] = lateral(blocks.act(x, f"{name}_P{level}_act"))
    _add_downwards(blocks, merged, name)
    for level, x in merged.items():
        x = blocks.conv3x3(neck.width, separable=neck.separable, name=f"{name}_P{level}")(x)
        pyramid[level] = blocks.pyramid_norm(x, f"{name}_P{level}_bn")
    return pyramid


def _add_downwards(blocks: Blocks, merged: dict[int, Any], name: str) -> None:
    """Adds to every level but the top one what came out of the level above, from the top on."""
    layers = blocks.keras.layers
    for level in sorted(merged, reverse=True)[1:]:
        up = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_up_P{level}")(merged[level + 1])
        merged[level] = layers.Add(name=f"{name}_sum_P{level}")([merged[level], up])


def build_ssdlite_features(blocks: Blocks, features: dict[str, Any], neck: NeckSpec) -> dict[int, Any]:
    """Adds SSDLite's extra feature layers above C5; no feature is merged with another.

    Args:
        features: {"C4", "C5"} of the backbone, activated.

    Returns:
        {level: (b, ceil(H / 2**level), ceil(W / 2**level), channels)}, activated.
    """
    pyramid = {4: features["C4"], 5: features["C5"]}
    for level in range(6, neck.max_level + 1):
        squeeze, channels = SSDLITE_EXTRA_LAYERS[level]
        name = f"extra_P{level}"
        x = blocks.act(blocks.project(pyramid[level - 1], squeeze, f"{name}_squeeze"), f"{name}_squeeze_act")
        x = blocks.conv3x3(channels, separable=True, strides=2, name=name)(x)
        pyramid[level] = blocks.act(blocks.batch_norm(x, f"{name}_bn"), f"{name}_act")
    return {level: pyramid[level] for level in neck.levels}
