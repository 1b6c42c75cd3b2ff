import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from nasfpn_lite.callbacks import (
    LOG_FIELDS,
    Checkpoint,
    NanGuard,
    RunLog,
    Validation,
    restore_checkpoint,
    take_averages,
    weights_given_back,
)
from nasfpn_lite.errors import UserError
from nasfpn_lite.regularizers import DropBlock, Dropping, random_states


def norm_model() -> keras.Model:
    image = keras.Input((4, 6, 3))
    return keras.Model(image, keras.layers.BatchNormalization(name="bn", momentum=0.999)(image))


def trained(ema: bool) -> keras.Model:
    model = norm_model()
    model.compile(keras.optimizers.SGD(0.1, use_ema=ema, ema_momentum=0.5, ema_overwrite_frequency=None), "mse")
    for factor in (2, 3):
        model.train_on_batch(np.ones((2, 4, 6, 3), np.float32), np.full((2, 4, 6, 3), factor, np.float32))
    return model


def test_averages_are_taken() -> None:
    model = trained(ema=True)
    before = np.array(model.get_layer("bn").beta)
    take_averages(model)
    assert not np.array_equal(before, np.array(model.get_layer("bn").beta))


def test_validation_scores_the_final_weights_and_gives_the_training_ones_back() -> None:
    model = trained(ema=True)
    before = [np.array(v) for v in model.weights]

    @contextmanager
    def shipped(model: keras.Model) -> Iterator[keras.Model]:
        with weights_given_back(model):
            for variable in model.weights:
                variable.assign(np.full(variable.shape, 7.0))
            yield model

    validation = Validation({1}, shipped, lambda model: float(np.array(model.weights[0])[0]))
    validation.set_model(model)
    logs: dict[str, float] = {}
    validation.on_epoch_end(0, logs)
    assert logs == {}
    validation.on_epoch_end(1, logs)
    assert logs == {"val_AP": 7.0}
    for value, variable in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(value, np.array(variable))


def test_nan_guard_names_the_images() -> None:
    guard = NanGuard(lambda step: [Path(f"image_{step}.jpg")], start_step=5)
    guard.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(UserError, match=r"nan at step 6(.|\n)*image_5\.jpg(.|\n)*image_6\.jpg"):
        guard.on_train_batch_end(1, {"loss": float("nan")})


STEPS_PER_ROUND, ROUNDS = 3, 4


def dropping_model(keep: float | None = 0.5) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 6, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(image)
    if keep is not None:
        x = DropBlock(Dropping(keep, ramp_steps=STEPS_PER_ROUND * ROUNDS), name="drop")(x)
    model = keras.Model(image, keras.layers.BatchNormalization(name="bn", momentum=0.9)(x))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=None), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model: keras.Model, rounds: range, path: Path) -> None:
    def batches():
        for step in range(rounds.start * STEPS_PER_ROUND, ROUNDS * STEPS_PER_ROUND):
            rng = np.random.default_rng(step)
            yield rng.normal(size=(2, 4, 6, 3)).astype(np.float32), rng.normal(size=(2, 4, 6, 4)).astype(np.float32)

    model.fit(
        batches(),
        steps_per_epoch=STEPS_PER_ROUND,
        initial_epoch=rounds.start,
        epochs=rounds.stop,
        callbacks=[Checkpoint(path, STEPS_PER_ROUND)],
        verbose=0,
        shuffle=False,
    )


def test_a_checkpoint_resumes_noise_and_schedule_exactly(tmp_path: Path) -> None:
    whole, path = dropping_model(), tmp_path / "checkpoint.npz"
    fit(whole, range(ROUNDS), tmp_path / "whole.npz")
    fit(dropping_model(), range(2), path)
    resumed = dropping_model()
    assert restore_checkpoint(resumed, path) == 2
    state = random_states(resumed)["drop"]
    assert int(np.array(state)[1]) == 2 * STEPS_PER_ROUND
    forgetful = dropping_model()
    restore_checkpoint(forgetful, path)
    forgetful.get_layer("drop").seed_generator.state.assign(np.array(random_states(dropping_model())["drop"]))
    for model in (resumed, forgetful):
        fit(model, range(2, ROUNDS), tmp_path / "rest.npz")
    assert int(np.array(state)[1]) == ROUNDS * STEPS_PER_ROUND
    for left, right in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(np.array(left), np.array(right))
    assert np.any(np.array(whole.weights[0]) != np.array(forgetful.weights[0]))


@pytest.mark.parametrize(("saved", "built"), [(0.5, None), (None, 0.5)])
def test_a_checkpoint_of_another_regularization_is_refused(
    tmp_path: Path, saved: float | None, built: float | None
) -> None:
    fit(dropping_model(saved), range(1), tmp_path / "checkpoint.npz")
    with pytest.raises(UserError, match="belongs to another model or recipe"):
        restore_checkpoint(dropping_model(built), tmp_path / "checkpoint.npz")


@pytest.mark.parametrize("exits", [0, 2])
def test_log_names_the_losses_of_each_exit(tmp_path: Path, exits: int) -> None:
    log = RunLog(tmp_path / "log.csv", start_step=0, steps_per_round=5, steps_per_epoch=10)
    log.set_model(trained(ema=False))
    logs = {"loss": 3.0, "class_logits_loss": 2.0, "box_encodings_loss": 1.0}
    for number in range(1, exits + 1):
        logs |= {f"exit{number}_class_logits_loss": number + 0.5, f"exit{number}_box_encodings_loss": number + 0.25}
    log.on_epoch_end(0, logs)
    with (tmp_path / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["step"], row["class_loss"], row["box_loss"]) == ("5", "2", "1")
    named = {key: value for key, value in row.items() if key not in LOG_FIELDS}
    expected = {
        **{"exit1_box_loss": "1.25", "exit1_class_loss": "1.5"},
        **{"exit2_box_loss": "2.25", "exit2_class_loss": "2.5"},
    }
    assert named == (expected if exits else {})


def test_a_log_without_a_path_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = RunLog(None, start_step=5, steps_per_round=5, steps_per_epoch=10)
    log.set_model(trained(ema=False))
    log.on_epoch_end(1, {"loss": 3.0, "class_logits_loss": 2.0, "box_encodings_loss": 1.0})
    assert [row["step"] for row in log.rows] == ["10"]
    assert list(tmp_path.iterdir()) == []
