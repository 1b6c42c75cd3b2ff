"""What tests of sessions on simulated phones share: a short session, our own runner, two files."""

from pathlib import Path

import pytest

from nasfpn_lite.android_bench.model_files import ModelFile, read_model_files
from nasfpn_lite.android_bench.runners import Runner, RunnerError, find_own_runner
from nasfpn_lite.android_bench.session_options import SessionOptions
from tests.tiny_tflite import make_tiny_tflite

# The machine that plays the phone has other things to do: how much its figures vary is not at stake.
QUICK = SessionOptions(rounds=5, runs=2, min_s=0.0, patience_s=0.0, accepted=("spread", "busy"))
CPU7 = "devices/system/cpu/cpu7/cpufreq"


def require_runner() -> Runner:
    """Returns our own runner; skips the test where it cannot be built."""
    try:
        return find_own_runner("x86_64")
    except RunnerError as error:
        pytest.skip(f"no runner: {error}")


def write_two_files(folder: Path) -> tuple[ModelFile, ...]:
    """Writes two files, one with a hostile name."""
    paths = [folder / "it's $(a) model.tflite", folder / "b.tflite"]
    for path in paths:
        path.write_bytes(make_tiny_tflite())
    return read_model_files(paths)


def masks_of(phone) -> list[str]:
    """The masks of the runner's starts; the sampling beside it runs on core 0."""
    masks = [note.split()[0] for note in phone.read_notes("taskset")]
    assert masks.count("01") == masks.count("80")
    return [mask for mask in masks if mask == "80"]
