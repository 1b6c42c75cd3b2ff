"""Deep supervision: one head over the features of several pyramids."""

import dataclasses

import keras
import numpy as np
import pytest

from nasfpn_lite.detector import build_detector
from nasfpn_lite.exits import exit_loss_weights, output_name, repeat_targets
from nasfpn_lite.fitting import compile_detector
from nasfpn_lite.genotype import Genotype, MergingCell
from nasfpn_lite.recipes import PRESETS, RecipeError, TrainingRecipe
from nasfpn_lite.specs import DetectorSpec, NeckSpec, SpecError
from nasfpn_lite.variants import VARIANTS
from nasfpn_lite.weights import set_arrays, to_arrays

TWO_CELLS = Genotype(3, 4, (MergingCell(4, "attention", (0, 1)), MergingCell(3, "sum", (0, 2))))


def small_spec(repeats: int = 3, exits: tuple[int, ...] = (1, 3)) -> DetectorSpec:
    neck = NeckSpec("nasfpn", 3, 4, width=16, repeats=repeats, genotype=TWO_CELLS)
    return dataclasses.replace(VARIANTS["nasfpnlite_3x48"], neck=neck, image_size=(64, 128), num_classes=2, exits=exits)


@pytest.fixture(scope="module")
def supervised() -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_detector(small_spec(), every_exit=True)


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 64, 128, 3)).astype(np.float32)


@pytest.mark.parametrize("repeats", [1, 3])
def test_each_exit_is_the_plain_detector_of_so_many_pyramids(supervised: keras.Model, repeats: int) -> None:
    plain = build_detector(small_spec(repeats, exits=()))
    arrays = to_arrays(supervised)
    set_arrays(plain, {key: arrays[key] for key in to_arrays(plain)})
    expected, outputs = plain(photos(2)), supervised(photos(2))
    for name, values in expected.items():
        found = outputs[name if repeats == 3 else f"exit1_{name}"]
        np.testing.assert_allclose(found, values, rtol=0, atol=1e-5)


def test_weights_are_those_of_the_plain_detector(supervised: keras.Model) -> None:
    plain = build_detector(small_spec())  # the spec alone adds nothing
    assert list(plain.output) == ["box_encodings", "class_logits"]
    assert {k: v.shape for k, v in to_arrays(plain).items()} == {k: v.shape for k, v in to_arrays(supervised).items()}


def test_the_head_normalises_all_exits_together() -> None:
    keras.utils.set_random_seed(3)
    model = build_detector(small_spec(), every_exit=True, bn_momentum=0.0)
    name = "head_box1_P3"
    inside = keras.Model(model.input, model.get_layer(f"{name}_pointwise").output)
    # In training mode, as the norms before the head see it then.
    before = np.asarray(inside(photos(2), training=True))
    assert len(before) == 4  # two photos at two exits
    model(photos(2), training=True)
    norm = model.get_layer(f"{name}_bn")
    np.testing.assert_allclose(norm.moving_mean, before.mean(axis=(0, 1, 2)), atol=1e-4)
    apart = before[:2].mean(axis=(0, 1, 2)) - before[2:].mean(axis=(0, 1, 2))
    assert np.abs(apart).max() > 1e-2  # so that one exit's mean would not pass


def test_output_names() -> None:
    spec = small_spec(repeats=4, exits=(1, 2, 4))
    assert [output_name(spec, n, "class_logits") for n in (1, 2, 3)] == [
        *("exit1_class_logits", "exit2_class_logits", "class_logits")
    ]


@pytest.mark.parametrize(
    ("given", "expected"), [((), (0.5, 0.5)), ((1.0, 3.0), (0.25, 0.75)), ((2.0, 2.0), (0.5, 0.5))]
)
def test_loss_weights(given: tuple[float, ...], expected: tuple[float, float]) -> None:
    first, last = expected
    assert exit_loss_weights(small_spec(), given) == {
        "exit1_box_encodings": first,
        "exit1_class_logits": first,
        "box_encodings": last,
        "class_logits": last,
    }


def test_targets_are_the_same_for_all_exits() -> None:
    targets = {"box_encodings": np.zeros((1, 3, 5)), "class_logits": np.zeros((1, 3))}
    images, repeated = next(repeat_targets([("images", targets)], small_spec()))
    assert images == "images"
    assert set(repeated) == {"box_encodings", "class_logits", "exit1_box_encodings", "exit1_class_logits"}
    assert repeated["exit1_box_encodings"] is targets["box_encodings"]
    assert next(repeat_targets([("images", targets)], small_spec(exits=())))[1] == targets


def test_losses_are_named_and_weighted_by_exit(supervised: keras.Model) -> None:
    weights = exit_loss_weights(small_spec(), (1.0, 3.0))
    compile_detector(supervised, PRESETS["finetune"], 10, weights)
    supervised.run_eagerly = True
    anchors = supervised.output["box_encodings"].shape[1]
    boxes = np.random.default_rng(1).uniform(-1, 1, (1, anchors, 5)).astype(np.float32)
    targets = {"class_logits": np.zeros((1, anchors), np.int32), "box_encodings": np.round(boxes * [1, 1, 1, 1, 0]) + 1}
    _, repeated = next(repeat_targets([(None, targets)], small_spec()))
    logs = supervised.test_on_batch(photos(1), repeated, return_dict=True)
    parts = {name: logs[f"{name}_loss"] for name in weights}
    assert parts["exit1_class_logits"] != parts["class_logits"]
    assert logs["loss"] == pytest.approx(sum(weights[name] * parts[name] for name in weights), rel=1e-5)


@pytest.mark.parametrize("exits", [(3,), (1, 2), (2, 1, 3), (1, 1, 3), (0, 3), (1, 4)])
def test_senseless_exits_are_refused(exits: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=r"two or more pyramids of the neck's 3, ascending, the last one 3, got \("):
        small_spec(exits=exits)


def test_specs_with_and_without_exits_survive_json() -> None:
    plain, spec = small_spec(exits=()), small_spec(exits=(1, 2, 3))
    assert "exits" not in plain.to_dict()
    assert DetectorSpec.from_dict(plain.to_dict()) == plain
    assert DetectorSpec.from_dict(spec.to_dict()) == spec


def test_exit_weights_are_positive_and_survive_json() -> None:
    recipe = dataclasses.replace(PRESETS["finetune"], exit_weights=(1, 2))
    assert TrainingRecipe.from_dict(recipe.to_dict()) == recipe
    before = {key: value for key, value in recipe.to_dict().items() if key != "exit_weights"}
    assert TrainingRecipe.from_dict(before).exit_weights == ()
    with pytest.raises(RecipeError, match="exit_weights must be positive"):
        dataclasses.replace(recipe, exit_weights=(1, 0))
