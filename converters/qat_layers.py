"""Fake quantization with tensorflow-model-optimization. Only the process that trains a quantized network imports this.

Deliberate differences from its default 8-bit scheme, whose layout transforms are not used:
- Depthwise kernels get a range per channel, as TFLite's converter gives them; the default has one for the tensor.
- Kernel ranges follow the kernel itself; nothing is stored that could be stale.
- Activation ranges start as measured on photos instead of -6..6, and are trained by the gradient of the rounding
  instead of following the extremes of every batch, which waste the grid on rare values.
"""

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

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Makes no variables."""
        return {}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        """Returns the kernel on its grid: (h, w, in, out), or (h, w, channels, 1) of a depthwise convolution."""
        depthwise = inputs.shape[-1] == 1
        kernel = tf.squeeze(inputs, -1) if depthwise else inputs
        limit = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=list(range(len(kernel.shape) - 1))))
        limit = tf.maximum(limit, 1e-8)  # a dead channel has no range
        kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -limit, limit, num_bits=BITS, narrow_range=True
        )
        return tf.expand_dims(kernel, -1) if depthwise else kernel

    def get_config(self) -> dict[str, Any]:
        """Returns nothing: it has no options."""
        return {}


class RangeQuantizer(quantizers.Quantizer):
    """Asymmetric grid of one tensor, whose ends are trained with the weights."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Makes the two ends of the range."""
        return {
            end: layer.add_weight(f"{name}_{end}", initializer=tf_keras.initializers.Constant(value))
            for end, value in (("min", -6.0), ("max", 6.0))
        }

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        """Returns the tensor on its grid."""
        # A range must hold zero, which padding and ReLU need exactly.
        low, high = tf.minimum(weights["min"], 0.0), tf.maximum(weights["max"], 0.0)
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
        return [(getattr(layer, _kernel_name(layer)), KernelQuantizer())] if self.weights else []

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


def range_variables(model: Any) -> dict[str, tuple[Any, Any]]:
    """Returns layer name -> (min, max) variables of every learned range."""
    found = {}
    for layer in model.layers:
        ends = {v.name.split("/")[-1].split(":")[0]: v for v in layer.weights}
        if "output_min" in ends:
            found[layer.name.removeprefix(PREFIX)] = (ends["output_min"], ends["output_max"])
    return found


def read_ranges(model: Any) -> dict[str, tuple[float, float]]:
    """Returns layer name -> (min, max)."""
    return {name: (float(low.numpy()), float(high.numpy())) for name, (low, high) in range_variables(model).items()}


def write_ranges(model: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Sets every learned range."""
    for name, ends in range_variables(model).items():
        for variable, value in zip(ends, ranges[name], strict=True):
            variable.assign(value)


def _kernel_name(layer: Any) -> str:
    return "depthwise_kernel" if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else "kernel"
