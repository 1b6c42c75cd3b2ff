"""From a model to .tflite files. TensorFlow and what its converter leaks stay in a subprocess."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.converters.calibration import SYNTHETIC, Calibration, check_enough
from nasfpn_lite.converters.metadata import FORMS
from nasfpn_lite.converters.processes import package_environment
from nasfpn_lite.converters.progress import open_display, read_line
from nasfpn_lite.converters.recipes import SELECTIVE, get_recipe
from nasfpn_lite.data.records import Category, category_dicts
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.runs import WEIGHTS_FILE as RUN_WEIGHTS
from nasfpn_lite.runs import Run
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.weights import load_arrays, to_arrays

_SHOWN_LINES = 12
JOB_FILE, RESULT_FILE, WEIGHTS_FILE, IMAGES_FILE = "job.json", "result.json", "weights.npz", "images.npy"
TRAINED_FILE, RANGES = "trained.npz", "range/"  # a quantization-aware training's result; prefix of the ranges in it
Ranges = dict[str, tuple[float, float]]  # layer -> (min, max) of what it gives


class ConversionError(UserError):
    """The converter failed. The message holds the end of what it said."""


@dataclass(frozen=True)
class Source:
    """What is converted.

    Attributes:
        split_seed: See `Metadata`.
        weights: "layer/variable" -> array, as `weights.to_arrays(model)` gives for any backend; None for random ones.
        trained: Result of a quantization-aware training for recipes that need one: folded weights, and
            "range/layer" -> (min, max).
    """

    spec: DetectorSpec
    categories: tuple[Category, ...]
    weights: dict[str, np.ndarray] | None
    split_seed: int | None = None
    trained: dict[str, np.ndarray] | None = None

    @classmethod
    def from_run(cls, run: Run) -> "Source":
        """Takes the trained weights of a run."""
        return cls(run.spec, run.categories, load_arrays(run.folder / RUN_WEIGHTS), int(run.recipe.get("seed", 0)))

    @classmethod
    def from_model(cls, model: Any, spec: DetectorSpec, categories: tuple[Category, ...]) -> "Source":
        """Takes the weights of a Keras model of `build_detector(spec)`."""
        return cls(spec, categories, to_arrays(model))

    @classmethod
    def random(cls, spec: DetectorSpec) -> "Source":
        """A detector of random weights, for latency."""
        return cls(spec, tuple(Category(i + 1, f"class {i + 1}") for i in range(spec.num_classes)), None)


@dataclass(frozen=True)
class Target:
    """One file to make.

    Attributes:
        float_stages: Names of `float_stages.group_stages`, for a selective recipe: what is computed in float.
    """

    recipe: str
    form: str
    path: Path
    float_stages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if get_recipe(self.recipe).selective != bool(self.float_stages):
            raise UserError(
                f"{SELECTIVE.name} keeps stages in float, and no other recipe does; "
                f"got {self.recipe} with {len(self.float_stages)} stages (--float-stages)"
            )
        if self.form not in FORMS:
            raise UserError(f"form must be one of {FORMS}, got {self.form!r}")


@dataclass(frozen=True)
class Converted:
    """One file made.

    Attributes:
        seconds: Time of the converter; a form that shares another's conversion costs next to nothing.
    """

    path: Path
    recipe: str
    form: str
    size_bytes: int
    seconds: float


def convert(  # noqa: PLR0913 - four of them are keywords with defaults
    source: Source,
    recipe: str,
    form: str,
    output: Path,
    *,
    calibration: Calibration | None = None,
    thresholds: PostprocessSpec | None = None,
    force: bool = False,
) -> Converted:
    """Makes one .tflite; see `convert_all`."""
    targets = [Target(recipe, form, Path(output))]
    return convert_all(source, targets, calibration=calibration, thresholds=thresholds, force=force)[0]


def convert_all(
    source: Source,
    targets: Sequence[Target],
    *,
    calibration: Calibration | None = None,
    thresholds: PostprocessSpec | None = None,
    ranges: Ranges | None = None,
    force: bool = False,
) -> list[Converted]:
    """Makes .tflite files in one subprocess; any Keras backend may be in use here.

    Args:
        calibration: Needed by recipes with integer activations.
        thresholds: Put into `detect` files and into the metadata of all.
        ranges: Layer -> (min, max), as measured before on these images; None to measure them.
        force: Overwrite files, and calibrate with few images.

    Raises:
        UserError: A file is there already, or calibration images are missing or too few.
        ConversionError: The converter failed.
    """
    return convert_measured(source, targets, calibration, thresholds=thresholds, ranges=ranges, force=force)[0]


def convert_measured(
    source: Source,
    targets: Sequence[Target],
    calibration: Calibration | None,
    *,
    thresholds: PostprocessSpec | None = None,
    ranges: Ranges | None = None,
    force: bool = False,
) -> tuple[list[Converted], Ranges | None]:
    """Does what `convert_all` does; returns also the ranges, for the next conversion, if a target needed any."""
    check_free([target.path for target in targets], force=force)
    if any(get_recipe(target.recipe).needs_calibration for target in targets):
        _check_calibration(calibration, source.spec, force=force)
    job = make_job(source, calibration, thresholds, ranges)
    job["targets"] = [asdict(target) | {"path": str(target.path.absolute())} for target in targets]
    with tempfile.TemporaryDirectory(prefix="nasfpn-lite-convert-") as name:
        folder = Path(name)
        write_job(folder, job, source, calibration)
        seconds, ranges = _run_worker(folder)
    made = [
        Converted(t.path, t.recipe, t.form, t.path.stat().st_size, taken)
        for t, taken in zip(targets, seconds, strict=True)
    ]
    return made, ranges


def make_job(
    source: Source,
    calibration: Calibration | None,
    thresholds: PostprocessSpec | None = None,
    ranges: Ranges | None = None,
) -> dict[str, Any]:
    """Returns what a subprocess has to know besides arrays; see `convert_all`."""
    return {
        "spec": source.spec.to_dict(),
        "categories": category_dicts(source.categories),
        "thresholds": asdict(thresholds or PostprocessSpec()),
        "split_seed": source.split_seed,
        "calibration_source": calibration.source if calibration else None,
        "ranges": ranges,
    }


def write_job(folder: Path, job: dict[str, Any], source: Source, calibration: Calibration | None) -> None:
    """Writes what a subprocess reads: the job as JSON, arrays beside it."""
    (folder / JOB_FILE).write_text(json.dumps(job), encoding="utf-8")
    if source.weights is not None:
        np.savez(folder / WEIGHTS_FILE, **source.weights)  # type: ignore[arg-type]
    if source.trained is not None:
        np.savez(folder / TRAINED_FILE, **source.trained)  # type: ignore[arg-type]
    if calibration is not None:
        np.save(folder / IMAGES_FILE, calibration.images)


def check_free(paths: Sequence[Path], *, force: bool) -> None:
    """Refuses to overwrite files, unless `force`."""
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        raise UserError(f"expected to make new files, but there is {', '.join(there)}; overwrite with --force")


def _check_calibration(calibration: Calibration | None, spec: DetectorSpec, *, force: bool) -> None:
    if calibration is None:
        raise UserError("a recipe with integer activations needs calibration images; give a folder of photos (--data)")
    shape, expected = calibration.images.shape[1:], (*spec.image_size, 3)
    if shape != expected or calibration.images.dtype != np.uint8:
        raise UserError(f"calibration images must be (n, *{expected}) uint8, got {calibration.images.shape}")
    if calibration.source != SYNTHETIC:
        check_enough(len(calibration.images), calibration.source, force=force or calibration.few)


def _run_worker(folder: Path) -> tuple[list[float], Ranges | None]:
    """Runs the job in a folder; returns the seconds of each target, and the ranges."""
    result = run_process("worker", folder)
    ranges = result["ranges"]
    return result["seconds"], None if ranges is None else {layer: (low, high) for layer, (low, high) in ranges.items()}


def run_process(module: str, folder: Path) -> dict[str, Any]:
    """Runs a module of this room on a job folder in a process of its own; returns its result.

    Raises:
        ConversionError: It said what is wrong, or ended without a result.
    """
    environment = {
        **package_environment(),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    command = [sys.executable, "-m", f"nasfpn_lite.converters.{module}", str(folder)]
    code, said = _run(command, environment, folder / "stderr")
    result_file = folder / RESULT_FILE
    result = json.loads(result_file.read_text(encoding="utf-8")) if result_file.is_file() else {}
    if "error" in result:
        raise ConversionError(result["error"])
    if code != 0 or not result:
        lines = [line for line in said.splitlines() if line.strip()][-_SHOWN_LINES:]
        raise ConversionError(
            f"the converter ended with exit code {code} and no result; the end of what it said:\n" + "\n".join(lines)
        )
    return result


def _run(command: Sequence[str], environment: dict[str, str], stderr: Path) -> tuple[int, str]:
    """Runs a process that tells how far it is; returns its exit code and what it wrote to stderr."""
    # stderr goes to a file: a pipe that nobody reads meanwhile would fill and stop the process.
    with open_display() as report, stderr.open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said, errors="replace")
        with process:
            try:
                for line in process.stdout or ():
                    step = read_line(line)
                    if step is not None:
                        report(*step)
            except BaseException:  # Ctrl-C too: nobody would read what it makes
                process.kill()
                raise
    return process.returncode, stderr.read_text(encoding="utf-8", errors="replace")
