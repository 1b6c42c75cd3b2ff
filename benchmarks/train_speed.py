"""Steps per second of a training, beside a plain Keras loop and beside TF Model Garden, in turns on one machine.

    python -m nasfpn_lite.benchmarks.train_speed [--data DIR] [--model-garden-python PYTHON]

First the whole way of `train`, from photos on disk to log and checkpoints, beside `train_on_batch` of the same compiled
model on arrays in memory. Then, with a Python that has tf-models-official, `train_on_batch` of this package's networks
beside Model Garden's own training loop of its RetinaNet on MobileNetV2, with as wide a pyramid, all layers trained from
random weights, on arrays in memory too.

Exits with 1 when the whole way makes less than 0.9 of the plain loop's steps per second, or Model Garden is faster.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.benchmarks.demo_set import make_demo_set
from nasfpn_lite.benchmarks.record import read_machine
from nasfpn_lite.benchmarks.statistics import Estimate, estimate_median
from nasfpn_lite.benchmarks.turns import Program, Turns, take_turns
from nasfpn_lite.cli.common import add_json_argument, positive_int
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS, TrainingRecipe
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.variants import get_spec

MODEL_GARDEN = "tf-models-official"
PYTHON_VARIABLE = "NASFPN_MODEL_GARDEN_PYTHON"
LEAST_OF_PLAIN, LEAST_OF_MODEL_GARDEN = 0.9, 1.0
BACKENDS = ("tensorflow", "jax")
TRAININGS: dict[str, dict[str, Any]] = {
    "finetune": {},
    "accumulate 2": {"accumulate": 2},
    "DropBlock 0.9": {"drop_block_keep": 0.9},
}
BESIDE_MODEL_GARDEN = ("fpnlite_64", "nasfpnlite_3x48")  # the first decides how wide Model Garden's pyramid is
# Steps that do not count: background threads' buffers, filled while others had their turn, are emptied in them.
SETTLING_STEPS = 3
STEPS_PER_TURN = 25  # of a loop; a training's turn is its round of steps
_TRAINING_HEAD = ("training", "backend", "ms a step", "plain, ms", "speed", "by processor time", "a batch alone, ms")
_NETWORK_HEAD = ("network", "backend", "parameters", "GFLOPs", "ms a step", "images/s", "speed", "by processor time")
_RUNNER = Path(__file__).with_name("model_garden_runner.py")
_WORKER = "nasfpn_lite.benchmarks.train_speed_worker"


@dataclass(frozen=True)
class Side:
    """What `train_speed_worker` is to do.

    Attributes:
        data: COCO folder.
        spec, recipe: As their `to_dict` gives them.
        pretrained: Begin with the backbone's weights and freeze as the recipe says; else train all layers.
        whole: The whole way of `train`, from files to checkpoints; else `train_on_batch` on arrays in memory.
    """

    data: str
    spec: dict[str, Any]
    recipe: dict[str, Any]
    pretrained: bool
    whole: bool

    def to_program(self, name: str, backend: str) -> Program:
        """Returns how to start it."""
        command = (sys.executable, "-m", _WORKER, json.dumps(dataclasses.asdict(self)))
        return Program(name, command, {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"})


@dataclass(frozen=True)
class Options:
    """What all trainings of a run share."""

    data: Path
    size: str | None
    batch_size: int
    rounds: int


@dataclass(frozen=True)
class Row:
    """One training's speed, and how it compares with another's.

    Attributes:
        ratio: Its steps per second over the other's, from the ratios of the same round.
        cpu_ratio: The same from processor time, which tells on a busy machine too; what waits for nothing but a
            processor is as fast as that.
        batch_ms: Making one batch with nothing else to do, where it was measured.
        params, flops: As `cost.count_cost` counts them.
    """

    name: str
    backend: str
    step_ms: float
    other_step_ms: float
    ratio: Estimate
    cpu_ratio: Estimate
    images_per_s: float
    batch_ms: float | None
    params: int
    flops: int
    versions: dict[str, str]


def time_training(options: Options, spec: DetectorSpec, training: str, backend: str) -> Row:
    """Times the whole way of a training beside `train_on_batch` of the same model."""
    recipe = dataclasses.replace(PRESETS["finetune"], batch_size=options.batch_size, **TRAININGS[training])
    side = Side(str(options.data), spec.to_dict(), recipe.to_dict(), pretrained=True, whole=True)
    loop = dataclasses.replace(side, whole=False)
    programs = [side.to_program("train", backend), loop.to_program("train_on_batch", backend)]
    return to_rows([training, "train_on_batch"], [backend] * 2, take_turns(programs, options.rounds))[0]


def time_model_garden(
    options: Options, specs: dict[str, DetectorSpec], python: str, backends: Sequence[str]
) -> list[Row]:
    """Times `train_on_batch` of detectors beside Model Garden's RetinaNet; the last row is Model Garden's own."""
    recipe = dataclasses.replace(_paper_recipe(), batch_size=options.batch_size)
    keys = [(name, backend) for backend in backends for name in specs]
    programs = [
        Side(str(options.data), specs[name].to_dict(), recipe.to_dict(), pretrained=False, whole=False).to_program(
            name, backend
        )
        for name, backend in keys
    ]
    theirs = to_model_garden(next(iter(specs.values())), options.batch_size, python)
    turns = take_turns([*programs, theirs], options.rounds)
    return to_rows([*(name for name, _ in keys), theirs.name], [*(b for _, b in keys), "tensorflow"], turns)


def _paper_recipe() -> TrainingRecipe:
    # A rate for batches of 64 would let the loss overflow in small ones.
    return dataclasses.replace(PRESETS["paper"], learning_rate=0.001)


def to_model_garden(spec: DetectorSpec, batch_size: int, python: str) -> Program:
    """Returns how to start Model Garden's training of a RetinaNet of a spec's size, classes, levels and width."""
    job = {
        "size": spec.image_size,
        "classes": spec.num_classes,
        "batch_size": batch_size,
        "steps": STEPS_PER_TURN,
        "settling_steps": SETTLING_STEPS,
        "levels": (spec.neck.min_level, spec.neck.max_level),
        "filters": spec.neck.width,
        "head_convs": spec.head.depth,
    }
    # Without it Python would find this folder's modules first, among them one named `statistics`.
    environment = {"PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return Program("Model Garden's RetinaNet", (python, str(_RUNNER), json.dumps(job)), environment)


def find_model_garden(python: str) -> str:
    """Returns the version of tf-models-official beside a Python.

    Raises:
        UserError: There is none, told before anything is measured.
    """
    code = f"import importlib.metadata; print(importlib.metadata.version({MODEL_GARDEN!r}))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(
            f"expected a Python with {MODEL_GARDEN}, but cannot start {python}: {error.strerror}"
        ) from error
    if done.returncode != 0:
        raise UserError(f"expected a Python with {MODEL_GARDEN}, but {python} has none; install it there")
    return done.stdout.strip()


def to_rows(names: Sequence[str], backends: Sequence[str], turns: Turns) -> list[Row]:
    """Gathers the programs' figures; the last one is what the others are compared with."""
    medians = [statistics.median(column) for column in zip(*turns.seconds, strict=True)]
    return [
        Row(
            name=name,
            backend=backend,
            step_ms=1000 * median,
            other_step_ms=1000 * medians[-1],
            ratio=ratio,
            cpu_ratio=cpu_ratio,
            images_per_s=ready["batch_size"] / median,
            batch_ms=ready.get("batch_ms", turns.ready[-1].get("batch_ms")),
            params=ready["params"],
            flops=ready["flops"],
            versions=ready["versions"],
        )
        for name, backend, ready, median, ratio, cpu_ratio in zip(
            names,
            backends,
            turns.ready,
            medians,
            _compare(turns.seconds),
            _compare(turns.cpu_seconds),
            strict=True,
        )
    ]


def _compare(seconds: Sequence[Sequence[float]]) -> list[Estimate]:
    """Returns each program's speed over the last one's."""
    columns = list(zip(*seconds, strict=True))
    return [
        estimate_median([other / own for own, other in zip(column, columns[-1], strict=True)]) for column in columns
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and compares with the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="COCO folder (default: the demo's drawn photos)")
    parser.add_argument("--variant", default="nasfpnlite_3x48", help="of the first part (default: %(default)s)")
    parser.add_argument("--size", help="S or HxW")
    parser.add_argument("--batch-size", type=positive_int, default=8)
    parser.add_argument("--rounds", type=positive_int, default=7, help="of turns (default: %(default)s)")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=["tensorflow"])
    parser.add_argument("--trainings", nargs="*", choices=tuple(TRAININGS), default=list(TRAININGS), metavar="NAME")
    parser.add_argument(
        "--model-garden-python", default=os.environ.get(PYTHON_VARIABLE), help=f"default: ${PYTHON_VARIABLE}"
    )
    add_json_argument(parser)
    args = parser.parse_args(argv)
    machine = read_machine()  # before this run adds to its load
    python = args.model_garden_python
    try:
        if python:
            find_model_garden(python)
        with tempfile.TemporaryDirectory(prefix="nasfpn-lite-train-speed-") as folder:
            data = args.data or make_demo_set(Path(folder), val=1, test=1)
            options = Options(data.resolve(), args.size, args.batch_size, args.rounds)
            classes = len(load_split(options.data, "train").categories)
            spec = get_spec(args.variant, size=args.size, num_classes=classes)
            plain = [time_training(options, spec, name, b) for b in args.backends for name in args.trainings]
            beside = {name: get_spec(name, size=args.size, num_classes=classes) for name in BESIDE_MODEL_GARDEN}
            garden = time_model_garden(options, beside, python, args.backends) if python else []
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print_json({"machine": machine, "batch_size": args.batch_size, "training": plain, "model_garden": garden})
    else:
        print(f"{machine.cpu}, {machine.cores} cores, load average before: {machine.load_average}")
        print_rows(plain, garden)
    slow = [row for row in plain if row.ratio.median < LEAST_OF_PLAIN]
    slow += [row for row in garden if row.ratio.median < LEAST_OF_MODEL_GARDEN]
    return 1 if slow else 0


def print_rows(plain: Sequence[Row], garden: Sequence[Row]) -> None:
    """Prints both tables."""
    for row in [*plain, *garden]:
        print(f"{row.name} on {row.backend}: {row.versions}")
    if plain:
        print("\nThe whole way of a training beside train_on_batch of the same model on arrays in memory\n")
        print_table(_TRAINING_HEAD, [_show_training(row) for row in plain])
    if garden:
        print("\ntrain_on_batch on arrays in memory beside Model Garden's own loop\n")
        print_table(_NETWORK_HEAD, [_show_network(row) for row in garden])


def _show_training(row: Row) -> tuple[str, ...]:
    batch_ms = "-" if row.batch_ms is None else f"{row.batch_ms:.1f}"
    times = (f"{row.step_ms:.1f}", f"{row.other_step_ms:.1f}")
    return (row.name, row.backend, *times, _show(row.ratio), _show(row.cpu_ratio), batch_ms)


def _show_network(row: Row) -> tuple[str, ...]:
    costs = (f"{row.params / 1e6:.2f} M", f"{row.flops / 1e9:.2f}")
    speeds = (f"{row.step_ms:.1f}", f"{row.images_per_s:.1f}", _show(row.ratio), _show(row.cpu_ratio))
    return (row.name, row.backend, *costs, *speeds)


def _show(ratio: Estimate) -> str:
    return f"{ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
