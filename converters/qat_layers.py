"""Fake quantization with tensorflow-model-optimization. Only the process that trains a quantized network imports this.

Deliberate differences from its default 8-bit scheme, whose layout transforms are not used:
- Depthwise kernels get a range per channel, as TFLite's converter gives them; the default has one for the tensor.
- Kernel ranges follow the kernel itself; nothing is stored that could be stale.
- Activation ranges are measured on photos instead of starting at -6..6, and one factor on each is trained by the
  gradient of the rounding; following the extremes of every batch would waste the grid on rare values.
"""

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import quantize as tfmot_quantize
from tensorflow_model_optimization.python.core.quantization.keras import quantize_config, quantize_scheme, quantizers

from nasfpn_lite.converters.qat_plan import SIGMOID_RANGE, LayerPlan
from nasfpn_lite.converters.ranges import BITS
from nasfpn_lite.detector import build_detector
from nasfpn_lite.specs import DetectorSpec

PREFIX = "quant_"


class KernelQuantizer(quantizers.Quantizer):
    """Symmetric grid per output channel, spanned by the largest weight of each channel."""

    def __init__(self, depthwise: bool) -> None:
        self.depthwise = depthwise

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Makes no variables."""
        return {}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        """Returns the kernel on its grid: (h, w, in, out), or (h, w, channels, 1) of a depthwise convolution."""
        kernel = tf.squeeze(inputs, -1) if self.depthwise else inputs
        limit = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=list(range(len(kernel.shape) - 1))))
        limit = tf.maximum(limit, 1e-8)  # a dead channel has no range
        kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -limit, limit, num_bits=BITS, narrow_range=True
        )
        return tf.expand_dims(kernel, -1) if self.depthwise else kernel

    def get_config(self) -> dict[str, Any]:
        """Returns its option."""
        return {"depthwise": self.depthwise}


class RangeQuantizer(quantizers.Quantizer):
    """Asymmetric grid of one tensor, as measured; one factor on both ends is trained with the weights.

    The factor is exp of a weight that starts at zero: steps are relative to the range, and none can close it.
    """

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Makes the two ends and the factor's logarithm."""
        constant = tf_keras.initializers.Constant
        return {
            "min": layer.add_weight(f"{name}_min", initializer=constant(-6.0), trainable=False),
            "max": layer.add_weight(f"{name}_max", initializer=constant(6.0), trainable=False),
            "stretch": layer.add_weight(f"{name}_stretch", initializer=constant(0.0)),
        }

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        """Returns the tensor on its grid."""
        factor = tf.exp(weights["stretch"])
        low, high = weights["min"] * factor, weights["max"] * factor
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, num_bits=BITS)

    def get_config(self) -> dict[str, Any]:
        """Returns nothing: it has no options."""
        return {}


class FixedQuantizer(quantizers.Quantizer):
    """The grid that TFLite's LOGISTIC demands."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Makes no variables."""
        return {}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        """Returns the tensor on its grid."""
        return tf.quantization.fake_quant_with_min_max_args(inputs, *SIGMOID_RANGE, num_bits=BITS)

    def get_config(self) -> dict[str, Any]:
        """Returns nothing: it has no options."""
        return {}


class PlannedConfig(quantize_config.QuantizeConfig):
    """Carries out a `LayerPlan`."""

    def __init__(self, weights: bool, output: str) -> None:
        self.weights, self.output = weights, output

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """Names the kernel."""
        if not self.weights:
            return []
        name = _kernel_name(layer)
        return [(getattr(layer, name), KernelQuantizer(depthwise=name == "depthwise_kernel"))]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Makes the layer compute with the kernel on its grid."""
        for kernel in quantize_weights:
            setattr(layer, _kernel_name(layer), kernel)

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """Names none: activations are layers of their own."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Has nothing to set."""
        del quantize_activations

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Names the output's quantizer."""
        return {"learned": [RangeQuantizer()], "fixed": [FixedQuantizer()]}.get(self.output, [])

    def get_config(self) -> dict[str, Any]:
        """Returns the two decisions."""
        return {"weights": self.weights, "output": self.output}


class _AsPlanned(quantize_scheme.QuantizeScheme):
    """Leaves the graph as it is: the builder has made the one that is to be quantized."""

    def get_layout_transformer(self) -> Any:
        return self

    def apply(self, model: Any, layer_quantize_map: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return model, layer_quantize_map

    def get_quantize_registry(self) -> Any:
        return self

    def supports(self, layer: Any) -> bool:
        return False


_CUSTOM = {cls.__name__: cls for cls in (KernelQuantizer, RangeQuantizer, FixedQuantizer, PlannedConfig)}


def build_twin(spec: DetectorSpec) -> Any:
    """Builds the folded detector in tf_keras, by the builder that Keras 3 uses."""
    return build_detector(spec, keras=tf_keras, folded=True)


def quantize_twin(twin: Any, plan: tuple[LayerPlan, ...]) -> Any:
    """Returns a copy of the twin that computes as an int8 file will; its layers are named PREFIX + name."""
    by_name = {layer.name: layer for layer in plan}

    def annotate(layer: Any) -> Any:
        entry = by_name[layer.name]
        return tfmot_quantize.quantize_annotate_layer(layer, PlannedConfig(entry.weights, entry.output))

    with tf_keras.utils.custom_object_scope(_CUSTOM), tfmot_quantize.quantize_scope():
        annotated = tf_keras.models.clone_model(twin, clone_function=annotate)
        annotated.set_weights(twin.get_weights())
        return tfmot_quantize.quantize_apply(annotated, scheme=_AsPlanned(), quantized_layer_name_prefix=PREFIX)


def read_ranges(model: Any) -> dict[str, tuple[float, float]]:
    """Returns layer name -> (min, max) of every learned range."""
    ranges = {}
    for name, variables in _range_variables(model).items():
        low, high, stretch = (float(variable.numpy()) for variable in variables)
        ranges[name] = (low * math.exp(stretch), high * math.exp(stretch))
    return ranges


def write_ranges(model: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Sets every learned range."""
    for name, variables in _range_variables(model).items():
        for variable, value in zip(variables, (*ranges[name], 0.0), strict=True):
            variable.assign(value)


def _range_variables(model: Any) -> dict[str, tuple[Any, Any, Any]]:
    found = {}
    for layer in model.layers:
        weights = {v.name.split("/")[-1].split(":")[0]: v for v in layer.weights}
        if "output_stretch" in weights:
            variables = (weights["output_min"], weights["output_max"], weights["output_stretch"])
            found[layer.name.removeprefix(PREFIX)] = variables
    return found


def _kernel_name(layer: Any) -> str:
    return "depthwise_kernel" if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else "kernel"
