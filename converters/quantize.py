"""Quantization-aware training of a run, ready for conversion. tf_keras stays in a subprocess."""

import dataclasses
import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path

from nasfpn_lite.converters.convert import Source
from nasfpn_lite.converters.processes import package_environment
from nasfpn_lite.converters.qat_recipe import ERROR_FILE, JOB_FILE, TRAINED_FILE, QatJob
from nasfpn_lite.converters.recipes import QAT
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.runs import CHECKPOINT_FILE, load_run, read_json
from nasfpn_lite.weights import load_arrays

logger = logging.getLogger(__name__)

_PACKAGES = ("tf_keras", "tensorflow_model_optimization")


class QuantizationError(UserError):
    """The training process failed; what it said is on stderr."""


def train_on_grids(job: QatJob, folder: Path, *, resume: bool = False) -> Source:
    """Trains a run's detector on int8 grids, for recipe `qat_wi8_ai8` of `convert_all` and `convert_within_budget`.

    Args:
        folder: Holds the training, which `resume` goes on with: weights, ranges, optimizer and averages are those of a
            training that was never interrupted. A finished one is not repeated.

    Raises:
        UserError: Packages are missing, or the training cannot start or go on.
    """
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f'{QAT.name} needs {" and ".join(missing)}; install with: pip install "nasfpn-lite[qat]"')
    source = Source.from_run(load_run(job.run))
    _prepare(job, folder, resume=resume)
    if not (folder / TRAINED_FILE).is_file():
        _train(folder)
    return dataclasses.replace(source, trained=load_arrays(folder / TRAINED_FILE))


def _prepare(job: QatJob, folder: Path, *, resume: bool) -> None:
    """Writes the job, or compares it with the one that is to go on."""
    text = json.dumps(job.to_dict(), indent=1) + "\n"
    started = any((folder / name).is_file() for name in (CHECKPOINT_FILE, TRAINED_FILE))
    if started and not resume:
        raise UserError(f"{folder} holds a training already; go on with --resume, or choose another -o")
    if started and resume:
        before, now = QatJob.from_dict(read_json(folder / JOB_FILE)), job
        if dataclasses.replace(before, force=now.force) != now:
            raise UserError(f"{folder} was started with other options; resume with the same ones")
        return
    for name in (CHECKPOINT_FILE, TRAINED_FILE):
        (folder / name).unlink(missing_ok=True)
    write_text_atomically(folder / JOB_FILE, text)


def _train(folder: Path) -> None:
    """Runs the training process; its progress goes to our stderr."""
    (folder / ERROR_FILE).unlink(missing_ok=True)
    environment = {**package_environment(), "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "nasfpn_lite.converters.qat_worker", str(folder)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        logger.warning("interrupted; the same command with --resume goes on from the last checkpoint in %s", folder)
        raise
    finally:
        if process.poll() is None:  # two trainings must never write into one folder
            process.terminate()
            process.wait()
    if (folder / ERROR_FILE).is_file():
        raise QuantizationError(str(read_json(folder / ERROR_FILE)["error"]))
    if code != 0:
        raise QuantizationError(f"the training process ended with exit code {code}; go on with --resume")
