"""One process of a team that trains a variant on batches in memory, as many steps as each line of its input tells."""

import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nasfpn_lite.benchmarks.memory import peak_memory_bytes
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.team import Team, TeamOptions, assemble
from nasfpn_lite.variants import get_spec

_BATCHES, _POSITIVE_SHARE = 2, 0.01
_SCHEDULED_STEPS = 100_000


def make_batches(spec: Any, size: int, team: Team) -> Iterator[Any]:
    """Yields this process's share of batches of noise, over and over: what a step costs does not depend on content."""
    from nasfpn_lite.anchors import make_anchors

    rng = np.random.default_rng(team.index)
    anchors, made = len(make_anchors(spec)), []
    for _ in range(_BATCHES):
        positive = rng.random((size // team.processes, anchors)) < _POSITIVE_SHARE
        labels = np.where(positive, rng.integers(0, spec.num_classes, positive.shape), -1).astype(np.int32)
        boxes = rng.normal(size=(*positive.shape, 5)).astype(np.float32)
        boxes[..., 4] = positive
        images = rng.uniform(-1, 1, (len(positive), *spec.image_size, 3)).astype(np.float32)
        made.append((images, {"class_logits": labels, "box_encodings": boxes}))
    return itertools.cycle(made)


def build(spec: Any, batch: int, precision: str, team: Team) -> Any:
    """Builds and compiles a detector as `train` does, with the paper's recipe."""
    from dataclasses import replace

    import keras

    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.fitting import compile_detector

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    recipe = replace(PRESETS["paper"], batch_size=batch)  # the precision is set for the whole process
    team.check_batch(recipe)
    with team.scope():
        model = team.prepare(build_detector(spec))
        compile_detector(model, recipe, _SCHEDULED_STEPS)
    return model


def serve(model: Any, batches: Iterator[Any], steps: int, team: Team, answer: Callable[[dict[str, Any]], None]) -> None:
    """Trains some steps for each line of standard input; answers with the seconds of each, input included.

    All within one `fit`: on JAX, Keras 3.15 cannot call it twice in every case.
    """
    import keras

    class Turns(keras.callbacks.Callback):
        ends: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if not sys.stdin.readline():
                raise EOFError
            self.ends = [time.perf_counter()]

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            float((logs or {})["loss"])  # waits for the step
            self.ends.append(time.perf_counter())

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            memory = {"process_bytes": peak_memory_bytes(), "device_bytes": device_memory_bytes()}
            answer({"step_seconds": [after - before for before, after in itertools.pairwise(self.ends)], **memory})

    share = team.feed(lambda: (next(batches) for _ in itertools.count()))
    with team.fitting(), contextlib.suppress(EOFError):
        options = {"steps_per_epoch": steps, "epochs": _SCHEDULED_STEPS, "verbose": 0, "shuffle": False}
        model.fit(share, callbacks=[Turns()], **options)


def device_memory_bytes() -> int | None:
    """Returns the most memory that one of this process's accelerators held; None on a CPU."""
    import keras

    if keras.backend.backend() != "jax":
        return None
    import jax

    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return max((entry.get("peak_bytes_in_use", 0) for entry in stats), default=0) or None


def _divide_cpu(devices: int) -> None:
    """Makes devices of TensorFlow's CPU where there is no GPU; JAX does it by XLA_FLAGS."""
    import keras

    if keras.backend.backend() != "tensorflow" or devices == 1:
        return
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)


def main(argv: list[str] | None = None) -> int:
    """Serves one setup until its standard input ends."""
    setup = json.loads((argv or sys.argv[1:])[0])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")  # what libraries print goes to standard error
    os.dup2(2, 1)

    def answer(data: dict[str, Any]) -> None:
        answers.write(json.dumps(data) + "\n")
        answers.flush()

    try:
        _divide_cpu(setup["team"]["devices"])
        team = assemble(TeamOptions(**setup["team"]))
        spec = get_spec(setup["variant"], size=setup["size"])
        model = build(spec, setup["batch"], setup["precision"], team)
        batches = make_batches(spec, setup["batch"], team)
        serve(model, batches, setup["steps"], team, answer)
    except UserError as error:
        answer({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
