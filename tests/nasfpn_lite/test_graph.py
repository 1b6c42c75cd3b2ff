"""The trace of a functional model."""

import weakref

import keras
import numpy as np

from nasfpn_lite.graph import rewire, run_layers, trace


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
    before = model.get_config()
    assert trace(model)[0].layer is layer
    assert model.layers == [model.layers[0], layer]
    assert model.get_config() == before
    assert [call.inputs for call in trace(model)] == [()]


def test_rewire_shares_layers_and_weights():
    image = keras.Input((8, 12, 3))
    layer = keras.layers.Conv2D(4, 1, name="conv")
    model = keras.Model(image, layer(image))
    doubled = rewire(model, lambda layer, x, **kwargs: 2.0 * layer(x, **kwargs))
    ones = np.ones((1, 8, 12, 3), np.float32)
    layer.kernel.assign(np.full(layer.kernel.shape, 0.5, np.float32))
    np.testing.assert_allclose(np.array(model(ones)), 1.5)
    np.testing.assert_allclose(np.array(doubled(ones)), 3.0)


def test_layers_run_one_by_one_change_as_in_a_call_of_the_model():
    image = keras.Input((2, 2, 1))
    norm = keras.layers.BatchNormalization(momentum=0.0, name="norm")
    model = keras.Model(image, keras.layers.Add()([norm(image), image]))
    run_layers(model, keras.ops.convert_to_tensor(np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1)), training=True)
    assert np.array(norm.moving_mean) == 3.5
    assert np.array(norm.moving_variance) == 5.25  # of 0 to 7
    run_layers(model, keras.ops.zeros((2, 2, 2, 1)), training=False)
    assert np.array(norm.moving_mean) == 3.5


def test_a_value_is_let_go_after_its_last_reader():
    made: list[weakref.ref] = []
    alive: list[int] = []

    class Spy(keras.layers.Layer):
        def call(self, x):
            alive.append(sum(reference() is not None for reference in made))
            made.append(weakref.ref(x))
            return x + 1.0

        def compute_output_shape(self, input_shape):
            return input_shape

    image = keras.Input((2,))
    first = Spy()(image)
    third = Spy()(Spy()(first))
    model = keras.Model(image, Spy()(keras.layers.Add()([first, third])))
    run_layers(model, keras.ops.zeros((1, 2)))
    # Inputs of the spies before: the image stays with the caller, the first waits for the sum, the second for nobody.
    assert alive == [0, 1, 2, 1]
