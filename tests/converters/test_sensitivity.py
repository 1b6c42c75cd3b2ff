"""Sensitivity: which stage's int8 costs most, on a network small enough to reckon by hand."""

import keras
import numpy as np
import pytest

from nasfpn_lite.converters.qat_plan import plan_quantization
from nasfpn_lite.converters.sensitivity import SwitchableNetwork, measure_sensitivity, relative_error

RANGES = {"lateral_C3": (-1.0, 1.0), "lateral_C4": (-1000.0, 1000.0), "class_logits": (-1.0, 1.0)}


def make_model(kernel: float = 1.0) -> keras.Model:
    """Two 1x1 convolutions one after the other, then the output."""
    image = keras.Input((4, 6, 1), name="image")
    first = keras.layers.Conv2D(1, 1, name="lateral_C3")(image)
    second = keras.layers.Conv2D(1, 1, name="lateral_C4")(first)
    flat = keras.layers.Reshape((-1, 1), name="head_class_P3_flat")(
        keras.layers.Conv2D(1, 1, name="head_class_predictor_conv")(second)
    )
    other = keras.layers.Reshape((-1, 1), name="head_class_P4_flat")(second)
    logits = keras.layers.Concatenate(axis=1, name="class_logits")([flat, other])
    model = keras.Model(image, {"class_logits": logits})
    for name in ("lateral_C3", "lateral_C4", "head_class_predictor_conv"):
        model.get_layer(name).set_weights([np.full((1, 1, 1, 1), kernel, np.float32), np.zeros(1)])
    return model


def photos() -> list[np.ndarray]:
    return [np.random.default_rng(n).uniform(-0.9, 0.9, (1, 4, 6, 1)).astype(np.float32) for n in range(2)]


def test_the_stage_with_a_wide_range_comes_first_and_explains_the_error():
    model = make_model()
    plan = plan_quantization(model)
    assert {p.name: p.output for p in plan}["lateral_C4"] == "learned"
    found = measure_sensitivity(model, plan, RANGES, photos())
    assert {entry.stage for entry in found} == {"lateral_C3", "lateral_C4", "head_class_predictor"}
    # A step of 2000 / 255 makes 0 of everything: where lateral_C4 writes int8, and where its reader reads it.
    assert {entry.stage for entry in found[:2]} == {"lateral_C4", "head_class_predictor"}
    assert found[0].error_share == pytest.approx(0.5, abs=0.2)
    assert found[2].error_share < 0.001
    assert sum(entry.error_share for entry in found) == pytest.approx(1.0)
    assert {entry.stage: entry.multiply_adds for entry in found} == dict.fromkeys((e.stage for e in found), 24)


def test_a_value_is_exact_only_between_two_kept_stages():
    model = make_model()
    network = SwitchableNetwork(model, plan_quantization(model), RANGES)
    batch = np.concatenate(photos())
    network.keep(network.stages)
    exact = network.outputs(batch)
    network.keep(("lateral_C4",))
    assert np.unique(network.outputs(batch)["class_logits"]).tolist() == [0.0]
    network.keep(("lateral_C4", "head_class_predictor"))
    assert relative_error(network.outputs(batch), exact) < 1e-3
    network.keep(())
    assert relative_error(network.outputs(batch), exact) > 0.9


def test_kernels_are_rounded_to_127_steps_but_not_in_kept_stages():
    model = make_model()
    kernel = np.array([1.0, 0.0126], np.float32).reshape(1, 1, 1, 2)  # a channel each: exact. In one: 1.6 of 127 steps
    layer = keras.layers.Conv2D(1, 1, name="x")
    layer.build((None, 4, 6, 2))
    layer.set_weights([kernel.reshape(1, 1, 2, 1), np.zeros(1)])
    from nasfpn_lite.converters.sensitivity import _both_kernels

    exact, rounded = _both_kernels(layer)
    assert exact.ravel().tolist() == pytest.approx([1.0, 0.0126])
    assert rounded.ravel().tolist() == pytest.approx([1.0, 2 / 127])
    network = SwitchableNetwork(model, plan_quantization(model), RANGES)
    network.keep(())
    assert float(network._kernels["lateral_C3"][0].kernel[0, 0, 0, 0]) == 1.0


def test_relative_error_is_a_mean_over_outputs():
    exact = {"a": np.array([-1.0, 1.0]), "b": np.array([-2.0, 2.0])}
    assert relative_error(exact, exact) == 0.0
    # a: squared error 1 by variance 1; b: 1 by 4.
    assert relative_error({"a": exact["a"] + 1, "b": exact["b"] - 1}, exact) == pytest.approx((1 + 0.25) / 2)
