"""What `fit` needs beside a model and batches: a recipe's optimizer, schedule and losses; frozen layers; statistics."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.losses import BoxLoss, FocalLoss
from nasfpn_lite.overlap_losses import GIoULoss
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.regularizers import Dropping, Regularization, nothing_dropped


def make_learning_rate(recipe: TrainingRecipe, total_steps: int) -> Any:
    """Returns the recipe's Keras learning-rate schedule; it depends on the optimizer's step alone, so it resumes."""
    return _Schedule(
        recipe.learning_rate, min(recipe.warmup_steps, total_steps // 5), total_steps, recipe.schedule, recipe.drops
    )


@keras.saving.register_keras_serializable("nasfpn_lite")
class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(
        self, peak: float, warmup_steps: int, total_steps: int, schedule: str, drops: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"peak": peak, "warmup_steps": warmup_steps, "total_steps": total_steps}
        self.config |= {"schedule": schedule, "drops": tuple(drops)}

    def __call__(self, step: Any) -> Any:
        ops, config = keras.ops, self.config
        step = ops.cast(step, "float32")
        warmup, total = float(config["warmup_steps"]), float(config["total_steps"])
        if config["schedule"] == "cosine":
            done = ops.clip((step - warmup) / max(1.0, total - warmup), 0.0, 1.0)
            factor = 0.5 * (1.0 + ops.cos(math.pi * done))
        else:
            factor = ops.ones_like(step)
            for drop in config["drops"]:
                factor = factor * ops.where(step >= drop * total, 0.1, 1.0)
        ramp = ops.clip(0.1 + 0.9 * step / max(1.0, warmup), 0.0, 1.0)
        return config["peak"] * ramp * factor

    def get_config(self) -> dict[str, Any]:
        return self.config


def make_losses(recipe: TrainingRecipe, outputs: Iterable[str] = (CLASS_OUTPUT, BOX_OUTPUT)) -> dict[str, Any]:
    """Returns the recipe's loss for each output; a class output's name ends as `CLASS_OUTPUT`."""
    box_loss = {"huber": BoxLoss, "giou": GIoULoss}[recipe.box_loss]
    return {name: FocalLoss() if name.endswith(CLASS_OUTPUT) else box_loss() for name in outputs}


def compile_detector(
    model: Any, recipe: TrainingRecipe, total_steps: int, loss_weights: dict[str, float] | None = None
) -> None:
    """Compiles a model of `build_detector` with the recipe's optimizer and losses.

    Args:
        model: Where the recipe accumulates, one of `accumulating`.
        loss_weights: Of each output's loss, as `exits.exit_loss_weights` gives for a model of every exit; None for a
            plain one.
    """
    options = {
        "learning_rate": make_learning_rate(recipe, total_steps),
        "weight_decay": recipe.weight_decay,
        "global_clipnorm": recipe.clip_norm,
        "use_ema": recipe.ema,
        "ema_momentum": recipe.ema_decay(total_steps),
        "ema_overwrite_frequency": None,
    }
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(**options)
    else:
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, **options)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    losses = make_losses(recipe, loss_weights) if loss_weights else make_losses(recipe)
    model.compile(optimizer=optimizer, loss=losses, loss_weights=loss_weights)
    optimizer.build(model.trainable_variables)  # within the first step it would take TensorFlow a quarter minute more


def make_regularization(recipe: TrainingRecipe, total_steps: int, seed: int) -> Regularization:
    """Returns what the recipe drops, for `build_detector`."""
    calls = total_steps * recipe.accumulate  # every part of a batch is one
    ramp_steps = calls if recipe.drop_block_ramp else 0
    return Regularization(
        drop_block=None if recipe.drop_block_keep == 1 else Dropping(recipe.drop_block_keep, ramp_steps, seed),
        drop_path=None if recipe.drop_path_keep == 1 else Dropping(recipe.drop_path_keep, seed=seed),
    )


def freeze(model: Any, stride: int) -> None:
    """Freezes all layers before the first whose output is coarser than a stride, batch norms included."""
    if stride < 1:
        return
    rows = model.input.shape[1] // stride
    for layer in model.layers:
        if layer.output.shape[1] < rows:
            return
        layer.trainable = False


def recompute_statistics(model: Any, images: Iterator[np.ndarray], batches: int) -> None:
    """Replaces every batch norm's moving statistics by their mean over some batches, for the weights as they are.

    A short training leaves moving averages that lag behind the weights, averaged weights even more. Nothing is dropped
    meanwhile: the network in use sees whole feature maps.

    Args:
        images: Batches as in training, (b, H, W, 3) float32.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    momenta = [layer.momentum for layer in norms]
    with nothing_dropped(model):
        for index in range(batches):
            for layer in norms:
                layer.momentum = index / (index + 1)  # makes the moving average a plain mean
            model(next(images), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
