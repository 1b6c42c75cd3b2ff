import keras
import numpy as np
import pytest

from nasfpn_lite.backbones import pretrained
from nasfpn_lite.backbones.mobilenet_v2 import build_mobilenet_v2
from nasfpn_lite.backbones.pretrained import BackboneWeightsError, load_keras_download, load_pretrained


def build(top_channels=1280, size=(64, 96)):
    image = keras.Input((*size, 3))
    taps = build_mobilenet_v2(
        keras, image, top_channels=top_channels, expanded_c4=False, bn_momentum=0.9, symmetric_padding=False
    )
    return keras.Model(image, taps)


@pytest.fixture(scope="module")
def application():
    return keras.applications.MobileNetV2(input_shape=(64, 96, 3), include_top=False, weights=None)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(-1, 1, (1, 64, 96, 3)).astype("float32")


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        path = tmp_path / "weights.npz"
        np.savez(path, **{key.replace("__", "/"): value for key, value in arrays.items()})
        return path

    return write


def conv1_and(**arrays):
    return {"Conv1__kernel": np.full((3, 3, 3, 32), 0.25, "float16"), **arrays}


def test_shipped_weights_fill_every_layer_of_the_backbone():
    model = build()
    before = model.get_layer("block_16_project").get_weights()[0]
    loaded = load_pretrained(model)
    assert loaded == [layer.name for layer in model.layers if layer.weights]
    assert len(loaded) == 104
    assert {str(v.dtype) for v in model.weights} == {"float32"}
    assert not np.array_equal(before, model.get_layer("block_16_project").get_weights()[0])


def test_shipped_weights_in_keras_applications_give_the_same_features(application, image):
    model = build()
    assert load_pretrained(model) == load_pretrained(application)
    expected = np.asarray(application(image))
    assert 0.1 < expected.mean() < 2
    np.testing.assert_allclose(np.asarray(model(image)["C5"]), expected, atol=1e-4)


def test_a_top_of_another_width_starts_anew():
    loaded = load_pretrained(build(top_channels=256))
    assert len(loaded) == 102
    assert loaded[-1] == "block_16_project_BN"


def test_the_stem_is_rewritten_for_our_images():
    """A photo of torchvision's mean colour is zero there; what its first layer adds is what ours must add for it."""
    model = build(size=(64, 64))
    load_pretrained(model)
    mean_colour = 2 * np.array((0.485, 0.456, 0.406)) - 1
    stem = keras.Model(model.input, model.get_layer("bn_Conv1").output)
    out = np.asarray(stem(np.broadcast_to(mean_colour, (1, 64, 64, 3)).astype("float32")))[0, 8, 8]
    with np.load(pretrained.SHIPPED) as arrays:
        gamma, beta, mean, variance = (
            arrays[f"bn_Conv1/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        kernel = arrays["Conv1/kernel"].astype("float32")
    torch_mean = mean - np.einsum("yxio,i->o", kernel, mean_colour)
    np.testing.assert_allclose(out, beta - gamma * torch_mean / np.sqrt(variance + 1e-3), atol=1e-4)


def test_altered_shipped_file(monkeypatch, tmp_path):
    altered = tmp_path / "altered.npz"
    altered.write_bytes(pretrained.SHIPPED.read_bytes()[:-1] + b"!")
    monkeypatch.setattr(pretrained, "SHIPPED", altered)
    with pytest.raises(BackboneWeightsError, match="expected sha256 33e64c17"):
        load_pretrained(build(None))
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "absent.npz")
    with pytest.raises(BackboneWeightsError, match="missing from this installation"):
        load_pretrained(build(None))


def test_own_npz_file(npz):
    model = build(None)
    assert load_pretrained(model, path=npz(**conv1_and(other_network__kernel=np.zeros(3)))) == ["Conv1"]
    kernel = model.get_layer("Conv1").get_weights()[0]
    assert kernel.dtype == "float32"
    assert (kernel == 0.25).all()


def test_wrong_shape_changes_nothing(npz):
    model = build(None)
    before = model.get_layer("Conv1").get_weights()[0]
    path = npz(**conv1_and(block_1_expand__kernel=np.zeros((1, 1, 16, 48), "float32")))
    with pytest.raises(BackboneWeightsError, match=r"layer block_1_expand has .*48.*, the model needs .*96"):
        load_pretrained(model, path=path)
    np.testing.assert_array_equal(model.get_layer("Conv1").get_weights()[0], before)


def test_missing_variable(npz):
    with pytest.raises(BackboneWeightsError, match="layer bn_Conv1 has .*'gamma'.* the model needs .*'moving_mean'"):
        load_pretrained(build(None), path=npz(bn_Conv1__gamma=np.ones(32)))


def test_nothing_in_common(npz):
    with pytest.raises(BackboneWeightsError, match=r"none of its 1 layers \(stem, ...\) is in the model \(Conv1"):
        load_pretrained(build(None), path=npz(stem__kernel=np.ones(3)))


def test_unreadable_files(tmp_path, npz):
    with pytest.raises(BackboneWeightsError, match="no such file"):
        load_pretrained(build(None), path=tmp_path / "absent.npz")
    with pytest.raises(BackboneWeightsError, match="expected arrays named \"layer/variable\", got 'kernel'"):
        load_pretrained(build(None), path=npz(kernel=np.ones(3)))
    for name in ("broken.npz", "broken.h5", "broken.weights.h5"):
        (tmp_path / name).write_bytes(b"no weights at all")
        with pytest.raises(BackboneWeightsError, match=name):
            load_pretrained(build(None), path=tmp_path / name)
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(BackboneWeightsError, match=r"expected a .npz, .h5 or .weights.h5 file"):
        load_pretrained(build(None), path=tmp_path / "weights.pth")


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_keras_h5_files(application, image, tmp_path, suffix):
    load_pretrained(application)
    path = tmp_path / f"mobilenet{suffix}"
    application.save_weights(path) if suffix == ".weights.h5" else application.save(path)
    model = build()
    assert len(load_pretrained(model, path=path)) == 104
    np.testing.assert_allclose(np.asarray(model(image)["C5"]), np.asarray(application(image)), atol=1e-4)


def test_keras_h5_file_with_classifier(tmp_path):
    whole = keras.applications.MobileNetV2(weights=None)
    whole.save_weights(tmp_path / "whole.weights.h5")
    model = build(None)
    assert len(load_pretrained(model, path=tmp_path / "whole.weights.h5")) == 102
    expected = whole.get_layer("block_9_expand").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("block_9_expand").get_weights()[0], expected)


def test_keras_download(monkeypatch, application):
    load_pretrained(application)
    monkeypatch.setattr(keras.applications, "MobileNetV2", lambda **_: application)
    model = build()
    assert len(load_keras_download(model)) == 104
    expected = application.get_layer("Conv1").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("Conv1").get_weights()[0], expected)


def test_keras_download_without_network(monkeypatch):
    def fail(**_):
        raise Exception("URL fetch failure on https://storage.example")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(BackboneWeightsError, match="URL fetch failure.*--backbone-weights PATH"):
        load_keras_download(build(None))
