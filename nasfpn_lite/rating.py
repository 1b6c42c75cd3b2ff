"""Models that tell their class losses how good the predicted boxes are."""

from typing import Any

import keras

from nasfpn_lite.overlap_losses import add_quality


class RatingModel(keras.Model):
    """A functional model for losses that need both outputs of a detector: the class loss is told the boxes' quality.

    Keras gives each loss one output alone. Steps, logs and weights are those of a plain model.
    """

    def __init__(self, *, inputs: Any, outputs: Any, rates: bool, name: str) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.rates = rates

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Computes the losses, where `rates` says so on targets of `add_quality`."""
        rated = add_quality(y, y_pred) if self.rates else y
        return super().compute_loss(x, rated, y_pred, sample_weight, training)
