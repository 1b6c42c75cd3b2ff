"""DropBlock and DropPath against their definitions, by counting."""

import dataclasses

import keras
import numpy as np
import pytest

from nasfpn_lite.detector import build_detector
from nasfpn_lite.errors import UserError
from nasfpn_lite.fitting import recompute_statistics
from nasfpn_lite.regularizers import DropBlock, DropPath, Dropping, Regularization, nothing_dropped, random_states
from nasfpn_lite.variants import VARIANTS
from nasfpn_lite.weights import to_arrays

SIGMAS = 5  # by chance, one comparison in two million lies further off


def dropped(layer: keras.Layer, shape: tuple[int, ...]) -> np.ndarray:
    return np.array(layer(np.ones(shape, np.float32), training=True))


@pytest.mark.parametrize("keep", [0.9, 0.5])
def test_every_place_of_a_map_is_kept_as_often_as_the_definition_says(keep: float) -> None:
    # 4 x 6 pixels, blocks of 3 x 3: 2 x 4 places for a block. A pixel is kept where no block that covers it begins.
    gamma = (1 - keep) * 24 / 9 / 8
    rows, columns = [1, 2, 2, 1], [1, 2, 3, 3, 2, 1]
    covering = np.outer(rows, columns)
    maps = 20_000
    kept = dropped(DropBlock(Dropping(keep), name="drop"), (100, 4, 6, maps // 100)) > 0
    expected = (1 - gamma) ** covering
    found = kept.mean(axis=(0, 3))
    deviation = np.sqrt(expected * (1 - expected) / maps)
    assert np.all(np.abs(found - expected) < SIGMAS * deviation)
    wrong = (1 - 1.2 * gamma) ** covering
    assert np.any(np.abs(found - wrong) > SIGMAS * deviation)
    assert keep < expected.mean() < keep + 0.11  # blocks overlap


def test_what_is_dropped_are_whole_blocks_inside_the_map() -> None:
    kept = dropped(DropBlock(Dropping(0.9), name="drop"), (40, 7, 9, 25)) > 0
    maps = kept.transpose(0, 3, 1, 2).reshape(-1, 7, 9)
    assert 0 < (~maps).any(axis=(1, 2)).mean() < 1
    windows = np.lib.stride_tricks.sliding_window_view(~maps, (3, 3), axis=(1, 2)).all(axis=(3, 4))
    rebuilt = np.zeros_like(maps)
    for row, column in np.ndindex(windows.shape[1:]):
        rebuilt[:, row : row + 3, column : column + 3] |= windows[:, row, column, None, None]
    np.testing.assert_array_equal(rebuilt, ~maps)


def test_the_sum_of_a_constant_stays_and_channels_and_images_are_independent() -> None:
    out = dropped(DropBlock(Dropping(0.7), name="drop"), (64, 5, 5, 64))
    assert out.mean() == pytest.approx(1, abs=1e-5)
    assert len(np.unique(out)) == 2
    centre = (out[:, 2, 2, :] > 0).astype(float)
    for pairs in (centre[1:], centre[:, 1:]):
        others = centre[:-1] if pairs.shape[1] == 64 else centre[:, :-1]
        assert abs(np.corrcoef(pairs.ravel(), others.ravel())[0, 1]) < SIGMAS / np.sqrt(pairs.size)


@pytest.mark.parametrize("shape", [(2, 1, 2, 3), (2, 2, 2, 3), (1, 1, 1, 1)])
def test_maps_smaller_than_a_block_hold_smaller_blocks(shape: tuple[int, ...]) -> None:
    layer = DropBlock(Dropping(0.5), name="drop")
    for _ in range(20):
        out = dropped(layer, shape)
        assert np.isfinite(out).all() and (out.mean() == pytest.approx(1, rel=1e-5) or not out.any())
        per_map = (out > 0).transpose(0, 3, 1, 2).reshape(-1, shape[1] * shape[2])
        if min(shape[1:3]) > 1:
            assert np.all(per_map.all(axis=1) | ~per_map.any(axis=1))


def test_paths_are_dropped_as_often_as_said_and_keep_the_mean() -> None:
    out = dropped(DropPath(Dropping(0.7), name="path"), (20_000, 2, 1, 2))
    kept = out[:, 0, 0, 0] > 0
    assert np.all((out > 0) == kept[:, None, None, None])
    assert kept.mean() == pytest.approx(0.7, abs=SIGMAS * np.sqrt(0.7 * 0.3 / 20_000))
    np.testing.assert_allclose(out[kept], 1 / 0.7, rtol=1e-6)


def test_the_probability_falls_with_the_calls_in_training_alone() -> None:
    ramp, constant = DropPath(Dropping(0.6, ramp_steps=4), name="path"), DropPath(Dropping(0.6), name="path")
    seen = []
    for _ in range(6):
        seen.append(round(float(ramp.keep_probability()), 6))
        dropped(ramp, (2, 3))
        ramp(np.ones((2, 3)), training=False)
    assert seen == [1.0, 0.9, 0.8, 0.7, 0.6, 0.6]
    assert float(constant.keep_probability()) == pytest.approx(0.6)
    assert np.all(dropped(DropPath(Dropping(0.5, ramp_steps=9), name="first"), (500, 1)) == 1)


@pytest.mark.parametrize("kind", [DropBlock, DropPath])
def test_seed_and_name_decide_and_the_state_resumes(kind: type) -> None:
    def draw(seed: int, name: str) -> np.ndarray:
        return dropped(kind(Dropping(0.5, seed=seed), name=name), (64, 4, 4, 2))

    np.testing.assert_array_equal(draw(3, "a"), draw(3, "a"))
    assert np.any(draw(3, "a") != draw(3, "b")) and np.any(draw(3, "a") != draw(4, "a"))
    layer = kind(Dropping(0.5, ramp_steps=3), name="a")
    for _ in range(2):
        dropped(layer, (64, 4, 4, 2))
    again = kind.from_config(layer.get_config())
    assert again.dropping == layer.dropping
    again.seed_generator.state.assign(np.array(layer.seed_generator.state))
    np.testing.assert_array_equal(dropped(again, (64, 4, 4, 2)), dropped(layer, (64, 4, 4, 2)))


@pytest.mark.parametrize("kind", [DropBlock, DropPath])
def test_half_precision_stays_half_and_drops_exactly(kind: type) -> None:
    layer, whole = (kind(Dropping(0.5), name="a", dtype=dtype) for dtype in ("mixed_bfloat16", "float32"))
    image = np.ones((8, 5, 5, 4), np.float32)
    out = layer(image, training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    np.testing.assert_array_equal(np.array(keras.ops.cast(out, "float32")) > 0, dropped(whole, image.shape) > 0)


@pytest.mark.parametrize(("keep", "ramp"), [(0.0, 0), (1.1, 0), (0.5, -1)])
def test_nonsense_is_refused(keep: float, ramp: int) -> None:
    with pytest.raises(UserError, match="got"):
        Dropping(keep, ramp)


@pytest.mark.parametrize("variant", ["nasfpnlite_3x48", "fpnlite_64"])
def test_a_detector_in_use_has_nothing_of_it(variant: str) -> None:
    spec = dataclasses.replace(VARIANTS[variant], image_size=(64, 128), num_classes=2)
    models = []
    for dropped in (None, Regularization(drop_block=Dropping(0.5))):
        keras.utils.set_random_seed(1)
        models.append(build_detector(spec, regularization=dropped))
    plain, training = models
    layers = [layer.name for layer in training.layers if isinstance(layer, DropBlock)]
    cells = 3 * 15 if variant == "nasfpnlite_3x48" else 4
    assert len(layers) == cells == len(random_states(training)) and not random_states(plain)
    for name in layers:
        norm = name.replace("_drop_block", "_bn")
        assert training.get_layer(name).input is training.get_layer(norm).output
    arrays = to_arrays(training)
    for key, array in to_arrays(plain).items():  # a seed gives both the same weights to start from
        np.testing.assert_array_equal(arrays.pop(key), array)
    assert not arrays
    image = np.random.default_rng(0).uniform(-1, 1, (2, 64, 128, 3)).astype(np.float32)
    for key, value in plain(image, training=False).items():
        np.testing.assert_array_equal(np.array(training(image, training=False)[key]), np.array(value))
    logits = np.array(plain(image, training=True)["class_logits"])
    assert np.any(np.array(training(image, training=True)["class_logits"]) != logits)
    states = {name: np.array(state) for name, state in random_states(training).items()}
    with nothing_dropped(training):
        np.testing.assert_array_equal(np.array(training(image, training=True)["class_logits"]), logits)
    for model in (plain, training):
        recompute_statistics(model, iter([image]), 1)
    arrays = to_arrays(training)
    for key, array in to_arrays(plain).items():
        np.testing.assert_array_equal(arrays[key], array)
    for name, state in random_states(training).items():
        np.testing.assert_array_equal(states[name], np.array(state))


def test_keras_layers_with_noise_are_part_of_the_state() -> None:
    image = keras.Input((3,), name="image")
    model = keras.Model(image, keras.layers.Dropout(0.5, name="dropout")(DropPath(Dropping(0.5), name="path")(image)))
    assert list(random_states(model)) == ["path", "dropout"]


def test_no_pyramid_no_drop_block() -> None:
    with pytest.raises(UserError, match="DropBlock needs a pyramid"):
        build_detector(VARIANTS["ssdlite"], regularization=Regularization(drop_block=Dropping(0.9)))
