"""The records of a measurement. Standard library only, so that a phone can be measured without any toolkit."""

import importlib.metadata
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nasfpn_lite
from nasfpn_lite.errors import UserError

_PACKAGES = ("ai-edge-litert", "tflite-runtime", "numpy", "opencv-python-headless", "tensorflow", "keras")


DEFAULT_ROUNDS = 20
TURN_SECONDS = 0.06  # a file's turn in a round


class BenchError(UserError):
    """A file could not be measured."""


@dataclass(frozen=True)
class BenchOptions:
    """How to measure.

    Attributes:
        threads: Of the interpreter.
        rounds: Turns of each file; six or more give a 95 % interval.
        image: A photo for the end-to-end time; without one a made scene of 640x480 is used.
        end_to_end: Measure from file to boxes too.
    """

    threads: int = 1
    rounds: int = DEFAULT_ROUNDS
    turn_seconds: float = TURN_SECONDS
    image: Path | None = None
    end_to_end: bool = True

    def __post_init__(self) -> None:
        if self.threads < 1 or self.rounds < 1:
            raise BenchError(f"threads and rounds must be at least 1, got {self.threads} and {self.rounds}")
        if self.image is not None and not self.image.is_file():
            raise BenchError(f"expected a photo in {self.image}, but there is no such file")


@dataclass(frozen=True)
class Machine:
    """What a measurement was made on.

    Attributes:
        load_average: Of the last minute, before the measurement; None where the system does not tell.
    """

    cpu: str
    cores: int
    system: str
    load_average: float | None
    versions: dict[str, str]


@dataclass(frozen=True)
class BenchResult:
    """One file's figures.

    Attributes:
        latency_ms_p50: Median over rounds of the network alone; with its 95 % interval, and the 90th percentile.
        init_ms: Reading the file, building the interpreter and allocating its tensors.
        peak_memory_bytes: Largest resident set of the process that ran the network, Python included.
        model_memory_bytes: The part of it that came with the model.
        multiply_adds: Of convolutions and fully connected layers; None without ai-edge-litert.
        gmadds_per_s: multiply_adds / latency, in 10**9 per second.
        end_to_end_ms_p50: One photo from file to boxes; None where the input is no image.
        end_to_end_steps: What end_to_end_ms_p50 covers.
        operators: Name -> how many, most frequent first; None without ai-edge-litert.
        exits_ms_p50: Of a file of several exits, when each has ended, counted from the photo's entry into the first.
        warnings: Why the figures are not to be trusted; empty if they are.
    """

    file: str
    size_bytes: int
    threads: int
    rounds: int
    runs: int
    latency_ms_p50: float
    latency_ms_ci: tuple[float, float]
    latency_ms_p90: float
    latency_ms_min: float
    init_ms: float
    peak_memory_bytes: int
    model_memory_bytes: int
    multiply_adds: int | None
    gmadds_per_s: float | None
    end_to_end_ms_p50: float | None
    end_to_end_ms_ci: tuple[float, float] | None
    end_to_end_steps: tuple[str, ...]
    input_shape: tuple[int, ...]
    input_dtype: str
    operators: dict[str, int] | None = None
    exits_ms_p50: tuple[float, ...] = ()
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class PairRatio:
    """How one file's latency relates to another's, from the ratios of the same round."""

    file: str
    to: str
    latency_ratio: float
    latency_ratio_ci: tuple[float, float]


@dataclass(frozen=True)
class BenchReport:
    """All files of one interleaved run."""

    results: tuple[BenchResult, ...]
    ratios: tuple[PairRatio, ...]
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return asdict(self)


def read_machine() -> Machine:
    """Describes this machine."""
    versions = {"nasfpn-lite": nasfpn_lite.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return Machine(
        cpu=_read_cpu_name(), cores=_count_cores(), system=platform.platform(), load_average=load, versions=versions
    )


def _read_cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return parse_cpu_name(text) or platform.processor() or platform.machine()


def parse_cpu_name(cpuinfo: str) -> str | None:
    """Finds the processor's name in the text of /proc/cpuinfo; Arm kernels give none."""
    match = re.search(r"^(?:model name|Hardware)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return match.group(1).strip() if match else None


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
