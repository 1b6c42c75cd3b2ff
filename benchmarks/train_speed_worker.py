"""Trains in turns for `train_speed`, which starts this file: the whole way of `train`, or `train_on_batch` alone.

    python -m nasfpn_lite.benchmarks.train_speed_worker JOB

JOB is the JSON of a `Side`. See `turns` for what is said on standard input and output.
"""

import dataclasses
import importlib.metadata
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from nasfpn_lite.benchmarks.train_speed import SETTLING_STEPS, STEPS_PER_TURN, Side
from nasfpn_lite.cost import count_cost_of
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.data.pipeline import TrainingData, make_training_data
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.train import TrainingJob, train

PRELOADED_BATCHES, TIMED_BATCHES = 4, 30
_PACKAGES = {"tensorflow": ("keras", "tensorflow"), "jax": ("keras", "jax")}


def to_job(side: Side) -> TrainingJob:
    """Returns what `train` takes; validations, for which a plain loop has nothing, are left out."""
    recipe = dataclasses.replace(TrainingRecipe.from_dict(side.recipe), validations=0)
    weights = "imagenet" if side.pretrained else None
    return TrainingJob(Path(side.data), DetectorSpec.from_dict(side.spec), recipe, backbone_weights=weights)


class Channel:
    """The line to the program that gives the turns. What else this process prints goes to stderr."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def say(self, answer: dict[str, Any]) -> None:
        """Sends a line of JSON."""
        print(json.dumps(answer), file=self._out, flush=True)

    def wait(self) -> bool:
        """Waits for a turn; False where there will be none."""
        return bool(sys.stdin.readline())


class Stopwatch:
    """Time, and processor time of all threads of this process, since it was made."""

    def __init__(self) -> None:
        self._seconds, self._cpu_seconds = time.perf_counter(), time.process_time()

    def to_answer(self, steps: int) -> dict[str, Any]:
        """Returns what is said after a turn."""
        seconds, cpu_seconds = time.perf_counter() - self._seconds, time.process_time() - self._cpu_seconds
        return {"seconds": seconds, "cpu_seconds": cpu_seconds, "steps": steps}


class _Ended(Exception):
    """There are no more turns."""


class TurnsInTraining(keras.callbacks.Callback):
    """Makes each round of a training a turn: from its fourth step until its checkpoint is written."""

    def __init__(self, channel: Channel, ready: dict[str, Any]) -> None:
        super().__init__()
        self.channel, self.ready = channel, ready
        self.step, self.watch = 0, Stopwatch()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Says that everything is built."""
        self.channel.say(self.ready)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Waits for the turn."""
        if not self.channel.wait():
            raise _Ended
        self.step = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock after the steps that do not count."""
        self.step += 1
        if self.step == SETTLING_STEPS:
            self.watch = Stopwatch()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Answers."""
        self.channel.say(self.watch.to_answer(self.step - SETTLING_STEPS))


class _Taken(Exception):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model


class _Take(keras.callbacks.Callback):
    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        raise _Taken(self.model)


def take_model(job: TrainingJob, folder: Path) -> Any:
    """Returns the compiled model of a training before its first step: the same layers, weights, losses, optimizer."""
    try:
        train(job, folder, callbacks=[_Take()])
    except _Taken as taken:
        return taken.model
    raise RuntimeError("a training began without a call of on_train_begin")


def serve_training(job: TrainingJob, folder: Path, channel: Channel) -> None:
    """Trains as `train` does, a round in each turn, until there are no more turns."""
    try:
        train(job, folder, callbacks=[TurnsInTraining(channel, _describe(job))])
    except _Ended:
        return
    raise RuntimeError(f"the training ended after {job.recipe.epochs} epochs, before the turns did")


def serve_batches(job: TrainingJob, folder: Path, channel: Channel) -> None:
    """Calls `train_on_batch` on arrays in memory, in each turn."""
    model = take_model(job, folder)
    split = load_split(job.data, "train", seed=job.seed)
    data = make_training_data(
        split, job.spec, batch_size=job.recipe.batch_size, seed=job.seed, augment=job.recipe.augment, workers=0
    )
    preloaded, batch_s = time_batches(data)
    channel.say({**_describe(job), "batch_ms": 1000 * batch_s})
    batches = itertools.cycle(preloaded)
    while channel.wait():
        _train_on_batches(model, batches, SETTLING_STEPS)
        watch = Stopwatch()
        _train_on_batches(model, batches, STEPS_PER_TURN - SETTLING_STEPS)
        channel.say(watch.to_answer(STEPS_PER_TURN - SETTLING_STEPS))


def time_batches(data: TrainingData) -> tuple[list[Any], float]:
    """Makes some batches, and says how many seconds one takes with nothing else running."""
    batches: Iterator[Any] = data.iterate()
    kept: list[Any] = []
    seconds: list[float] = []
    for _ in range(TIMED_BATCHES):
        started = time.perf_counter()
        batch = next(batches)
        seconds.append(time.perf_counter() - started)
        kept += [batch] if len(kept) < PRELOADED_BATCHES else []
    return kept, statistics.median(seconds)


def _train_on_batches(model: Any, batches: Iterator[Any], steps: int) -> None:
    for images, targets in itertools.islice(batches, steps):
        model.train_on_batch(images, targets)


def _describe(job: TrainingJob) -> dict[str, Any]:
    packages = _PACKAGES[keras.backend.backend()]
    return {
        **dataclasses.asdict(count_cost_of(job.spec)),
        "batch_size": job.recipe.batch_size,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def main(argv: list[str]) -> int:
    """Serves turns until standard input ends."""
    channel = Channel()
    side = Side(**json.loads(argv[0]))
    with tempfile.TemporaryDirectory(prefix="nasfpn-lite-train-speed-") as folder:
        (serve_training if side.whole else serve_batches)(to_job(side), Path(folder), channel)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
