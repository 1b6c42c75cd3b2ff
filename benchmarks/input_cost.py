"""Measures what reading photos costs a training step, against the same step on batches that lie in memory.

    python -m nasfpn_lite.benchmarks.input_cost --data DIR

Exits with 1 when real input makes a step more than 10 % slower.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.cli.common import add_json_argument
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.errors import UserError
from nasfpn_lite.variants import get_spec

MAX_INPUT_COST = 0.10
PRELOADED_BATCHES = 4
STEPS_PER_ROUND = 5
# The steps in which the background threads fill their buffer or empty it; they belong to neither kind.
SETTLING_STEPS = 3


@dataclass(frozen=True)
class InputCost:
    """Median times of one training step, and of one batch made with nothing else to do.

    Attributes:
        steps: Measured steps of each kind.
    """

    real_step_ms: float
    preloaded_step_ms: float
    batch_ms: float
    steps: int

    @property
    def cost(self) -> float:
        """What real input adds to a step, as a share of the step on preloaded batches."""
        return self.real_step_ms / self.preloaded_step_ms - 1


def compare(
    real: Iterator[Any],
    preloaded: Iterator[Any],
    train_step: Callable[[Any], object],
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Times steps in alternating rounds, so that whatever else the machine does meets both kinds.

    Returns:
        Seconds of each step with real and with preloaded input, fetching the batch included; at least `steps` of each.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(-(-steps // STEPS_PER_ROUND)):
        for batches, times in zip((real, preloaded), seconds, strict=True):
            measured = _time_steps(batches, train_step, SETTLING_STEPS + STEPS_PER_ROUND, clock)
            times.extend(measured[SETTLING_STEPS:])
    return seconds


def _time_steps(
    batches: Iterator[Any], train_step: Callable[[Any], object], steps: int, clock: Callable[[], float]
) -> list[float]:
    times = []
    for _ in range(steps):
        start = clock()
        train_step(next(batches))
        times.append(clock() - start)
    return times


def measure_input_cost(data_dir: Path, variant: str, size: str | None, batch_size: int, steps: int) -> InputCost:
    """Trains a detector for some steps on a COCO folder with real and with preloaded input."""
    from dataclasses import replace

    from nasfpn_lite.data.coco import load_split
    from nasfpn_lite.data.pipeline import make_training_data
    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.fitting import compile_detector
    from nasfpn_lite.recipes import PRESETS

    split = load_split(data_dir, "train")
    spec = get_spec(variant, size=size, num_classes=len(split.categories))
    recipe = replace(PRESETS["finetune"], batch_size=batch_size)
    model = build_detector(spec)
    compile_detector(model, recipe, total_steps=1000)

    def make_data(workers: int) -> Iterator[Any]:
        return make_training_data(
            split, spec, batch_size=batch_size, seed=0, augment=recipe.augment, workers=workers
        ).iterate()

    alone = make_data(workers=0)
    preloaded = list(itertools.islice(alone, PRELOADED_BATCHES))
    batch_seconds = _time_steps(alone, lambda batch: None, steps, time.perf_counter)
    seconds = compare(make_data(workers=1), itertools.cycle(preloaded), lambda b: model.train_on_batch(*b), steps)
    real_ms, preloaded_ms, batch_ms = (1000 * statistics.median(times) for times in (*seconds, batch_seconds))
    return InputCost(real_ms, preloaded_ms, batch_ms, steps=len(seconds[0]))


def main(argv: list[str] | None = None) -> int:
    """Measures, prints and compares with the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="COCO folder")
    parser.add_argument("--variant", default="nasfpnlite_3x48")
    parser.add_argument("--size", help="S or HxW")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30, help="measured steps of each kind")
    add_json_argument(parser)
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, got {args.steps}")
    try:
        result = measure_input_cost(args.data, args.variant, args.size, args.batch_size, args.steps)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_result(result, as_json=args.json)
    return 0 if result.cost <= MAX_INPUT_COST else 1


def print_result(result: InputCost, *, as_json: bool) -> None:
    """Prints the medians and the share that input costs."""
    if as_json:
        print_json(
            {
                "real_step_ms": result.real_step_ms,
                "preloaded_step_ms": result.preloaded_step_ms,
                "batch_ms": result.batch_ms,
                "steps": result.steps,
                "input_cost": result.cost,
                "max_input_cost": MAX_INPUT_COST,
            }
        )
        return
    rows = [
        ("step, photos from disk", f"{result.real_step_ms:.1f} ms"),
        ("step, preloaded batches", f"{result.preloaded_step_ms:.1f} ms"),
        ("input costs", f"{100 * result.cost:+.1f} % (at most {100 * MAX_INPUT_COST:.0f} %)"),
        ("one batch, nothing else running", f"{result.batch_ms:.1f} ms"),
    ]
    print_table((f"median of {result.steps}", "time"), rows)


if __name__ == "__main__":
    sys.exit(main())
