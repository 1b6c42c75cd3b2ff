"""Checkpoints: what is restored, and when they are written."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

from nasfpn_lite import checkpoint
from nasfpn_lite.checkpoint import Checkpoint, restore_checkpoint
from nasfpn_lite.errors import UserError
from nasfpn_lite.regularizers import DropBlock, Dropping, random_states

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
        callbacks=[Checkpoint(path)],
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


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def test_saving_takes_a_fiftieth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of 10 s; a checkpoint takes 0.5 s, so that 25 s pass before the next: rounds 1, 4, 7 and the last."""
    clock, saved = Clock(), []

    def save(arrays: dict[str, np.ndarray], path: Path) -> None:
        saved.append(int(arrays["round"]))
        clock.now_s += 0.5

    monkeypatch.setattr(checkpoint, "time", clock)
    monkeypatch.setattr(checkpoint, "save_arrays", save)
    callback = Checkpoint(tmp_path / "checkpoint.npz")
    callback.set_model(dropping_model())
    callback.set_params({"epochs": 8})
    for epoch in range(8):
        clock.now_s += 100  # waiting for something, which does not count
        callback.on_train_batch_begin(0)
        clock.now_s += 6
        callback.on_train_batch_begin(1)
        clock.now_s += 4
        callback.on_epoch_end(epoch, {})
    assert saved == [1, 4, 7, 8]


def test_a_validated_round_is_always_saved(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    callback = Checkpoint(path)
    callback.set_model(dropping_model())
    callback.set_params({"epochs": 8})
    callback.on_epoch_end(0, {})
    callback.due_s = float("inf")
    os.utime(path, ns=(0, 0))
    callback.on_epoch_end(1, {})
    assert path.stat().st_mtime_ns == 0
    callback.on_epoch_end(2, {"val_AP": 0.25})
    assert restore_checkpoint(dropping_model(), path) == 3
