"""Folded networks compute what the unfolded ones do."""

import dataclasses

import numpy as np
import pytest

from nasfpn_lite.detector import build_detector
from nasfpn_lite.folding import fold, folded_detector, unshare
from nasfpn_lite.specs import BackboneSpec
from nasfpn_lite.variants import get_spec
from nasfpn_lite.weights import set_arrays, to_arrays

R10 = "resnet10"


def small_spec(variant: str):
    if variant == R10:
        spec = get_spec("fpnlite_64", size="64x128", num_classes=3)
        return dataclasses.replace(spec, backbone=BackboneSpec(R10), neck=dataclasses.replace(spec.neck, repeats=2))
    spec = get_spec(variant, size="64x128", num_classes=3)
    neck = dataclasses.replace(spec.neck, repeats=1) if spec.neck.kind == "nasfpn" else spec.neck
    return dataclasses.replace(spec, neck=neck)


def shaken_weights(model) -> dict[str, np.ndarray]:
    """Weights with batch norms that do something."""
    rng = np.random.default_rng(0)
    arrays = to_arrays(model)
    for key, array in arrays.items():
        if key.endswith(("gamma", "beta", "moving_mean")):
            array += rng.normal(0, 0.1, array.shape)
        elif key.endswith("moving_variance"):
            array *= rng.uniform(0.5, 2, array.shape)
    return arrays


@pytest.mark.parametrize("variant", ["nasfpnlite_3x48", "fpnlite_64", "ssdlite", R10])
def test_folding_changes_no_output(variant):
    spec = small_spec(variant)
    model = build_detector(spec)
    arrays = shaken_weights(model)
    set_arrays(model, arrays)
    folded_spec, folded = folded_detector(spec, arrays)
    network = build_detector(folded_spec, folded=True)
    set_arrays(network, folded)
    assert not any(type(layer).__name__ == "BatchNormalization" for layer in network.layers)
    image = np.random.default_rng(1).uniform(-1, 1, (2, 64, 128, 3)).astype(np.float32)
    expected, got = model(image, training=False), network(image, training=False)
    for name in expected:
        np.testing.assert_allclose(np.array(got[name]), np.array(expected[name]), rtol=0, atol=1e-5)

    key = next(key for key in folded if key.endswith("bias"))
    set_arrays(network, folded | {key: folded[key] + 1e-2})  # an error that the tolerance does not let through
    wrong = network(image, training=False)
    assert max(np.abs(np.array(wrong[n]) - np.array(expected[n])).max() for n in expected) > 1e-5


def test_shared_towers_cannot_be_folded_as_they_are():
    with pytest.raises(ValueError, match="unshare"):
        build_detector(small_spec("fpnlite_64"), folded=True)


def test_unsharing_copies_towers_and_nothing_else():
    spec = small_spec("fpnlite_64")
    arrays = {
        "head_box1_depthwise/kernel": np.ones((3, 3, 2, 1)),
        "head_box1_P3_bn/gamma": np.zeros(2),
        "head_box_predictor_pointwise/kernel": np.full(1, 7.0),
        "Conv1/kernel": np.full(1, 5.0),
    }
    unshared, copied = unshare(spec, arrays)
    assert not unshared.head.shared_towers
    levels = [f"head_box1_P{level}_depthwise/kernel" for level in (3, 4, 5, 6)]
    assert sorted(copied) == sorted([*levels, *list(arrays)[1:]])
    assert all(copied[name] is arrays["head_box1_depthwise/kernel"] for name in levels)
    assert unshare(unshared, copied) == (unshared, copied)


def test_a_batch_norm_after_something_else_is_refused(monkeypatch):
    spec = small_spec("nasfpnlite_3x48")
    arrays = to_arrays(build_detector(spec))
    monkeypatch.setattr("nasfpn_lite.folding._CONVOLUTIONS", ("DepthwiseConv2D",))
    with pytest.raises(ValueError, match="only a convolution can hold it"):
        fold(spec, arrays)
