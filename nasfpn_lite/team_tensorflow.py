"""Teams on TensorFlow: tf.distribute over the devices of one process.

Keras's own training step is not that of the whole batch: it divides each device's losses by that device's positives,
and bounds the norm of each device's gradient, before they are summed.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from nasfpn_lite.losses import loss_divisor
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.team import Team, TeamError, TeamOptions, check_devices


def assemble_tensorflow(options: TeamOptions) -> Team:
    """As `team.assemble`, on TensorFlow: its GPUs, or without any its CPUs."""
    seen = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [device.name for device in seen]
    devices = check_devices(options.devices, names)
    return Team() if devices == 1 else MirroredTeam(names[:devices])


class MirroredTeam(Team):
    """Some devices of this process."""

    def __init__(self, names: list[str]) -> None:
        self.devices = len(names)
        self._strategy = tf.distribute.MirroredStrategy(names)

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the strategy's scope."""
        return self._strategy.scope()

    def prepare(self, model: Any) -> Any:
        """Returns a model of the same layers whose training step is that of the whole batch."""
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
        return _MirroredModel(inputs=model.input, outputs=model.output, name=model.name)

    def feed(self, batches: Callable[[], Iterator[Any]]) -> Any:
        """Returns a dataset that begins anew whenever it is read.

        Keras reads ahead in it before the training starts, and of an iterator would lose what it has read.
        """
        first = next(batches())
        signature = keras.tree.map_structure(lambda array: tf.TensorSpec(array.shape, array.dtype), first)
        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(tf.data.AUTOTUNE)

    def check_batch(self, recipe: TrainingRecipe) -> None:
        """Refuses a batch that the devices cannot share equally, and what they would compute otherwise than one."""
        super().check_batch(recipe)
        for used, what in (
            # Every device would draw the same noise for images of its own.
            (recipe.drop_block_keep < 1, "DropBlock"),
            (recipe.drop_path_keep < 1, "stochastic depth"),
        ):
            if used:
                raise TeamError(
                    f"several devices train with {what} on JAX only; set KERAS_BACKEND=jax, or train without"
                )
        if recipe.accumulate > 1:
            # Devices cannot exchange anything inside TensorFlow's loops: no counts, no batch norms' means.
            raise TeamError(
                "several devices compute a batch in parts on JAX only; set KERAS_BACKEND=jax, or leave --accumulate out"
            )


class _MirroredModel(keras.Model):
    def train_step(self, data: Any) -> dict[str, Any]:
        """Computes this device's part of a batch, and the update of the whole batch."""
        images, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        context = tf.distribute.get_replica_context()
        replicas, variables = context.num_replicas_in_sync, self.trainable_variables
        divisor = loss_divisor(targets)
        weight = divisor / (context.all_reduce("sum", divisor - 1.0) + 1.0)
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            loss = self.compute_loss(images, targets, outputs, weight, training=True)
        values = [variable.value for variable in variables]
        gradients = context.all_reduce("sum", tape.gradient(loss, values, unconnected_gradients="zero"))
        if self.optimizer.global_clipnorm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self.optimizer.global_clipnorm)
        # The optimizer sums over the devices once more; what it clips before is within the bound already.
        self.optimizer.apply_gradients([(g / replicas, v) for g, v in zip(gradients, variables, strict=True)])
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss * replicas)
        return self.get_metrics_result()
