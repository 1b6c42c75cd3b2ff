"""Weights of keras.applications.ResNet50 and 101, rewritten for the network in `resnet`.

Exact, up to rounding:
- Their convolutions have biases. A batch norm follows each, whose moving mean takes the bias over.
- Their batch norms have another epsilon. Gamma makes up for it, at the moving statistics that inference uses.
- They are made for BGR pixels less the ImageNet mean; ours for RGB as pixel / 127.5 - 1. The first convolution is
  rewritten, but for the outermost pixels: zero padding means grey here, the mean colour there.

Not exact: they have the stride of a block on its first 1x1 convolution, which then sees one pixel of four; ours on the
3x3. C2 is theirs; from C3 on, features differ until a fine-tuning has made up for it.
"""

import numpy as np

from nasfpn_lite.backbones.resnet import BN_EPSILON

KERAS_BN_EPSILON = 1.001e-5
MEAN_BGR = (103.939, 116.779, 123.68)
_HALF_RANGE = 127.5  # pixel = 127.5 * ours + 127.5

Weights = dict[str, dict[str, np.ndarray]]  # layer -> variable -> array


def convert_keras_resnet(weights: Weights) -> Weights:
    """Returns the weights for our layers of the same names, in float32; a classifier's are left out.

    Args:
        weights: Of keras.applications, "conv1_conv" with a bias and so on.
    """
    converted: Weights = {}
    for name, variables in weights.items():
        if not name.endswith("_conv"):
            continue
        norm_name = f"{name.removesuffix('_conv')}_bn"
        kernel, bias = (variables[key].astype(np.float64) for key in ("kernel", "bias"))
        if name == "conv1_conv":
            offset = _HALF_RANGE - np.array(MEAN_BGR)  # theirs = 127.5 * ours + offset
            bias = bias + np.einsum("yxio,i->o", kernel, offset)
            kernel = _HALF_RANGE * kernel[:, :, ::-1]
        norm = {key: array.astype(np.float64) for key, array in weights[norm_name].items()}
        variance = norm["moving_variance"]
        norm["moving_mean"] = norm["moving_mean"] - bias
        norm["gamma"] = norm["gamma"] * np.sqrt((variance + BN_EPSILON) / (variance + KERAS_BN_EPSILON))
        converted[name] = {"kernel": kernel.astype(np.float32)}
        converted[norm_name] = {key: array.astype(np.float32) for key, array in norm.items()}
    return converted
