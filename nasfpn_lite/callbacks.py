"""What happens beside the steps of a training: log, progress, validation, the guard against NaN."""

import csv
import io
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically

logger = logging.getLogger(__name__)

_EXIT_LOSS = re.compile(r"(exit\d+_)(class|box)_(?:logits|encodings)_loss")


class NanGuard(keras.callbacks.Callback):
    """Stops with the names of the batch's images as soon as the loss is no number."""

    def __init__(self, files_of_step: Callable[[int], list[Path]], start_step: int) -> None:
        super().__init__()
        self.files_of_step, self.step = files_of_step, start_step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the loss of the step that has just ended."""
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            # A finite loss can have a gradient that is no number; then the batch before is the guilty one.
            steps = range(max(0, self.step - 1), self.step + 1)
            names = "\n  ".join(str(path) for step in steps for path in self.files_of_step(step))
            raise UserError(
                f"the loss became {loss} at step {self.step}; the images of this step and the one before:\n  {names}\n"
                "check them with `nasfpn-lite data check`, or train with a lower --learning-rate"
            )
        self.step += 1


class RunLog(keras.callbacks.Callback):
    """Keeps log.csv: one row a round, rewritten whole; a resumed run drops the rows after its checkpoint.

    `seconds` are the whole round's, its validation included. `class_loss` and `box_loss` are the last exit's; earlier
    exits' follow at the end as `exit1_class_loss` and so on.
    Without a path it writes nothing, but computes the same: all processes of a team have to.
    """

    def __init__(self, path: Path | None, *, start_step: int, steps_per_round: int, steps_per_epoch: int) -> None:
        super().__init__()
        self.path, self.steps_per_round, self.steps_per_epoch = path, steps_per_round, steps_per_epoch
        self.rows = [row for row in _read_rows(path) if int(row["step"]) <= start_step] if path and start_step else []
        self.started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the round's clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Appends the round's row."""
        logs, step = logs or {}, (epoch + 1) * self.steps_per_round
        values = {
            "step": step,
            "epoch": f"{step / self.steps_per_epoch:.3f}",
            "loss": f"{float(logs['loss']):.6g}",
            "class_loss": f"{float(logs['class_logits_loss']):.6g}",
            "box_loss": f"{float(logs['box_encodings_loss']):.6g}",
            "learning_rate": f"{float(np.asarray(self.model.optimizer.learning_rate)):.6g}",
            "seconds": f"{time.monotonic() - self.started:.2f}",
            "val_AP": f"{logs['val_AP']:.4f}" if "val_AP" in logs else "",
        }
        exits = {_EXIT_LOSS.sub(r"\1\2_loss", k): f"{float(v):.6g}" for k, v in logs.items() if _EXIT_LOSS.fullmatch(k)}
        values |= dict(sorted(exits.items()))
        self.rows.append({key: str(value) for key, value in values.items()})
        text = io.StringIO()
        writer = csv.DictWriter(text, list(values), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        if self.path is not None:
            write_text_atomically(self.path, text.getvalue())


class Validation(keras.callbacks.Callback):
    """Scores the validation images after some rounds, on the weights that would be shipped if training ended there."""

    def __init__(
        self,
        rounds: set[int],
        shipped: Callable[[Any], AbstractContextManager[Any]],
        score: Callable[[Any], float],
    ) -> None:
        """Prepares.

        Args:
            shipped: Gives, for a with block, a model with the weights to ship.
        """
        super().__init__()
        self.rounds, self.shipped, self.score = rounds, shipped, score

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds val_AP to the round's logs."""
        if epoch in self.rounds and logs is not None:
            with self.shipped(self.model) as model:
                logs["val_AP"] = self.score(model)


class Progress(keras.callbacks.Callback):
    """A bar with ETA where stderr is a terminal, a line per round elsewhere."""

    def __init__(self, total_steps: int, start_step: int) -> None:
        super().__init__()
        self.total, self.start, self.step = total_steps, start_step, start_step
        self.began = self.steady = time.monotonic()
        self.last_ap = ""
        self.bar: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Opens the bar."""
        self.began = self.steady = time.monotonic()
        logger.info("the first step takes a minute or more: it builds the graph")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self.bar = Bar(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True))
            self.task = self.bar.add_task("training", total=self.total, completed=self.start)
            self.bar.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
        self.step += 1
        if self.step == self.start + 1:
            self.steady = time.monotonic()  # the first step also builds the graph, a minute that never comes again
        if self.bar:
            text = f"loss {float((logs or {}).get('loss', 0)):.3f}{self.last_ap}"
            self.bar.update(self.task, completed=self.step, description=text)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Says where the training stands."""
        logs = logs or {}
        self.last_ap = f", val AP {logs['val_AP']:.3f}" if "val_AP" in logs else self.last_ap
        if not self.bar:
            now = time.monotonic()
            elapsed = now - self.began
            left = (now - self.steady) / max(1, self.step - self.start - 1) * (self.total - self.step)
            logger.info(
                "step %d of %d, loss %.3f%s, %.0f s, %.0f s to go",
                *(self.step, self.total, float(logs["loss"]), self.last_ap, elapsed, left),
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the bar."""
        self.close()

    def close(self) -> None:
        """Closes the bar, also after an error."""
        if self.bar:
            self.bar.stop()
            self.bar = None


def take_averages(model: Any, into: Any = None) -> None:
    """Sets the weights of a model to its optimizer's averages, or those of a model of the same layers."""
    averages = [variable for variable in model.optimizer.variables if variable.name.endswith("_average")]
    for variable, average in zip((into or model).trainable_variables, averages, strict=True):
        # As arrays of their own: JAX would share one buffer between weight and average, and gives buffers away.
        variable.assign(np.array(average))


@contextmanager
def weights_given_back(model: Any) -> Iterator[None]:
    """Puts every weight back at the end of a with block, batch-norm statistics included."""
    saved = [np.array(variable) for variable in model.weights]
    try:
        yield
    finally:
        for variable, value in zip(model.weights, saved, strict=True):
            variable.assign(value)


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
