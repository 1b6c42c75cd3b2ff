import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from nasfpn_lite.callbacks import (
    NanGuard,
    RunLog,
    Validation,
    take_averages,
    weights_given_back,
)
from nasfpn_lite.errors import UserError


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
    first = ["step", "epoch", "loss", "class_loss", "box_loss", "learning_rate", "seconds", "val_AP"]
    assert list(row)[:8] == first
    named = {key: row[key] for key in list(row)[8:]}
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
