"""Gradient accumulation inside one training step: a batch in parts, one after another, then one update.

Optimizer, schedule, averages, clipping, log and checkpoint see whole batches, so no training can stop halfway through
one. Keras's own `gradient_accumulation_steps` differs from the whole batch in three ways: it takes the mean of losses
that are divided by unequal numbers of positives, gives the schedule the number of parts, and averages weights per part.
"""

from typing import Any

import keras

from nasfpn_lite.errors import UserError
from nasfpn_lite.losses import loss_divisor


def accumulating(model: Any, parts: int) -> Any:
    """Returns a model of the same layers that trains on each batch in parts; compile and fit that one.

    Its gradient and losses are those of the whole batch, up to rounding. Batch norms that train see one part at a time.

    Args:
        parts: A divisor of the batch size; 1 gives the model itself.
    """
    if parts == 1:
        return model
    options = {"inputs": model.input, "outputs": model.output, "name": model.name}
    kinds = {"tensorflow": _TensorFlowModel, "jax": _JaxModel}
    backend = keras.backend.backend()
    if backend not in kinds:
        raise UserError(f"gradients are accumulated on {' or '.join(kinds)}, not on {backend}")
    return kinds[backend](**options, parts=parts)


class _Model(keras.Model):
    def __init__(self, *, parts: int, **options: Any) -> None:
        super().__init__(**options)
        self.parts = parts

    def divide(self, batch: Any) -> Any:
        """Cuts arrays (b, ...) into (parts, b / parts, ...) and says what each part's losses count for.

        Part i has the images i, i + parts, ...: so each part has images of every device that the batch lies on.

        Returns:
            (images, targets, weights); weights (parts,): times these, the mean over the parts is the batch's loss.
        """
        images, targets, _ = keras.utils.unpack_x_y_sample_weight(batch)
        size = images.shape[0] or keras.ops.shape(images)[0]
        if isinstance(size, int) and size % self.parts:
            raise UserError(f"a batch of {size} images cannot be computed in {self.parts} equal parts")
        cut = keras.tree.map_structure(lambda x: _cut(x, self.parts, size), (images, targets))
        divisors = keras.ops.stack([loss_divisor({k: v[i] for k, v in cut[1].items()}) for i in range(self.parts)])
        return *cut, divisors * self.parts / loss_divisor(targets)


def _cut(x: Any, parts: int, size: Any) -> Any:
    return keras.ops.swapaxes(keras.ops.reshape(x, (size // parts, parts, *x.shape[1:])), 0, 1)


class _TensorFlowModel(_Model):
    def train_step(self, data: Any) -> dict[str, Any]:
        """Computes one batch in parts, and one update."""
        import tensorflow as tf

        images, targets, weights = self.divide(data)
        variables = self.trainable_variables

        def add_part(part: Any, loss: Any, sums: list[Any]) -> tuple[Any, Any, list[Any]]:
            part_targets = {key: value[part] for key, value in targets.items()}
            with tf.GradientTape() as tape:
                outputs = self(images[part], training=True)
                part_loss = self.compute_loss(images[part], part_targets, outputs, weights[part], training=True)
                scaled = self.optimizer.scale_loss(part_loss)
            values = [variable.value for variable in variables]
            gradients = tape.gradient(scaled, values, unconnected_gradients="zero")
            return (
                part + 1,
                loss + part_loss,
                [total + gradient for total, gradient in zip(sums, gradients, strict=True)],
            )

        zeros = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
        state = (tf.constant(0), tf.constant(0.0), zeros)
        # One part at a time: side by side they would need the memory that accumulation is to save.
        _, loss, sums = tf.while_loop(lambda part, *_: part < self.parts, add_part, state, parallel_iterations=1)
        gradients = [total / self.parts for total in sums]
        self.optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss / self.parts)
        return self.get_metrics_result()


class _JaxModel(_Model):
    def train_step(self, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        """Computes one batch in parts, and one update."""
        import jax

        trainable, others, optimizer, metrics = state
        gradient_of = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)

        def add_part(carried: Any, part: Any) -> tuple[Any, None]:
            others, metrics, loss, sums = carried
            (_, aux), gradients = gradient_of(
                trainable, others, metrics, *part, training=True, optimizer_variables=optimizer
            )
            part_loss, _, others, metrics = aux
            return (others, metrics, loss + part_loss, jax.tree.map(jax.numpy.add, sums, gradients)), None

        zeros = jax.tree.map(jax.numpy.zeros_like, trainable)
        start = (others, metrics, jax.numpy.zeros(()), zeros)
        (others, metrics, loss, sums), _ = jax.lax.scan(add_part, start, self.divide(data))
        gradients = [total / self.parts for total in sums]
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        logs, metrics = self._update_metrics_variables(metrics, loss / self.parts, data[0], data[1], None, None)
        return logs, (trainable, others, optimizer, metrics)
