"""Losses that know how well a predicted box overlaps its object: quality focal loss and generalized IoU loss.

No anchors are needed for that. Both boxes are coded relative to the same anchor, which moves and stretches each axis
alone, and neither IoU nor generalized IoU changes if both boxes are moved and stretched so.
"""

from typing import Any

import keras
from keras import ops

from nasfpn_lite.boxes import MAX_LOG_RATIO
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.targets import IGNORED

QUALITY_BETA = 2.0  # arXiv:2006.04388, section 4
GIOU_WEIGHT = 2.0  # of its code and of ATSS's
_TINY = 1e-9


def coded_overlaps(a: Any, b: Any) -> tuple[Any, Any]:
    """Returns IoU (0..1) and generalized IoU (-1..1) of boxes, each pair coded relative to one anchor.

    Args:
        a, b: (..., 4) float32, as `boxes.encode` codes them.

    Returns:
        Two arrays (...). With C the smallest box around both and U their union, GIoU = IoU - (|C| - |U|) / |C|.

    Source: Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 1.
    """
    (a_low, a_high), (b_low, b_high) = _corners(a), _corners(b)
    common = _area(ops.maximum(ops.minimum(a_high, b_high) - ops.maximum(a_low, b_low), 0.0))
    union = _area(a_high - a_low) + _area(b_high - b_low) - common
    hull = _area(ops.maximum(a_high, b_high) - ops.minimum(a_low, b_low))
    iou = common / (union + _TINY)
    return iou, iou - (hull - union) / (hull + _TINY)


def _corners(codes: Any) -> tuple[Any, Any]:
    half = ops.exp(ops.minimum(codes[..., 2:], MAX_LOG_RATIO)) / 2.0
    return codes[..., :2] - half, codes[..., :2] + half


def _area(sides: Any) -> Any:
    return sides[..., 0] * sides[..., 1]


def add_quality(targets: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    """Returns targets in which each anchor's class has its predicted box's quality beside it.

    The quality is a target: no gradient flows through it.

    Args:
        targets: As the pipeline makes them, for one exit or for several.
        outputs: The model's, under the same names.

    Returns:
        The same, but for each class output (b, N, 2) float32: the label, and the IoU of the predicted box with the
        anchor's object; without meaning where the anchor has none.
    """
    rated = dict(targets)
    for name in targets:
        if name.endswith(CLASS_OUTPUT):
            boxes = name.removesuffix(CLASS_OUTPUT) + BOX_OUTPUT
            predicted, wanted = (ops.cast(x[boxes], "float32")[..., :4] for x in (outputs, targets))
            quality = ops.stop_gradient(coded_overlaps(predicted, wanted)[0])
            rated[name] = ops.stack([ops.cast(targets[name], "float32"), quality], axis=-1)
    return rated


class QualityFocalLoss(keras.losses.Loss):
    """Focal loss towards the box's quality instead of 1; summed, divided by the batch's positives plus one.

    For a score s and a target y (the quality for an anchor's class, 0 for all others):
    |y - s| ** beta * -(y log s + (1 - y) log(1 - s)). With y = 0 or 1 alone it is twice the focal loss of alpha 1/2.

    `y_true` is (b, N, 2) of `add_quality`; `y_pred` is (b, N, K) logits of any float dtype.

    Source: Li et al. 2020, arXiv:2006.04388, equation 5, beta 2. Differs: the divisor is that of the focal loss here.
    """

    def __init__(self, beta: float = QUALITY_BETA, name: str = "quality_focal_loss") -> None:
        super().__init__(name=name, reduction="sum")
        self.beta = beta

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the scalar loss."""
        if len(y_true.shape) != len(y_pred.shape):
            raise ValueError(f"expected labels and qualities (b, N, 2), got {y_true.shape}; `add_quality` makes them")
        labels, logits = ops.cast(y_true[..., 0], "int32"), ops.cast(y_pred, "float32")
        # Negative labels give a row of zeros.
        target = ops.one_hot(labels, logits.shape[-1], dtype="float32") * ops.cast(y_true[..., 1:], "float32")
        cross_entropy = ops.softplus(logits) - target * logits
        distance = ops.abs(target - ops.sigmoid(logits))
        counted = ops.expand_dims(ops.cast(labels != IGNORED, "float32"), -1)
        positives = ops.sum(ops.cast(labels >= 0, "float32"))
        return ops.sum(distance**self.beta * cross_entropy * counted) / (positives + 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the loss."""
        return {"beta": self.beta, "name": self.name}


class GIoULoss(keras.losses.Loss):
    """1 - generalized IoU of the positive anchors' boxes, divided by the batch's positives plus one, weighted.

    `y_true` is (b, N, 5): the code (ty, tx, th, tw) and 1 for a positive anchor, 0 for others. `y_pred` is (b, N, 4).

    Source: Rezatofighi et al. 2019, arXiv:1902.09630; weight 2 as in the code of arXiv:1912.02424.
    """

    def __init__(self, weight: float = GIOU_WEIGHT, name: str = "giou_loss") -> None:
        super().__init__(name=name, reduction="sum")
        self.weight = weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the scalar loss."""
        target = ops.cast(y_true, "float32")
        positive = target[..., 4]
        giou = coded_overlaps(ops.cast(y_pred, "float32"), target[..., :4])[1]
        return self.weight * ops.sum((1.0 - giou) * positive) / (ops.sum(positive) + 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the loss."""
        return {"weight": self.weight, "name": self.name}
