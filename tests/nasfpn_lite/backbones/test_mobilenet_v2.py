import keras
import numpy as np
import pytest

from nasfpn_lite.backbones.mobilenet_v2 import build_mobilenet_v2


def build(size=(192, 256), top_channels=None, expanded_c4=False, symmetric_padding=False):
    image = keras.Input((*size, 3))
    taps = build_mobilenet_v2(
        keras,
        image,
        top_channels=top_channels,
        expanded_c4=expanded_c4,
        bn_momentum=0.9,
        symmetric_padding=symmetric_padding,
    )
    return keras.Model(image, taps)


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(
    ("size", "top", "expanded", "c3", "c4", "c5"),
    [
        ((320, 320), None, False, (40, 40, 32), (20, 20, 96), (10, 10, 320)),
        ((192, 256), 256, False, (24, 32, 32), (12, 16, 96), (6, 8, 256)),
        ((192, 256), 1280, True, (24, 32, 32), (12, 16, 576), (6, 8, 1280)),
    ],
)
def test_shapes(size, top, expanded, c3, c4, c5, symmetric):
    outputs = build(size, top, expanded, symmetric).output
    assert {name: tuple(x.shape[1:]) for name, x in outputs.items()} == {"C3": c3, "C4": c4, "C5": c5}


# The published counts, in millions: 1.8117, 1.8941, 2.2239.
@pytest.mark.parametrize(("top", "count"), [(None, 1_811_712), (256, 1_894_144), (1280, 2_223_872)])
def test_parameters(top, count):
    assert trainable(build(top_channels=top)) == count


def test_taps_are_the_named_layers():
    model = build(expanded_c4=True)
    assert model.output["C3"]._keras_history.operation.name == "block_5_add"
    assert model.output["C4"]._keras_history.operation.name == "block_13_expand_relu"
    assert model.output["C5"]._keras_history.operation.name == "block_16_project_BN"
    assert build().output["C4"]._keras_history.operation.name == "block_12_add"
    assert build(top_channels=8).output["C5"]._keras_history.operation.name == "out_relu"


def weights_of(model):
    return {f"{layer.name}/{v.name}": tuple(v.shape) for layer in model.layers for v in layer.weights}


def test_names_and_outputs_equal_keras_applications():
    theirs = keras.applications.MobileNetV2((192, 256, 3), include_top=False, weights=None)
    ours = build(top_channels=1280)
    assert weights_of(ours) == weights_of(theirs)
    rng = np.random.default_rng(0)
    for layer in theirs.layers:
        if layer.weights:
            values = [rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()]
            if "kernel" in layer.weights[0].name:
                values = [(v - 1) / np.sqrt(np.prod(v.shape[:3]) / 8) for v in values]
            layer.set_weights(values)
            ours.get_layer(layer.name).set_weights(values)
    image = rng.uniform(-1, 1, (1, 192, 256, 3)).astype("float32")
    expected = np.asarray(theirs(image))
    assert expected.std() > 0.01
    np.testing.assert_allclose(np.asarray(ours(image)["C5"]), expected, atol=1e-4)


def test_bn_momentum_reaches_every_batch_norm():
    norms = [layer for layer in build(top_channels=8).layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 52
    assert {layer.momentum for layer in norms} == {0.9}


def test_symmetric_padding_equals_one_pixel_on_every_side():
    model = build((64, 128), symmetric_padding=True)
    conv = model.get_layer("Conv1")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 128, 3)).astype("float32")
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = keras.ops.conv(padded, conv.kernel, strides=2, padding="valid")
    stem = keras.Model(model.input, conv.output)
    np.testing.assert_allclose(np.asarray(stem(image)), np.asarray(expected), atol=1e-5)
    pads = [layer.name for layer in model.layers if isinstance(layer, keras.layers.ZeroPadding2D)]
    assert pads == ["Conv1_pad", "block_1_pad", "block_3_pad", "block_6_pad", "block_13_pad"]
