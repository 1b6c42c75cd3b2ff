"""The one builder for every detector: backbone, neck and head as a flat functional model of stock layers."""

from typing import Any, Literal

from nasfpn_lite.backbones.amoebanet import build_amoebanet_d
from nasfpn_lite.backbones.mobilenet_v2 import build_mobilenet_v2
from nasfpn_lite.backbones.resnet import build_resnet
from nasfpn_lite.blocks import Blocks
from nasfpn_lite.errors import UserError
from nasfpn_lite.exits import build_exits
from nasfpn_lite.fpn import build_fpn, build_ssdlite_features
from nasfpn_lite.head import build_head
from nasfpn_lite.nasfpn import build_nasfpn
from nasfpn_lite.specs import BackboneSpec, DetectorSpec

_NECKS = {"nasfpn": build_nasfpn, "fpn": build_fpn, "ssdlite": build_ssdlite_features}
_RESNET_DEPTHS: dict[str, Literal[10, 50, 101]] = {"resnet10": 10, "resnet50": 50, "resnet101": 101}


def build_detector(
    spec: DetectorSpec,
    *,
    keras: Any = None,
    bn_momentum: float = 0.99,
    folded: bool = False,
    regularization: Any = None,
    every_exit: bool = False,
) -> Any:
    """Builds a detector with random weights.

    Args:
        keras: The Keras implementation to build with: the module `keras` (default) or `tf_keras`.
        bn_momentum: Momentum of every batch norm's moving statistics, 0..1.
        folded: Build the network whose batch norms are part of its convolutions; `folding` computes its weights.
        regularization: `regularizers.Regularization` for a training; the weights' names and what the network computes
            outside of training stay the same.
        every_exit: Let the head read the features of all `spec.exits`, with the same weights, not of the last alone.

    Returns:
        A functional model: (b, H, W, 3) float, RGB as pixel / 127.5 - 1, to
        {"box_encodings": (b, N, 4), "class_logits": (b, N, num_classes)} with N and its order as in `make_anchors`.
        With every exit also the earlier ones' outputs, under the names of `exits.output_name`.
    """
    if keras is None:
        import keras  # type: ignore[no-redef]
    if folded and spec.head.shared_towers:
        raise ValueError("one convolution cannot hold the batch norms of several levels; see folding.unshare")
    drop_block = regularization and regularization.drop_block
    drop_path = regularization and regularization.drop_path
    if drop_path is not None and spec.backbone.name != "amoebanet_d":
        raise UserError(
            f"only AmoebaNet-D has branches to drop, got drop_path_keep below 1 for {spec.backbone.name}; "
            "take another preset"
        )
    if drop_block is not None and (folded or spec.neck.kind == "ssdlite" or keras.__name__ != "keras"):
        raise UserError("DropBlock needs a pyramid (a nasfpn or fpn neck), batch norms and Keras 3")
    blocks = Blocks(keras, spec.activation, bn_momentum, folded, drop_block)
    image = keras.Input((*spec.image_size, 3), name="image")
    features = _build_backbone(blocks, image, spec.backbone, drop_path)
    pyramids = _build_pyramids(blocks, features, spec)
    if every_exit and spec.exits:
        return keras.Model(image, build_exits(blocks, [pyramids[e - 1] for e in spec.exits], spec), name="detector")
    return keras.Model(image, build_head(blocks, pyramids[-1], spec), name="detector")


def _build_pyramids(blocks: Blocks, features: dict[str, Any], spec: DetectorSpec) -> list[dict[int, Any]]:
    """Returns the neck's pyramids from the first to the last."""
    pyramids: Any = _NECKS[spec.neck.kind](blocks, features, spec.neck)
    return pyramids if isinstance(pyramids, list) else [pyramids]


def _build_backbone(blocks: Blocks, image: Any, backbone: BackboneSpec, drop_path: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"bn_momentum": blocks.bn_momentum, "folded": blocks.folded}
    if backbone.name == "amoebanet_d":
        return build_amoebanet_d(blocks.keras, image, drop_path=drop_path, **options)
    options["symmetric_padding"] = backbone.symmetric_padding
    if backbone.name == "mobilenet_v2":
        options |= {"top_channels": backbone.top_channels, "expanded_c4": backbone.expanded_c4}
        return build_mobilenet_v2(blocks.keras, image, **options)
    return build_resnet(blocks.keras, image, depth=_RESNET_DEPTHS[backbone.name], **options)
