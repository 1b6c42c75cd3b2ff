"""Ranges of activations, and networks on grids."""

import keras
import numpy as np
import pytest

from nasfpn_lite.converters.qat_plan import LayerPlan, plan_quantization
from nasfpn_lite.converters.ranges import INPUT_RANGE, measure_ranges, on_grid, put_on_grids

STEP = 2 / 255  # of the input's grid


def make_model() -> keras.Model:
    """Two channels: the input as it is, and zero; then a ReLU, and a convolution that is shared by two levels."""
    image = keras.Input((4, 6, 1), name="image")
    first = keras.layers.Conv2D(2, 1, name="first")(image)
    act = keras.layers.ReLU(name="act")(first)
    small = keras.layers.MaxPooling2D(2, name="small")(act)
    shared = keras.layers.Conv2D(1, 1, name="shared")
    model = keras.Model(image, {"large": shared(act), "small": shared(small)})
    model.get_layer("first").set_weights([np.array([1.0, 0.0]).reshape(1, 1, 1, 2), np.zeros(2)])
    shared.set_weights([np.array([3.0, 1.0]).reshape(1, 1, 2, 1), np.zeros(1)])
    return model


def photo(*values: float) -> np.ndarray:
    flat = np.zeros(24, np.float32)
    flat[: len(values)] = values
    return flat.reshape(1, 4, 6, 1)


def test_even_values_keep_their_extremes_and_a_shared_layer_has_one_range():
    model = make_model()
    plan = plan_quantization(model)
    assert {p.name: p.output for p in plan}["first"] == "fused"
    evenly = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 4, 6, 1)
    ranges = measure_ranges(model, plan, [evenly, -evenly])
    assert sorted(ranges) == ["act", "shared"]
    low, high = ranges["act"]
    assert low == 0
    assert high == pytest.approx(1, abs=0.06)  # .95 of it can be as good: few values lie beyond
    assert ranges["shared"] == (0, pytest.approx(3, abs=0.2))


def test_a_rare_large_value_is_cut_where_that_makes_the_steps_of_many_others_finer():
    model = make_model()
    plan = plan_quantization(model)
    # Steps of 1/255 put .2510 half a step off its grid. Many such values outweigh one value of 1 that is cut.
    many = [photo(*np.full(24, 0.2509804)) for _ in range(2000 // 24)]
    free = measure_ranges(model, plan, [photo(1.0)])
    assert free["act"][1] == pytest.approx(1, abs=STEP)
    cut = measure_ranges(model, plan, [photo(0.06), *many])
    assert cut["act"][1] <= 0.26


def test_it_tells_how_many_passes_of_an_image_are_done():
    model = make_model()
    told: list[tuple[int, int]] = []
    measure_ranges(model, plan_quantization(model), [photo(1.0)] * 37, lambda *counts: told.append(counts))
    # Batches of 4, the last of one image; then the first 32 images again.
    assert told == [(done, 69) for done in (*range(0, 37, 4), 37, *range(41, 69, 4))]


def test_a_dead_tensor_gets_a_grid_that_holds_zero():
    model = make_model()
    ranges = measure_ranges(model, plan_quantization(model), [photo(-1.0)])
    assert ranges == {"act": (0.0, 1.0), "shared": (0.0, 1.0)}


def test_network_on_grids_rounds_where_the_plan_says():
    model = make_model()
    plan = plan_quantization(model)
    network = put_on_grids(model, plan, {"act": (0.0, 0.51), "shared": (0.0, 25.5)})
    outputs = network(photo(0.1001, 0.9, -0.5), training=False)
    # input: .1001 is 12.76 steps, 13 are .10196. act: steps of .002, .102, nothing above .51. shared: 3 x .102 = .306
    # and 3 x .51 = 1.53 in steps of .1.
    np.testing.assert_allclose(np.array(outputs["large"]).ravel()[:3], [0.3, 1.5, 0], atol=1e-5)
    assert np.array(outputs["small"]).shape == (1, 2, 3, 1)
    other = put_on_grids(model, plan, {"act": (0.0, 0.51), "shared": (0.0, 2.55)})
    large = np.array(other(photo(0.1001, 0.9, -0.5), training=False)["large"]).ravel()[:3]
    np.testing.assert_allclose(large, [0.31, 1.53, 0], atol=1e-5)  # in steps of .01


def test_input_grid_is_the_pixel_less_128():
    pixels = np.arange(256) / 127.5 - 1
    steps = (np.array(on_grid(pixels.astype(np.float32))) - INPUT_RANGE[0]) / STEP
    assert np.abs(steps - np.rint(steps)).max() < 1e-3
    assert np.rint(steps).tolist() == list(range(256))
    assert LayerPlan("a", "ReLU", False, "learned").to_dict()["output"] == "learned"
