r"""Trains several seeds of several detectors alike, and says what of their differences is chance.

    python -m nasfpn_lite.benchmarks.seeds --data DIR --seeds 3 -o FOLDER \
        --arm "FPNLite=--variant fpnlite_64" --arm "3x48=--variant nasfpnlite_3x48" -- --epochs 40 --size 192

An arm is a name and options of `nasfpn-lite train`; what stands after -- is given to every training. Each is converted
to float32 and int8 and scored as files; the int8 files of the first seed are timed side by side. FOLDER gets
seeds.json, seeds.md and seeds.html, anew after every training. Nothing is done twice: the same command goes on where it
stopped.
"""

import argparse
import json
import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.benchmarks.bench import bench
from nasfpn_lite.benchmarks.record import BenchOptions
from nasfpn_lite.benchmarks.seeds_report import ArmFigures, render_page, render_picture
from nasfpn_lite.cli import verb_parser
from nasfpn_lite.cli.common import positive_int, spec_from_args
from nasfpn_lite.cli.output import to_plain
from nasfpn_lite.converters.processes import package_environment
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.runs import WEIGHTS_FILE, load_run

RECIPES = ("float32", "static_wi8_ai8")
SCORES_FILE, LATENCY_FILE, JOB_FILE = "scores.json", "latency.json", "job.json"
MACHINE_FILE = "machine.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arm:
    """One side of the comparison: what is the same in all its seeds."""

    name: str
    options: tuple[str, ...]

    @property
    def slug(self) -> str:
        """The name as a folder's."""
        return "".join(c if c.isalnum() else "_" for c in self.name)


@dataclass(frozen=True)
class Plan:
    """All that decides the figures."""

    data: Path
    split: str
    seeds: int
    arms: tuple[Arm, ...]
    common: tuple[str, ...]

    def __post_init__(self) -> None:
        slugs = [arm.slug for arm in self.arms]
        if len(set(slugs)) < len(slugs):
            names = ", ".join(arm.name for arm in self.arms)
            raise UserError(f"arms need names that differ in letters or digits, got {names}")
        for arm in self.arms:  # a mistake is told before hours of work
            args = verb_parser("train").parse_args(["--data", "DATA", "-o", "RUN", *self.common, *arm.options])
            spec_from_args(args)

    @property
    def pieces(self) -> list[tuple[Arm, int]]:
        """All trainings, seed after seed, so that a part of them compares all arms."""
        return [(arm, seed) for seed in range(self.seeds) for arm in self.arms]


def parse_arm(text: str) -> Arm:
    """Reads NAME=OPTIONS."""
    name, sign, options = text.partition("=")
    if not sign or not name.strip():
        raise UserError(f'expected an arm as "NAME=--variant VARIANT ...", got {text!r}')
    try:
        return Arm(name.strip(), tuple(shlex.split(options)))
    except ValueError as error:
        raise UserError(f"cannot read the options of the arm {text!r}: {error}") from error


def run_command(arguments: Sequence[str], log: Path) -> str:
    """Runs `nasfpn-lite` in a process of its own, which frees all its memory; returns its stdout.

    Raises:
        UserError: It failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "nasfpn_lite", *arguments]
    with log.open("a", encoding="utf-8") as stderr:
        done = subprocess.run(
            command, env=package_environment(), stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
        )
    if done.returncode:
        raise UserError(f"`nasfpn-lite {shlex.join(arguments)}` ended with exit code {done.returncode}; {log} says why")
    return done.stdout


def train_and_score(plan: Plan, arm: Arm, seed: int, folder: Path, run: Callable[..., str] = run_command) -> None:
    """Trains, converts and scores one seed of an arm, as far as it is not done.

    Raises:
        UserError: What is done there was done with other data or options, or a command failed.
    """
    check_job(plan, arm, folder)
    log, data = folder / "log.txt", ["--data", str(plan.data)]
    if not (folder / "run" / WEIGHTS_FILE).is_file():
        options = [*plan.common, *arm.options, "--seed", str(seed), "--resume"]
        run(["train", *data, *options, "-o", str(folder / "run")], log)
    files = [folder / f"run_{recipe}_raw.tflite" for recipe in RECIPES]
    if not all(file.is_file() for file in files):
        target = ["--recipe", *RECIPES, "--form", "raw", "--force", "-o", str(folder)]
        run(["convert", str(folder / "run"), *data, *target], log)
    scores = {}
    for recipe, file in zip(RECIPES, files, strict=True):
        answer = json.loads(run(["eval", str(file), *data, "--split", plan.split, "--json"], log))
        if answer["AP"] is None:
            raise UserError(f"split {plan.split!r} has no object, so that there is no AP; choose another --split")
        scores[recipe] = answer["AP"]
    write_text_atomically(folder / SCORES_FILE, json.dumps(scores) + "\n")


def check_job(plan: Plan, arm: Arm, folder: Path) -> None:
    """Makes sure that a folder is empty, or of the same job; writes down which.

    Raises:
        UserError: It holds figures of another.
    """
    job = {"data": str(plan.data.resolve()), "split": plan.split, "options": [*plan.common, *arm.options]}
    path = folder / JOB_FILE
    if path.is_file():
        if (other := json.loads(path.read_text(encoding="utf-8"))) != job:
            raise UserError(f"{folder} holds figures of {other}, expected {job}; give another -o, or the same options")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps(job) + "\n")


def read_figures(plan: Plan, output: Path) -> list[ArmFigures]:
    """Reads what is done so far; an arm without a finished seed is left out."""
    from nasfpn_lite.cost import count_cost_of

    latencies = _read_json(output / LATENCY_FILE)
    found = []
    for arm in plan.arms:
        folders = {seed: output / arm.slug / f"seed{seed}" for seed in range(plan.seeds)}
        done = {s: json.loads((f / SCORES_FILE).read_text()) for s, f in folders.items() if (f / SCORES_FILE).is_file()}
        if done:
            cost = count_cost_of(load_run(folders[min(done)] / "run").spec)
            points = {r: {seed: 100 * scores[r] for seed, scores in done.items()} for r in RECIPES}
            latency = latencies.get(arm.name)
            found.append(ArmFigures(arm.name, cost.params, cost.flops, points[RECIPES[0]], points[RECIPES[1]], latency))
    return found


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def measure_latency(plan: Plan, output: Path) -> None:
    """Times the first seed's int8 files in one interleaved run."""
    files = [output / arm.slug / "seed0" / f"run_{RECIPES[1]}_raw.tflite" for arm in plan.arms]
    report = bench(files, BenchOptions(threads=1, end_to_end=False))
    rows = {
        arm.name: [result.latency_ms_p50, *result.latency_ms_ci]
        for arm, result in zip(plan.arms, report.results, strict=True)
    }
    write_text_atomically(output / LATENCY_FILE, json.dumps(rows) + "\n")
    write_text_atomically(output / MACHINE_FILE, json.dumps(to_plain(report.machine), indent=1) + "\n")


def write_results(plan: Plan, output: Path, command: str) -> None:
    """Writes seeds.json, seeds.md and seeds.html."""
    figures = read_figures(plan, output)
    record: dict[str, Any] = {"command": command, "arms": [to_plain(arm) for arm in figures]}
    write_text_atomically(output / "seeds.json", json.dumps(record, indent=1) + "\n")
    machine = _read_json(output / MACHINE_FILE)
    write_text_atomically(output / "seeds.md", render_page(figures, command, machine))
    title = f"AP against latency: {plan.data.name}, {plan.seeds} seeds"
    write_text_atomically(output / "seeds.html", render_picture(figures, title=title, subtitle=command))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="test")
    parser.add_argument("--seeds", type=positive_int, default=3)
    parser.add_argument("--arm", action="append", required=True, metavar="NAME=OPTIONS")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("common", nargs="*", metavar="OPTION", help="after --: of every training")
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arms = tuple(parse_arm(text) for text in args.arm)
        plan = Plan(args.data, args.split, args.seeds, arms, tuple(args.common))
        _run_missing(plan, args.output, shlex.join(["python", "-m", "nasfpn_lite.benchmarks.seeds", *arguments]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print((args.output / "seeds.md").read_text(encoding="utf-8"))
    return 0


def _run_missing(plan: Plan, output: Path, command: str) -> None:
    folders = [(arm, seed, output / arm.slug / f"seed{seed}") for arm, seed in plan.pieces]
    for arm, _, folder in folders:
        if folder.exists():
            check_job(plan, arm, folder)
    missing = [piece for piece in folders if not (piece[2] / SCORES_FILE).is_file()]
    began = time.monotonic()
    for number, (arm, seed, folder) in enumerate(missing, 1):
        train_and_score(plan, arm, seed, folder)
        write_results(plan, output, command)
        minutes = (time.monotonic() - began) / 60
        left = minutes / number * (len(missing) - number)
        logger.info("%d of %d: %s, seed %d; %.0f min, %.0f to go", number, len(missing), arm.name, seed, minutes, left)
    if missing or _read_json(output / LATENCY_FILE).keys() != {arm.name for arm in plan.arms}:
        measure_latency(plan, output)
    write_results(plan, output, command)


if __name__ == "__main__":
    sys.exit(main())
