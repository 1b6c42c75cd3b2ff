"""Starts the processes of a team and reads what they computed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nasfpn_lite.weights import load_arrays

TIMEOUT_S = 600
TWO_CPU_DEVICES = "--xla_force_host_platform_device_count=2"
_REPOSITORY = Path(__file__).parents[1]  # not its folder `tests`, where a folder nasfpn_lite is of tests alone


def free_address() -> str:
    """Returns a loopback address that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def start(command: Sequence[str], **environment: str) -> subprocess.Popen:
    """Starts Python with a command line."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=_REPOSITORY,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        **pipes,
    )


def finish(*processes: subprocess.Popen) -> list[tuple[int, str, str]]:
    """Waits for processes to end; returns their exit codes, outputs and errors. None outlives the test."""
    try:
        ended = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, ended, strict=True)]


def start_team(out: Path, scenarios: Sequence[str], backend: str, devices: int = 1, processes: int = 1) -> list:
    """Starts the processes of `team_worker`."""
    environment = {"KERAS_BACKEND": backend} | ({"XLA_FLAGS": TWO_CPU_DEVICES} if devices > 1 else {})
    options = {"devices": devices, "processes": processes}
    options |= {"coordinator": free_address()} if processes > 1 else {}
    return [
        start(
            ["-m", "tests.team_worker", str(out), json.dumps({**options, "process_id": index}), *scenarios],
            **environment,
        )
        for index in range(processes)
    ]


def read_team(out: Path, processes: Sequence[subprocess.Popen]) -> dict[str, list[np.ndarray]]:
    """Returns each scenario's numbers."""
    for code, _, errors in finish(*processes):
        assert code == 0, errors[-3000:]
    numbers: dict[str, list[np.ndarray]] = {}
    for key, array in load_arrays(out).items():
        numbers.setdefault(key.split("/")[0], []).append(array)
    return numbers


def difference(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> float:
    """Returns the largest difference between numbers, in relation to the larger of 1 and the number."""
    scaled = [np.abs(a.astype(float) - b) / np.maximum(1, np.abs(b)) for a, b in zip(left, right, strict=True)]
    return max(float(array.max()) for array in scaled)
