"""Ranges of activations, measured on photos: the ends of each tensor's int8 grid."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nasfpn_lite.converters.qat_plan import GRID, SIGMOID_RANGE, LayerPlan
from nasfpn_lite.converters.selective import Mark
from nasfpn_lite.graph import rewire
from nasfpn_lite.head import BOX_OUTPUT, CLASS_OUTPUT

Ranges = dict[str, tuple[float, float]]

BITS = 8
# Network inputs: the grid of scale 2/255 and zero point -1, on which a pixel's int8 value is the pixel less 128.
INPUT_RANGE = (-127 / 127.5, 128 / 127.5)
_TIE = 1e-5  # a thousandth of a step
_BATCH = 4
_SEARCHED_IMAGES = 32  # for the share to keep; the extremes come from all images
# Shares of the extremes that a grid may span. Cutting rare large values off makes the steps of all others finer.
_SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def measure_ranges(
    model: Any,
    plan: Sequence[LayerPlan],
    images: Sequence[np.ndarray],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Ranges:
    """Measures the range of every output that has a grid of its own.

    Of the extremes over all images it keeps the share whose grid has the least squared error. On the same detector
    and photos, the bare extremes cost .009 to .010 AP, these ranges .000 to .004 (benchmarks/results/calibration.md).

    Args:
        model: A folded detector of Keras 3 on TensorFlow.
        plan: Of that model.
        images: Network inputs, (1, H, W, 3) float32 each.
        report: Takes how many passes of an image are done, and how many there are.

    Returns:
        Layer name -> (min, max), min <= 0 <= max.
    """
    probe, names = _tap(model, {layer.name for layer in plan if layer.output == "learned"})
    batches = [images[first : first + _BATCH] for first in range(0, len(images), _BATCH)]
    searched = batches[: max(1, _SEARCHED_IMAGES // _BATCH)]
    passes = np.cumsum([len(batch) for batch in (*batches, *searched)]).tolist()

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)], autograph=False)
    def probe_batch(batch: Any) -> Any:
        return probe(on_grid(batch), training=False)

    def run(batch: Sequence[np.ndarray]) -> Any:
        report(next(progress), passes[-1])
        return probe_batch(np.concatenate(batch))

    progress = iter([0, *passes])

    seen = np.stack([_extremes(run(batch)).numpy() for batch in batches])
    lowest, highest = np.minimum(seen[:, :, 0].min(axis=0), 0.0), np.maximum(seen[:, :, 1].max(axis=0), 0.0)
    highest = np.where(highest > lowest, highest, 1.0)  # zero on every photo: any grid holds zero

    def compare_shares(batch: Sequence[np.ndarray]) -> np.ndarray:
        outputs = run(batch)
        return np.stack([_half_errors(outputs, lowest * share, highest * share).numpy() for share in _SHARES], axis=1)

    shares = np.array(_SHARES)[np.sum([compare_shares(batch) for batch in searched], axis=0).argmin(axis=1)]
    ranges: Ranges = {}
    for name, low, high in zip(names, lowest * shares, highest * shares, strict=True):
        before = ranges.get(name, (0.0, 0.0))  # of a layer that several levels share
        ranges[name] = min(before[0], float(low)), max(before[1], float(high))
    return ranges


def on_grid(images: Any) -> Any:
    """Returns network inputs on the grid of an int8 file's input."""
    # Pixels lie halfway between two steps; they go up, as when a file's input is quantized.
    return tf.quantization.fake_quant_with_min_max_args(images + _TIE, *INPUT_RANGE, num_bits=BITS)


def put_on_grids(
    model: Any, plan: Sequence[LayerPlan], ranges: Mapping[str, tuple[float, float]], kept: Collection[str] = ()
) -> Any:
    """Returns a folded detector, its layers shared, that rounds its input and activations to their grids.

    TensorFlow's converter turns it into int8 without calibration images, with exactly these ranges; weights it puts on
    symmetric grids per output channel.

    Args:
        kept: Layers that are to be computed in float. What they hand to others is rounded, with a mark before the grid
            that `selective.remove_marks` takes out of the file; an output of theirs is not rounded.
    """
    return rewire(model, _Placing(plan, ranges, frozenset(kept)).call)


class _Placing:
    """Calls layers with grids behind them, and knows values before rounding where readers may have them."""

    def __init__(self, plan: Sequence[LayerPlan], ranges: Mapping[str, tuple[float, float]], kept: frozenset) -> None:
        ends = {layer.name: ranges[layer.name] for layer in plan if layer.output == "learned"}
        ends |= {layer.name: SIGMOID_RANGE for layer in plan if layer.output == "fixed"}
        self.grids = {name: OnGrid(*end, name=f"{name}{GRID}") for name, end in ends.items()}
        self.moving = {layer.name for layer in plan if layer.output == "source"}
        self.first = plan[0].name  # the one layer that every backbone's image goes through
        self.marks = {name: Mark(name=f"{name}_mark") for name in kept}
        self.exact: dict[int, Any] = {}
        self.alive: list[Any] = []  # an id belongs to one tensor only as long as that tensor lives

    def call(self, layer: Any, x: Any, **kwargs: Any) -> Any:
        if layer.name == self.first:
            x = OnGrid(*INPUT_RANGE, name=f"image{GRID}")(x)
        if layer.name in self.marks:
            return self.keep(layer, layer(self.before_rounding(x), **kwargs))
        output = layer(x, **kwargs)
        if layer.name in self.moving:
            exact = self.before_rounding(x)
            return output if exact is x else self.remember(output, layer(exact, **kwargs))
        return self.grids[layer.name](output) if layer.name in self.grids else output

    def keep(self, layer: Any, exact: Any) -> Any:
        if layer.name in (BOX_OUTPUT, CLASS_OUTPUT):
            return exact
        marked = self.marks[layer.name](exact)
        return self.remember(self.grids[layer.name](marked) if layer.name in self.grids else marked, exact)

    def before_rounding(self, x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return [self.exact.get(id(tensor), tensor) for tensor in x]
        return self.exact.get(id(x), x)

    def remember(self, rounded: Any, exact: Any) -> Any:
        self.exact[id(rounded)] = exact
        self.alive.append(rounded)
        return rounded


def _tap(model: Any, names: set[str]) -> tuple[Any, list[str]]:
    """Returns a model of the same layers that gives every output of the named layers, and the name of each output."""
    outputs: list[tuple[str, Any]] = []

    def call(layer: Any, x: Any, **kwargs: Any) -> Any:
        output = layer(x, **kwargs)
        if layer.name in names:
            outputs.append((layer.name, output))
        return output

    copy = rewire(model, call)
    return keras.Model(copy.input, [output for _, output in outputs]), [name for name, _ in outputs]


# Graphs apart from the network's, and of bare operators: hundreds of outputs take longer to trace than to reduce.
@tf.function(reduce_retracing=True, autograph=False)
def _extremes(outputs: Any) -> Any:
    """Returns the smallest and the largest value of each output, (outputs, 2)."""
    axes = {rank: list(range(rank)) for rank in {x.shape.rank for x in outputs}}
    ends = [[end(input=x, axis=axes[x.shape.rank]) for x in outputs] for end in (tf.raw_ops.Min, tf.raw_ops.Max)]
    return tf.stack([tf.stack(end) for end in ends], axis=1)


@tf.function(reduce_retracing=True, autograph=False)
def _half_errors(outputs: Any, low: Any, high: Any) -> Any:
    """Returns half the squared error that each output's rounding to its grid makes, (outputs,)."""
    raw, ends = tf.raw_ops, zip(outputs, tf.unstack(low), tf.unstack(high), strict=True)
    rounded = [raw.FakeQuantWithMinMaxVars(inputs=x, min=low, max=high, num_bits=BITS) for x, low, high in ends]
    return tf.stack([raw.L2Loss(t=raw.Sub(x=x, y=y)) for x, y in zip(outputs, rounded, strict=True)])


def _snap(x: Any, low: Any, high: Any) -> Any:
    return tf.quantization.fake_quant_with_min_max_vars(x, low, high, num_bits=BITS)


class OnGrid(keras.layers.Layer):
    """Rounds to the 8-bit grid between two ends."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def call(self, x: Any) -> Any:
        """Returns values on the grid; what lies beyond an end goes to it."""
        return _snap(x, self.low, self.high)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape; without this Keras would trace the call to learn it."""
        return input_shape
