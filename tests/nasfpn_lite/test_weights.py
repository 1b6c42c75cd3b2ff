from pathlib import Path

import keras
import numpy as np
import pytest

from nasfpn_lite.errors import UserError
from nasfpn_lite.weights import load_arrays, load_weights, save_weights, to_arrays, variable_name


def small_model(width: int = 4) -> keras.Model:
    image = keras.Input((6, 8, 3))
    x = keras.layers.DepthwiseConv2D(3, name="depthwise", use_bias=False)(image)
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(width, 1, name="conv")(x))
    return keras.Model(image, x)


def test_round_trip(tmp_path: Path) -> None:
    first, second = small_model(), small_model()
    save_weights(first, tmp_path / "w.npz")
    load_weights(second, tmp_path / "w.npz")
    image = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(first.predict_on_batch(image), second.predict_on_batch(image))


def test_names() -> None:
    assert sorted(to_arrays(small_model())) == [
        *("bn/beta", "bn/gamma", "bn/moving_mean", "bn/moving_variance"),
        *("conv/bias", "conv/kernel", "depthwise/kernel"),
    ]


def test_another_model_is_refused_and_left_alone(tmp_path: Path) -> None:
    save_weights(small_model(4), tmp_path / "w.npz")
    other = small_model(5)
    before = to_arrays(other)
    with pytest.raises(UserError, match="of another shape"):
        load_weights(other, tmp_path / "w.npz")
    for key, array in to_arrays(other).items():
        np.testing.assert_array_equal(array, before[key])


class Variable:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kernel", "kernel"),
        ("block_1_depthwise/depthwise_kernel:0", "kernel"),
        ("bn_Conv1/moving_mean:0", "moving_mean"),
    ],
)
def test_variable_names_of_both_implementations(name: str, expected: str) -> None:
    assert variable_name(Variable(name)) == expected


def test_a_single_array_and_broken_compression_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(UserError, match="w.npz is damaged or no .npz file: it holds a single array"):
        load_arrays(path)
    np.savez_compressed(path, **{"conv/kernel": np.arange(1000)})
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    data[120] ^= 255
    path.write_bytes(data)
    with pytest.raises(UserError, match="w.npz is damaged"):
        load_arrays(path)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short"])
def test_missing_and_damaged_files(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "w.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="no such file" if content is None else "damaged"):
        load_weights(small_model(), path)
