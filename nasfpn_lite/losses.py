"""Focal loss and Huber box loss of RetinaNet, always computed in float32."""

from typing import Any

import keras
from keras import ops

from nasfpn_lite.layer_names import CLASS_OUTPUT
from nasfpn_lite.targets import IGNORED

FOCAL_ALPHA = 0.25  # paper.section 4: alpha .25, gamma 1.5
FOCAL_GAMMA = 1.5
HUBER_DELTA = 0.1
BOX_LOSS_WEIGHT = 50.0


def loss_divisor(targets: dict[str, Any]) -> Any:
    """Returns what both losses of a batch are divided by: its positive anchors plus one, a float32 scalar."""
    return _count_positives(targets[CLASS_OUTPUT]) + 1.0


def _count_positives(labels: Any) -> Any:
    return ops.sum(ops.cast(labels >= 0, "float32"))


class FocalLoss(keras.losses.Loss):
    """Sigmoid focal loss, summed over anchors and classes, divided by the batch's positives plus one.

    `y_true` is (b, N) int: a class 0..K-1, -1 for background, -2 for an anchor that does not count.
    `y_pred` is (b, N, K) logits of any float dtype.

    Source: Lin et al. 2017; alpha, gamma and the normaliser as in the paper's section 4 and tensorflow/tpu.
    """

    def __init__(self, alpha: float = FOCAL_ALPHA, gamma: float = FOCAL_GAMMA, name: str = "focal_loss") -> None:
        super().__init__(name=name, reduction="sum")
        self.alpha, self.gamma = alpha, gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the scalar loss."""
        labels = ops.cast(y_true, "int32")
        logits = ops.cast(y_pred, "float32")
        target = ops.one_hot(labels, logits.shape[-1], dtype="float32")  # negative labels give a row of zeros
        positives = _count_positives(labels)
        # With s = +1 for the right class and -1 for the others, all of focal loss is a function of s * logit.
        margin = logits * (2.0 * target - 1.0)
        cross_entropy = ops.softplus(-margin)
        difficulty = ops.exp(-self.gamma * ops.softplus(margin))  # (1 - p_t) ** gamma
        weight = self.alpha * target + (1.0 - self.alpha) * (1.0 - target)
        counted = ops.expand_dims(ops.cast(labels != IGNORED, "float32"), -1)
        return ops.sum(weight * difficulty * cross_entropy * counted) / (positives + 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the loss."""
        return {"alpha": self.alpha, "gamma": self.gamma, "name": self.name}


class BoxLoss(keras.losses.Loss):
    """Huber loss over the box codes of positive anchors, divided by 4 x (the batch's positives plus one), weighted.

    `y_true` is (b, N, 5): the code (ty, tx, th, tw) and 1 for a positive anchor, 0 for others. `y_pred` is (b, N, 4).

    Source: tensorflow/tpu official/retinanet: delta .1, weight 50.
    """

    def __init__(self, delta: float = HUBER_DELTA, weight: float = BOX_LOSS_WEIGHT, name: str = "box_loss") -> None:
        super().__init__(name=name, reduction="sum")
        self.delta, self.weight = delta, weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the scalar loss."""
        target = ops.cast(y_true, "float32")
        positive = target[..., 4:]
        error = ops.abs(ops.cast(y_pred, "float32") - target[..., :4])
        small = ops.minimum(error, self.delta)
        huber = small * (error - 0.5 * small)  # .5 e^2 up to delta, delta (e - .5 delta) beyond
        positives = ops.sum(positive)
        return self.weight * ops.sum(huber * positive) / (4.0 * (positives + 1.0))

    def get_config(self) -> dict[str, Any]:
        """Returns what rebuilds the loss."""
        return {"delta": self.delta, "weight": self.weight, "name": self.name}
