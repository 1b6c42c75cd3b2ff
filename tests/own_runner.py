"""The project's own runner for tests: built once in the checkout, skipped where it cannot be built."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from nasfpn_lite.android_bench.build_inputs import TARGETS
from nasfpn_lite.android_bench.build_runner import build_runner
from nasfpn_lite.android_bench.runners import RunnerError


def build_own_runner(abi: str) -> Path:
    """Returns the folder with the runner; without its compiler the test is skipped, or fails where CI is set."""
    target = TARGETS[abi]
    if shutil.which(target.compiler) is None or sys.platform != "linux":
        refuse(f"the C compiler {target.compiler} is not here: apt-get install {target.debian_package}")
    try:
        return build_runner(abi)
    except RunnerError as error:
        if "pip download" not in str(error):
            raise
        refuse(f"LiteRT's library for {abi} cannot be downloaded: {error}")


def find_emulator(folder: Path) -> list[str]:
    """Returns the words that run a program for arm64 here; `folder` is to hold what it sees of a processor."""
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None:
        refuse("qemu-aarch64-static is not here: apt-get install qemu-user-static")
    make_processor(folder)
    return [emulator, "-L", str(folder)]


def make_processor(folder: Path) -> None:
    """Writes what a processor says of itself on a phone with two equal cores; LiteRT crashes on what a PC's says."""
    cores = folder / "sys" / "devices" / "system" / "cpu"
    texts = {"possible": "0-1", "present": "0-1"}
    for core in (0, 1):
        texts |= {f"cpu{core}/topology/core_id": str(core), f"cpu{core}/topology/physical_package_id": "0"}
        texts |= {f"cpu{core}/cpufreq/cpuinfo_max_freq": "2150400", f"cpu{core}/cpufreq/cpuinfo_min_freq": "307200"}
    for name, text in texts.items():
        (cores / name).parent.mkdir(parents=True, exist_ok=True)
        (cores / name).write_text(f"{text}\n")
    fields = {"Features": "fp asimd crc32", "CPU implementer": "0x51", "CPU architecture": "8", "CPU variant": "0x2"}
    fields |= {"CPU part": "0x201", "CPU revision": "1"}
    lines = "".join(f"{name}\t: {value}\n" for name, value in fields.items())
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text("".join(f"processor\t: {core}\n{lines}\n" for core in (0, 1)))


def start(folder: Path, abi: str, *flags: str, emulator: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Starts the runner as on a phone: by the loader that lies beside it."""
    libraries = folder / "lib"
    command = [str(libraries / TARGETS[abi].loader), "--library-path", str(libraries), str(folder / "nasfpn_runner")]
    return subprocess.run([*emulator, *command, *flags], capture_output=True, text=True, check=False, timeout=120)


def refuse(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
