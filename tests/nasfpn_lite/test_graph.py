"""The trace of a functional model."""

import keras

from nasfpn_lite.graph import trace


def test_trace_of_a_network_with_a_branch_and_a_shared_layer():
    image = keras.Input((8, 12, 3), name="image")
    shared = keras.layers.Conv2D(4, 3, padding="same", name="shared")
    first = keras.layers.Conv2D(3, 1, name="first")(image)
    small = keras.layers.MaxPooling2D(2, name="small")(first)
    outputs = {"large": shared(first), "small": shared(small)}
    calls = trace(keras.Model(image, outputs))
    edges = {(c.name, tuple(calls[i].name for i in c.inputs)) for c in calls}
    assert edges == {("first", ()), ("small", ("first",)), ("shared", ("first",)), ("shared", ("small",))}
    assert [c.kind for c in calls if c.name == "small"] == ["MaxPooling2D"]
    first_call = next(c for c in calls if c.name == "first")
    assert {calls[i].name for i in first_call.consumers} == {"small", "shared"}
    assert len(first_call.consumers) == 2


def test_trace_leaves_the_model_as_it_is():
    image = keras.Input((8, 12, 3))
    layer = keras.layers.Conv2D(4, 1, name="conv")
    model = keras.Model(image, layer(image))
    calls = trace(model)
    assert calls[0].layer is not layer
    assert len(model.layers) == 2
