import keras
import numpy as np
import pytest

from nasfpn_lite.backbones.resnet import build_resnet


def build(depth, size=(192, 256), symmetric_padding=True):
    image = keras.Input((*size, 3))
    return keras.Model(
        image, build_resnet(keras, image, depth=depth, bn_momentum=0.9, symmetric_padding=symmetric_padding)
    )


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


# 50 and 101: the well known counts without the classifier's 2,049,000 (25.557 M, 44.549 M in all).
@pytest.mark.parametrize(
    ("depth", "symmetric", "channels", "count"),
    [
        (10, False, (128, 256, 512), 4_910_016),
        (10, True, (128, 256, 512), 4_910_016),
        (50, True, (512, 1024, 2048), 23_508_032),
    ],
)
def test_shapes_and_parameters(depth, symmetric, channels, count):
    model = build(depth, symmetric_padding=symmetric)
    expected = {"C3": (24, 32, channels[0]), "C4": (12, 16, channels[1]), "C5": (6, 8, channels[2])}
    assert {name: tuple(x.shape[1:]) for name, x in model.output.items()} == expected
    assert trainable(model) == count


def test_resnet_101_has_its_published_parameters():
    assert trainable(build(101, (64, 64))) == 42_500_160


def test_names_are_those_of_keras_applications():
    theirs = keras.applications.ResNet50(input_shape=(64, 64, 3), include_top=False, weights=None)
    kernels = {f"{x.name}/{v.name}": v.shape for x in theirs.layers for v in x.weights if v.name != "bias"}
    assert {f"{x.name}/{v.name}": v.shape for x in build(50, (64, 64)).layers for v in x.weights} == kernels


def test_the_stride_is_on_the_3x3_convolution():
    model = build(50, (64, 64))
    assert model.get_layer("conv3_block1_1_conv").strides == (1, 1)
    assert model.get_layer("conv3_block1_2_conv").strides == (2, 2)


@pytest.mark.parametrize("symmetric", [True, False])
def test_symmetric_padding_equals_half_a_kernel_on_every_side(symmetric):
    model = build(10, (64, 128), symmetric)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 128, 3)).astype("float32")
    kernel = model.get_layer("conv1_conv").kernel
    around = ((0, 0), (3, 3), (3, 3), (0, 0)) if symmetric else ((0, 0), (2, 3), (2, 3), (0, 0))
    expected = keras.ops.conv(np.pad(image, around), kernel, strides=2, padding="valid")
    stem = keras.Model(model.input, model.get_layer("conv1_conv").output)
    np.testing.assert_allclose(np.asarray(stem(image)), np.asarray(expected), atol=1e-5)
    pads = [layer.name for layer in model.layers if isinstance(layer, keras.layers.ZeroPadding2D)]
    blocks = [f"conv{group}_block1_1_pad" for group in (3, 4, 5)]
    assert pads == (["conv1_pad", "pool1_pad", *blocks] if symmetric else [])


def test_multiply_adds_of_resnet_50_are_the_papers():
    model = build(50, (640, 640))
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    total = sum(int(np.prod(layer.output.shape[1:3])) * int(np.prod(layer.kernel.shape)) for layer in convs)
    assert total == pytest.approx(33.3e9, rel=0.01)
