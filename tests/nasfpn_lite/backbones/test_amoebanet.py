import keras
import numpy as np
import pytest

from nasfpn_lite.backbones.amoebanet import build_amoebanet_d
from nasfpn_lite.cost import count_cost
from nasfpn_lite.folding import fold
from nasfpn_lite.regularizers import DropPath, Dropping
from nasfpn_lite.variants import VARIANTS
from nasfpn_lite.weights import set_arrays, to_arrays


def build(cells=2, **options):
    image = keras.Input((64, 128, 3))
    taps = build_amoebanet_d(keras, image, bn_momentum=0.9, filters=16, cells=cells, **options)
    return keras.Model(image, taps)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def dropping():
    return build(drop_path=Dropping(0.3))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(-1, 1, (2, 64, 128, 3)).astype("float32")


def test_shapes(model, image):
    expected = {"C3": (8, 16, 64), "C4": (4, 8, 128), "C5": (2, 4, 256)}
    assert {name: tuple(x.shape[1:]) for name, x in model.output.items()} == expected
    assert {name: np.asarray(x).shape[1:] for name, x in model(image).items()} == expected


def conv(inputs: int, outputs: int, size: int = 1) -> int:
    return inputs * outputs * size + 2 * outputs  # kernel, gamma and beta


def test_parameters_of_a_normal_cell_by_hand(model):
    """With F = 16 at C3, fed by the two before it, 4 * 16 channels each."""
    seven = conv(16, 4) + 2 * conv(4, 4, 7) + conv(4, 16)
    cell = 2 * conv(64, 16) + 3 * conv(16, 16) + 2 * seven  # both inputs; three 1x1 branches
    more = count_cost(build(cells=3)).params - count_cost(model).params
    at_c4 = 2 * conv(128, 32) + 3 * conv(32, 32) + 2 * (conv(32, 8) + 2 * conv(8, 8, 7) + conv(8, 32))
    at_c5 = 2 * conv(256, 64) + 3 * conv(64, 64) + 2 * (conv(64, 16) + 2 * conv(16, 16, 7) + conv(16, 64))
    assert more == cell + at_c4 + at_c5


def inputs(model, name):
    return [x._keras_history.operation.name for x in model.get_layer(name)._inbound_nodes[0].input_tensors]


def edges(model, cell):
    """Input layers of each sum of a cell, by the names that the branches have in it."""
    names = [inputs(model, f"{cell}_{number}_add") for number in range(2, 7)]
    return [tuple(name.removeprefix(f"{cell}_") for name in pair) for pair in names]


def test_wiring_of_the_cells_literally(model):
    assert edges(model, "cell2_C3") == [
        ("2_left_bn", "2_right_max3"),
        ("before_bn", "3_right_expand_bn"),
        ("4_left_bn", "4_right_expand_bn"),
        ("5_left_max3", "2_add"),
        ("6_left_avg3", "6_right_bn"),
    ]
    assert edges(model, "reduction_C4") == [
        ("2_left_max2", "2_right_max3"),
        ("2_add", "3_right_expand_bn"),
        ("4_left_expand_bn", "4_right_max3"),
        ("3_add", "5_right_max2"),
        ("6_left_avg3", "6_right_bn"),
    ]
    assert inputs(model, "cell2_C3_out") == ["cell2_C3_input_bn", "cell2_C3_3_add", "cell2_C3_4_add", "cell2_C3_6_add"]
    assert inputs(model, "stem_reduction1_out") == [f"stem_reduction1_{number}_add" for number in (4, 5, 6)]


def test_a_factorized_reduction_reads_two_pixels_of_four(model):
    kernel_1, kernel_2 = (model.get_layer(f"cell1_C3_before_{number}_conv").kernel for number in (1, 2))
    x = np.random.default_rng(1).uniform(0, 1, (1, 16, 32, 12)).astype("float32")  # stride 4, 3 * 4 channels
    relu = model.get_layer("cell1_C3_before_relu").output
    assert relu.shape[1:] == (16, 32, 12)
    halves = keras.Model(relu, model.get_layer("cell1_C3_before_concat").output)(x)
    norm = np.sqrt(1 + 1e-3)
    expected_1 = x[:, ::2, ::2] @ np.asarray(kernel_1)[0, 0]
    expected_2 = x[:, 1::2, 1::2] @ np.asarray(kernel_2)[0, 0]
    np.testing.assert_allclose(np.asarray(halves), np.concatenate([expected_1, expected_2], -1) / norm, atol=1e-5)


def drops(model):
    return {layer.name: 1 - layer.dropping.keep for layer in model.layers if isinstance(layer, DropPath)}


def test_stochastic_depth_is_absent_unless_asked_for(model):
    assert drops(model) == {}


def test_stochastic_depth_grows_with_depth_and_keeps_weights_and_inference(model, dropping, image):
    rates = drops(dropping)
    assert len(rates) == 6 * 8 + 4 * 8  # all branches but the two that pass their input on
    assert rates["stem_reduction1_2_left_drop"] == pytest.approx(0.7 / 10)
    assert rates["cell2_C5_6_right_drop"] == pytest.approx(0.7)
    set_arrays(dropping, to_arrays(model))
    np.testing.assert_allclose(np.asarray(dropping(image)["C5"]), np.asarray(model(image)["C5"]), atol=1e-5)


def test_a_dropped_branch_is_dropped_for_a_whole_image(dropping):
    layer = dropping.get_layer("cell2_C5_6_right_drop")
    out = np.asarray(layer(np.ones((4000, 2, 3, 4), "float32"), training=True)).reshape(4000, -1)
    assert sorted(np.unique(out)) == pytest.approx([0, 1 / 0.3])
    assert (out.min(1) == out.max(1)).all()
    assert out.mean() == pytest.approx(1, abs=0.1)  # four standard deviations of .024


def test_bn_momentum_reaches_every_batch_norm(model):
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(norms) == len(convs)
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-3)}
    assert not any(layer.use_bias for layer in convs)


def test_folding_changes_no_feature(model, image):
    rng = np.random.default_rng(2)
    arrays = to_arrays(model)
    for key, array in arrays.items():
        if key.endswith(("beta", "moving_mean")):
            array += rng.normal(0, 0.1, array.shape)
        elif key.endswith("moving_variance"):
            array *= rng.uniform(0.5, 2, array.shape)
    set_arrays(model, arrays)
    folded = build(folded=True)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    weights = fold(VARIANTS["fpn_amoebanetd_256"], arrays, model)
    for offset, same in ((0, True), (1e-2, False)):
        set_arrays(folded, weights | {"stem_conv/bias": weights["stem_conv/bias"] + offset})
        got, expected = folded(image), model(image, training=False)
        for name in expected:
            wanted = np.asarray(expected[name])
            assert same == np.allclose(np.asarray(got[name]), wanted, rtol=0, atol=1e-5 * np.abs(wanted).mean())
