"""ImageNet weights for a backbone: the shipped file, a file of the user's, or Keras's own download.

A weight file is a .npz of arrays named "layer/variable", where variable is kernel, gamma, beta, moving_mean or
moving_variance (depthwise kernels too are "kernel", (3, 3, channels, 1), as Keras 3 names them), made for images of
pixel / 127.5 - 1, or a .h5 or .weights.h5 of keras.applications: MobileNetV2 1.0, ResNet50 or ResNet101. ResNets are
rewritten as `keras_resnet` tells, which also tells what cannot be.

The shipped file is torchvision's MobileNetV2 (IMAGENET1K_V1, 71.9 % top-1, BSD-3-Clause: its notice lies beside it),
with kernels in float16 and batch norms in float32. It needs symmetric padding. Its first layer is rewritten for our
images, so that features are torchvision's, except near the top and left border, where zero padding means grey here and
ImageNet's mean colour there.
`nasfpn_lite.benchmarks.make_backbone_weights` made it.
"""

import hashlib
from pathlib import Path
from typing import Any

import keras

from nasfpn_lite.backbones.keras_resnet import Weights, convert_keras_resnet
from nasfpn_lite.errors import UserError
from nasfpn_lite.specs import BackboneName
from nasfpn_lite.weights import load_arrays, variable_name

SHIPPED = Path(__file__).with_name("mobilenet_v2_imagenet.npz")
SHIPPED_SHA256 = "33e64c176575113b3c5684b04576260066f9fa22d91b78a0f8a7bc9bb21f0373"

# A detector may have another width here, or no such layer; then these start anew.
_LAYERS_THAT_MAY_DIFFER = ("Conv_1", "Conv_1_bn")

_APPLICATIONS: dict[BackboneName, str] = {
    "mobilenet_v2": "MobileNetV2",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
}


class BackboneWeightsError(UserError):
    """Backbone weights that cannot be read or do not fit."""


def load_pretrained(model: Any, *, path: Path | None = None, backbone: BackboneName = "mobilenet_v2") -> list[str]:
    """Sets the layers of a model that have the names of layers in a weight file; others stay as they are.

    Args:
        model: A Keras model, a whole detector included.
        path: A .npz, .h5 or .weights.h5 file; None for the shipped MobileNetV2.
        backbone: The model's; it tells how a file of Keras is read.

    Returns:
        The names of the layers that were set, in the model's order.

    Raises:
        BackboneWeightsError: The file is missing, broken or altered, no layer of it is in the model, or a layer
            differs in shape or variables. Then no layer was set.
    """
    weights = _read_shipped() if path is None else _read_file(path, backbone)
    return _set_layers(model, weights, source=str(path or SHIPPED.name))


def load_keras_download(model: Any, *, backbone: BackboneName = "mobilenet_v2") -> list[str]:
    """Does the same with the ImageNet weights of this backbone that Keras downloads, or finds in its cache.

    Raises:
        BackboneWeightsError: No network and no cached file, or the model has another backbone.
    """
    network = _name_application(backbone)
    try:
        source = getattr(keras.applications, network)(weights="imagenet", include_top=False)
    except Exception as error:  # what Keras raises here when a download fails is a bare Exception
        raise BackboneWeightsError(
            f"Keras could not download its {network} weights ({error}). Fetch the file elsewhere and give it with "
            "--backbone-weights PATH; MobileNetV2 weights are also in the package."
        ) from error
    return _set_layers(model, _weights_of(source), source=f"keras.applications.{network}")


def _name_application(backbone: BackboneName) -> str:
    if backbone not in _APPLICATIONS:
        raise BackboneWeightsError(
            f"Keras has no weights for {backbone}, only for {', '.join(_APPLICATIONS)}; give a .npz, or --no-pretrained"
        )
    return _APPLICATIONS[backbone]


def _set_layers(model: Any, weights: Weights, *, source: str) -> list[str]:
    layers = [layer for layer in model.layers if layer.weights and layer.name in weights]
    changes, loaded = [], []
    for layer in layers:
        arrays = weights[layer.name]
        expected = {variable_name(variable): tuple(variable.shape) for variable in layer.weights}
        received = {name: array.shape for name, array in arrays.items()}
        if expected != received:
            if layer.name in _LAYERS_THAT_MAY_DIFFER:
                continue
            raise BackboneWeightsError(
                f"{source}: layer {layer.name} has {received}, the model needs {expected}. "
                "These weights belong to another network; give those of the model's own backbone."
            )
        changes += [(variable, arrays[variable_name(variable)]) for variable in layer.weights]
        loaded.append(layer.name)
    if not loaded:
        ours = [layer.name for layer in model.layers if layer.weights][:3]
        raise BackboneWeightsError(
            f"{source}: none of its {len(weights)} layers ({', '.join(list(weights)[:3])}, ...) is in the model "
            f"({', '.join(ours)}, ...). Give weights of the model's own backbone."
        )
    for variable, array in changes:
        variable.assign(array.astype("float32"))
    return loaded


def _weights_of(application: Any) -> Weights:
    """Returns the weights of a network of keras.applications as our own network of its kind has them."""
    weights = {
        layer.name: {variable_name(variable): keras.ops.convert_to_numpy(variable) for variable in layer.weights}
        for layer in application.layers
        if layer.weights
    }
    return convert_keras_resnet(weights) if "conv5_block3_3_conv" in weights else weights


def _read_shipped() -> Weights:
    if not SHIPPED.is_file():
        raise BackboneWeightsError(f"{SHIPPED} is missing from this installation; install nasfpn-lite anew.")
    digest = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    if digest != SHIPPED_SHA256:
        raise BackboneWeightsError(
            f"{SHIPPED} was altered: expected sha256 {SHIPPED_SHA256}, got {digest}; install nasfpn-lite anew."
        )
    return _read_npz(SHIPPED)


def _read_file(path: Path, backbone: BackboneName) -> Weights:
    if not path.is_file():
        raise BackboneWeightsError(f"backbone weights {path}: no such file")
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".h5":
        return _read_keras_h5(path, _name_application(backbone))
    raise BackboneWeightsError(f"backbone weights {path}: expected a .npz, .h5 or .weights.h5 file")


def _read_npz(path: Path) -> Weights:
    try:
        arrays = load_arrays(path)
    except UserError as error:
        raise BackboneWeightsError(f"backbone weights: {error}") from error
    weights: Weights = {}
    for key, array in arrays.items():
        layer, separator, variable = key.rpartition("/")
        if not separator:
            raise BackboneWeightsError(f'{path}: expected arrays named "layer/variable", got {key!r}')
        weights.setdefault(layer, {})[variable] = array
    return weights


def _read_keras_h5(path: Path, network: str) -> Weights:
    """Reads both h5 formats of Keras, by the order of layers: released files have layer names of their own time."""
    problem: Exception | None = None
    for include_top, shape in ((False, (None, None, 3)), (True, (224, 224, 3))):
        model = getattr(keras.applications, network)(input_shape=shape, include_top=include_top, weights=None)
        try:
            model.load_weights(path)
        except (ValueError, OSError, KeyError) as error:
            problem = problem or error
        else:
            return _weights_of(model)
    alpha = " with alpha 1.0" if network == "MobileNetV2" else ""
    raise BackboneWeightsError(
        f"{path}: expected weights of keras.applications.{network}{alpha}: {problem}"
    ) from problem
