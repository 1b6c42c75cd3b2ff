"""The pieces of a training one by one: schedule, frozen layers, statistics."""

import dataclasses

import keras
import numpy as np
import pytest

from nasfpn_lite.detector import build_detector
from nasfpn_lite.fitting import (
    compile_detector,
    freeze,
    make_learning_rate,
    make_losses,
    make_regularization,
    recompute_statistics,
)
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.regularizers import Dropping, Regularization
from nasfpn_lite.variants import VARIANTS


def recipe(**changes: object) -> TrainingRecipe:
    return TrainingRecipe(**{"batch_size": 8, "epochs": 1, "learning_rate": 0.8, "warmup_steps": 10, **changes})


def test_step_schedule_by_hand() -> None:
    rate = make_learning_rate(recipe(schedule="step", drops=(0.6, 0.8)), 100)
    assert [round(float(rate(step)), 6) for step in (0, 5, 10, 59, 60, 80, 99)] == [
        *(0.08, 0.44, 0.8, 0.8, 0.08, 0.008, 0.008)
    ]


@pytest.mark.parametrize(("optimizer", "name"), [("sgd", "SGD"), ("adamw", "AdamW")])
def test_the_recipe_chooses_the_optimizer(optimizer: str, name: str) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="class_logits")])
    compile_detector(model, recipe(schedule="cosine", optimizer=optimizer, weight_decay=0.25), 100)
    assert type(model.optimizer).__name__ == name
    assert (model.optimizer.weight_decay, model.optimizer.use_ema) == (0.25, True)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["FocalLoss", "BoxLoss"]),
        ({"box_loss": "giou"}, ["FocalLoss", "GIoULoss"]),
    ],
)
def test_the_recipe_chooses_the_losses(changes: dict[str, str], names: list[str]) -> None:
    for outputs in (("class_logits", "box_encodings"), ("exit1_class_logits", "exit1_box_encodings")):
        losses = make_losses(recipe(schedule="cosine", **changes), outputs)
        assert {name: type(loss).__name__ for name, loss in losses.items()} == dict(zip(outputs, names, strict=True))


def test_drop_block_lasts_the_whole_training_and_counts_parts() -> None:
    assert make_regularization(recipe(schedule="cosine"), 100, seed=3) == Regularization()
    ramp = recipe(schedule="cosine", drop_block_keep=0.9, accumulate=4)
    assert make_regularization(ramp, 100, seed=3) == Regularization(Dropping(0.9, ramp_steps=400, seed=3))
    constant = dataclasses.replace(ramp, drop_block_ramp=False)
    assert make_regularization(constant, 100, seed=3) == Regularization(Dropping(0.9, ramp_steps=0, seed=3))
    path = recipe(schedule="cosine", drop_path_keep=0.7)
    assert make_regularization(path, 100, seed=3) == Regularization(drop_path=Dropping(0.7, ramp_steps=0, seed=3))


def test_cosine_schedule_by_hand() -> None:
    rate = make_learning_rate(recipe(schedule="cosine"), 110)
    assert [round(float(rate(step)), 5) for step in (10, 60, 110)] == [0.8, 0.4, 0.0]


def test_freezing_stops_behind_stride_four() -> None:
    spec = dataclasses.replace(VARIANTS["fpnlite_64"], image_size=(64, 128), num_classes=2)
    model = build_detector(spec)
    freeze(model, 4)
    frozen = [layer.name for layer in model.layers if not layer.trainable and layer.weights]
    assert frozen[0] == "Conv1" and frozen[-1] == "block_3_expand_BN" and "block_2_project" in frozen
    assert model.get_layer("block_3_depthwise").trainable and model.get_layer("lateral_C3").trainable
    model = build_detector(spec)
    freeze(model, 0)
    assert all(layer.trainable for layer in model.layers)


def norm_model() -> keras.Model:
    image = keras.Input((4, 6, 3))
    return keras.Model(image, keras.layers.BatchNormalization(name="bn", momentum=0.999)(image))


def test_statistics_become_the_mean_over_batches() -> None:
    model, rng = norm_model(), np.random.default_rng(0)
    batches = [rng.normal(3, 2, (5, 4, 6, 3)).astype(np.float32) for _ in range(4)]
    recompute_statistics(model, iter(batches), len(batches))
    layer = model.get_layer("bn")
    means = np.mean([b.mean(axis=(0, 1, 2)) for b in batches], axis=0)
    variances = np.mean([b.var(axis=(0, 1, 2)) for b in batches], axis=0)
    np.testing.assert_allclose(np.array(layer.moving_mean), means, rtol=1e-4)
    np.testing.assert_allclose(np.array(layer.moving_variance), variances, rtol=1e-4)
    assert layer.momentum == 0.999
