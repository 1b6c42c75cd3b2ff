"""The generalized IoU loss: how well a predicted box overlaps its object.

No anchors are needed for that. Both boxes are coded relative to the same anchor, which moves and stretches each axis
alone, and neither IoU nor generalized IoU changes if both boxes are moved and stretched so.
"""

from typing import Any

import keras
from keras import ops

from nasfpn_lite.boxes import MAX_LOG_RATIO

GIOU_WEIGHT = 2.0  # as in the code of arXiv:1912.02424
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
