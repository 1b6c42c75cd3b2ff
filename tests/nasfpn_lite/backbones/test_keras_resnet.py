import keras
import numpy as np
import pytest

from nasfpn_lite.backbones.keras_resnet import convert_keras_resnet
from nasfpn_lite.backbones.pretrained import BackboneWeightsError, load_keras_download, load_pretrained
from nasfpn_lite.backbones.resnet import build_resnet

SIZE = (64, 96)


def build(depth=50):
    image = keras.Input((*SIZE, 3))
    return keras.Model(image, build_resnet(keras, image, depth=depth, bn_momentum=0.9, symmetric_padding=True))


@pytest.fixture(scope="module")
def application():
    """Random weights and statistics; the first kernel reads none of the padded pixels, which differ by intent."""
    model = keras.applications.ResNet50(input_shape=(*SIZE, 3), include_top=False, weights=None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            shape = layer.gamma.shape
            spread = rng.uniform(1e-5, 2, shape)  # small ones tell one epsilon from another
            layer.set_weights([rng.uniform(0.5, 1, shape), *rng.normal(0, 0.1, (2, *shape)), spread])
        elif layer.name.endswith("_conv"):
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    stem = model.get_layer("conv1_conv")
    kernel = np.zeros(stem.kernel.shape)
    kernel[3:5, 3:5] = rng.normal(0, 0.003, (2, 2, 3, 64))
    stem.kernel.assign(kernel)
    return model


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).uniform(0, 255, (1, *SIZE, 3)).astype("float32")


def features(model, names, image):
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])(image, training=False)
    return [np.asarray(x) for x in outputs]


def moved_strides(application):
    """Their network with the strides where ours has them, and as much padding."""

    def is_first(name, conv):
        return name in [f"conv{group}_block1_{conv}_conv" for group in (3, 4, 5)]

    def clone(layer):
        config = layer.get_config()
        if is_first(layer.name, 1):
            config["strides"] = (1, 1)
        if is_first(layer.name, 2):
            config |= {"strides": (2, 2), "padding": "valid"}
        return layer.__class__.from_config(config)

    def call(layer, x, **kwargs):
        return layer(keras.layers.ZeroPadding2D(1)(x) if is_first(layer.name, 2) else x, **kwargs)

    moved = keras.models.clone_model(application, clone_function=clone, call_function=call)
    moved.set_weights(application.get_weights())
    return moved


def test_features_are_theirs_with_the_strides_moved(application, pixels, monkeypatch):
    monkeypatch.setattr(keras.applications, "ResNet50", lambda **_: application)
    model = build()
    assert load_keras_download(model, backbone="resnet50") == [layer.name for layer in model.layers if layer.weights]
    theirs, ours = pixels[..., ::-1] - np.array((103.939, 116.779, 123.68), "float32"), pixels / 127.5 - 1
    names = ["conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]
    got = features(model, names, ours)
    for name, expected, found in zip(names, features(moved_strides(application), names, theirs), got, strict=True):
        assert expected.std() > 0.1, name
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std(), err_msg=name)
    c2, c3, *_ = features(application, names, theirs)
    np.testing.assert_allclose(got[0], c2, rtol=1e-3, atol=1e-3 * c2.std())
    assert np.abs(got[1] - c3).mean() > 0.01 * c3.std()  # what the docstring says of the strides as they are


def test_one_channel_by_hand():
    """One 1x1 convolution: 4 x + 1; its batch norm: 3 (y - 5) / sqrt(.00009 + 1.001e-5) + 2."""
    theirs = {
        "conv2_block1_1_conv": {"kernel": np.full((1, 1, 1, 1), 4.0), "bias": np.array([1.0])},
        "conv2_block1_1_bn": {
            "gamma": np.array([3.0]),
            "beta": np.array([2.0]),
            "moving_mean": np.array([5.0]),
            "moving_variance": np.array([0.00008999]),
        },
        "predictions": {"kernel": np.zeros((1, 1)), "bias": np.zeros(1)},
    }
    ours = convert_keras_resnet(theirs)
    assert set(ours) == {"conv2_block1_1_conv", "conv2_block1_1_bn"}
    assert ours["conv2_block1_1_conv"] == {"kernel": 4.0}
    norm = {key: float(array[0]) for key, array in ours["conv2_block1_1_bn"].items()}
    assert norm["moving_mean"] == 4.0  # 5 - 1
    assert norm["beta"] == 2.0
    assert norm["gamma"] / np.sqrt(norm["moving_variance"] + 1e-4) == pytest.approx(3 / 0.01, rel=1e-5)


def test_file_of_keras(application, tmp_path):
    application.save_weights(tmp_path / "r50.weights.h5")
    model = build()
    loaded = load_pretrained(model, path=tmp_path / "r50.weights.h5", backbone="resnet50")
    assert len(loaded) == 106
    expected = application.get_layer("conv4_block6_2_conv").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("conv4_block6_2_conv").get_weights()[0], expected)


def test_backbones_that_keras_does_not_have():
    for backbone in ("resnet10", "amoebanet_d"):
        with pytest.raises(BackboneWeightsError, match=f"no weights for {backbone}, only for mobilenet_v2, resnet50"):
            load_keras_download(None, backbone=backbone)
