"""Tests of steps and random states once more on JAX, in a process of their own: a process has one backend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = (
    "test_accumulation.py",
    "test_callbacks.py",
    "test_overlap_losses.py",
    "test_regularizers.py",
)
SLOW = "detector_in_use"  # builds whole networks, in which nothing depends on the backend


def test_the_same_on_jax() -> None:
    pytest.importorskip("jax")
    files = [str(Path(__file__).parent / name) for name in FILES]
    command = [sys.executable, "-m", "pytest", *files, "-q", "-k", f"not {SLOW}", "-p", "no:cacheprovider"]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1200)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "skipped" not in result.stdout
