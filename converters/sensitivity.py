"""How much of an int8 file's error each stage makes: one network with every stage's grids on a switch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nasfpn_lite.converters.float_stages import group_stages, stage_of
from nasfpn_lite.converters.qat_plan import GRID, SIGMOID_RANGE, LayerPlan
from nasfpn_lite.converters.ranges import OnGrid, Ranges, on_grid
from nasfpn_lite.cost import multiply_adds
from nasfpn_lite.graph import trace
from nasfpn_lite.head import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.weights import set_arrays, to_arrays

_LARGEST = 127  # of an int8 weight


@dataclass(frozen=True)
class Sensitivity:
    """What is known of a stage before anything is converted.

    Attributes:
        error_share: 0..1, of the sum over all stages of the error that each makes when it alone is in int8. The error
            is the mean, over boxes and class logits, of squared error by variance.
        multiply_adds: Of its convolutions.
    """

    stage: str
    error_share: float
    multiply_adds: int


def measure_sensitivity(
    model: Any, plan: Sequence[LayerPlan], ranges: Ranges, images: Sequence[np.ndarray]
) -> list[Sensitivity]:
    """Measures every stage of a folded detector; the one whose int8 does most harm comes first.

    The other way round, one stage in float and all others in int8, says less: what a stage loses drowns in what was
    lost before it. Its order of stages left two to three times the error (benchmarks/results/selective.md).

    Args:
        images: Network inputs, (1, H, W, 3) float32 each.
    """
    network = SwitchableNetwork(model, plan, ranges)
    batch = np.concatenate(images)
    network.keep(network.stages)
    exact = network.outputs(batch)
    errors = {}
    for stage in network.stages:
        network.keep([other for other in network.stages if other != stage])
        errors[stage] = relative_error(network.outputs(batch), exact)
    whole, costs = sum(errors.values()) or 1.0, _multiply_adds(model, plan)
    found = [Sensitivity(stage, error / whole, costs.get(stage, 0)) for stage, error in errors.items()]
    return sorted(found, key=lambda entry: -entry.error_share)


def relative_error(outputs: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray]) -> float:
    """Returns the mean over outputs of the squared error by the variance; 0.0 for outputs that are the same."""
    shares = [np.square(outputs[name] - value).mean() / max(value.var(), 1e-12) for name, value in exact.items()]
    return float(np.mean(shares))


class SwitchableNetwork:
    """A folded detector that computes as an int8 file would, but for stages that are kept in float."""

    def __init__(self, model: Any, plan: Sequence[LayerPlan], ranges: Ranges) -> None:
        self.stages = tuple(group_stages(plan))
        self._switches = {stage: tf.Variable(0.0, trainable=False) for stage in self.stages}
        placing = _Placing(plan, ranges, self._switches)
        self._network = keras.models.clone_model(model, call_function=placing.call)
        set_arrays(self._network, to_arrays(model))
        self._kernels = {
            layer.name: (self._network.get_layer(layer.name), *_both_kernels(model.get_layer(layer.name)))
            for layer in plan
            if layer.weights
        }
        self._run = tf.function(lambda images: self._network(on_grid(images), training=False))
        self._kept: set[str] | None = None

    def keep(self, stages: Sequence[str]) -> None:
        """Computes these stages in float from now on, all others in int8."""
        before, kept = self._kept, set(stages)
        for stage, switch in self._switches.items():
            switch.assign(float(stage in kept))
        for name, (layer, exact, rounded) in self._kernels.items():
            stage = stage_of(name)
            if before is None or (stage in before) != (stage in kept):
                layer.kernel.assign(exact if stage in kept else rounded)
        self._kept = kept

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Returns output name -> (n, ...) for network inputs (n, H, W, 3) float32."""
        return {name: value.numpy() for name, value in self._run(tf.constant(images)).items()}


class _Placing:
    """Puts a switched grid on every value that one stage hands to another, or to its own next layer."""

    def __init__(self, plan: Sequence[LayerPlan], ranges: Ranges, switches: dict[str, Any]) -> None:
        learned = [layer.name for layer in plan if layer.output == "learned"]
        self.grids = {name: OnGrid(*ranges[name], name=f"{name}{GRID}") for name in learned}
        fixed = [layer.name for layer in plan if layer.output == "fixed"]
        self.fixed = {name: OnGrid(*SIGMOID_RANGE, name=f"{name}{GRID}") for name in fixed}
        self.moving = {layer.name for layer in plan if layer.output == "source"}
        self.switches = switches
        self.exact: dict[int, tuple[Any, str]] = {}  # id of a rounded value -> before rounding, stage
        self.alive: list[Any] = []  # an id belongs to one tensor only as long as that tensor lives

    def call(self, layer: Any, x: Any, **kwargs: Any) -> Any:
        if layer.name in self.moving:
            output = layer(x, **kwargs)
            if id(x) in self.exact:
                exact, stage = self.exact[id(x)]
                self.remember(output, layer(exact, **kwargs), stage)
            return output
        if layer.name in self.fixed:
            return self.fixed[layer.name](layer(x, **kwargs))
        stage = stage_of(layer.name)
        chosen = [self.choose(t, stage) for t in x] if isinstance(x, (list, tuple)) else self.choose(x, stage)
        output = layer(chosen, **kwargs)
        if layer.name not in self.grids:
            return output
        rounded = self.grids[layer.name](output)
        self.remember(rounded, output, stage)
        return self.choose(rounded, stage) if layer.name in (BOX_OUTPUT, CLASS_OUTPUT) else rounded

    def choose(self, x: Any, reader: str) -> Any:
        """Returns the value before rounding where its stage and its reader's are both kept."""
        if id(x) not in self.exact:
            return x
        exact, maker = self.exact[id(x)]
        return _Choose(self.switches[maker], self.switches[reader])([exact, x])

    def remember(self, rounded: Any, exact: Any, stage: str) -> None:
        self.exact[id(rounded)] = exact, stage
        self.alive.append(rounded)


class _Choose(keras.layers.Layer):
    def __init__(self, first: Any, second: Any) -> None:
        super().__init__()
        self._switches = (first, second)

    def call(self, pair: Any) -> Any:
        exact, rounded = pair
        return tf.where(self._switches[0] * self._switches[1] > 0, exact, rounded)


def _both_kernels(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns a kernel as it is, and on the symmetric grid per output channel that the converter gives it."""
    kernel = np.array(layer.kernel)
    axes = (0, 1, 3) if isinstance(layer, keras.layers.DepthwiseConv2D) else (0, 1, 2)
    step = np.abs(kernel).max(axis=axes, keepdims=True) / _LARGEST
    step = np.where(step > 0, step, 1.0)
    return kernel, (np.rint(kernel / step) * step).astype(np.float32)


def _multiply_adds(model: Any, plan: Sequence[LayerPlan]) -> dict[str, int]:
    weighted, costs = {layer.name for layer in plan if layer.weights}, dict[str, int]()
    for call in trace(model):
        if call.name in weighted:
            costs[stage_of(call.name)] = costs.get(stage_of(call.name), 0) + multiply_adds(call)
    return costs
