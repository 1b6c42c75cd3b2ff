"""The state of a training on disk, from which it goes on."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nasfpn_lite.errors import UserError
from nasfpn_lite.regularizers import random_states
from nasfpn_lite.team import Team
from nasfpn_lite.weights import parse_arrays, read_bytes, save_arrays, set_arrays, to_arrays

MAX_CHECKPOINT_SHARE = 0.02


class Checkpoint(keras.callbacks.Callback):
    """Saves model, optimizer (averages included), seed generators and step after rounds, whole or not at all.

    After the first round and the last, and after every one with a validation; after others only where saving takes no
    more than MAX_CHECKPOINT_SHARE of the time trained since it was done.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.began_s = self.trained_s = self.due_s = 0.0  # due after so many seconds of training

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the round's clock: before it, other callbacks may wait for something."""
        if batch == 0:
            self.began_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves the state from which the next round starts, if it is time to."""
        self.trained_s += time.monotonic() - self.began_s
        last = epoch + 1 == self.params["epochs"]  # not at the end of training: Keras changes the weights before that
        if last or "val_AP" in (logs or {}) or self.trained_s >= self.due_s:
            self._save(epoch + 1)

    def _save(self, next_round: int) -> None:
        began_s = time.monotonic()
        arrays = {f"model/{key}": value for key, value in to_arrays(self.model).items()}
        arrays |= {f"optimizer/{i}": np.array(v) for i, v in enumerate(self.model.optimizer.variables)}
        arrays |= {f"random/{name}": np.array(state) for name, state in random_states(self.model).items()}
        arrays["round"] = np.array(next_round)
        save_arrays(arrays, self.path)
        self.trained_s, self.due_s = 0.0, (time.monotonic() - began_s) / MAX_CHECKPOINT_SHARE


def restore_checkpoint(model: Any, path: Path, team: Team | None = None) -> int:
    """Puts a checkpoint back into a compiled model.

    Args:
        team: Where several processes do so at once; the first one reads the file.

    Returns:
        The round to go on with.
    """
    team = team or Team()
    arrays = parse_arrays(team.take_from_first(read_bytes(path) if team.is_first else b""), source=str(path))
    model.optimizer.build(model.trainable_variables)
    saved = [arrays[f"optimizer/{i}"] for i in range(sum(key.startswith("optimizer/") for key in arrays))]
    variables = model.optimizer.variables
    states = {f"random/{name}": state for name, state in random_states(model).items()}
    same_states = states.keys() == {key for key in arrays if key.startswith("random/")}
    if not same_states or [v.shape for v in saved] != [tuple(v.shape) for v in variables]:
        raise UserError(f"{path} belongs to another model or recipe; start afresh in another folder")
    set_arrays(model, {key[6:]: value for key, value in arrays.items() if key.startswith("model/")}, source=str(path))
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    for key, state in states.items():
        state.assign(arrays[key])
    return int(arrays["round"])
