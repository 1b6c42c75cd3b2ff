"""The trial of pruning: which weights go, and that padding by 1, 1 changes nothing but the padding."""

import keras
import numpy as np

from nasfpn_lite.benchmarks import try_pruning
from nasfpn_lite.benchmarks.try_pruning import build, prune
from nasfpn_lite.weights import set_arrays, to_arrays


def test_the_smallest_weights_go():
    kernel = np.array([[[[1.0, -4.0], [-2.0, 3.0]]]], np.float32)
    np.testing.assert_array_equal(prune(kernel, 0.5), [[[[0, -4], [0, 3]]]])
    np.testing.assert_array_equal(prune(kernel, 0.0), kernel)


def test_padding_on_all_sides_gives_the_same_result(monkeypatch):
    monkeypatch.setattr(try_pruning, "SIZE", 64)
    plain, padded = build("backbone"), build("backbone, padded 1 1")
    set_arrays(padded, to_arrays(plain))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(padded(image), plain(image), rtol=1e-4, atol=1e-6)
    assert {layer.padding for layer in padded.layers if isinstance(layer, keras.layers.ZeroPadding2D)} == {
        ((1, 1), (1, 1))
    }
