"""What the project's own runner is built with: a compiler for the phone's processor, and LiteRT's library."""

import importlib.metadata
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.android_bench.runners import RunnerError

LIBRARY = "libLiteRt.so"
LITERT_VERSION = "2.3.0"  # whose functions runner/litert_c_api.h declares; others may take other arguments

COMPILE_TIMEOUT_S = 120
DOWNLOAD_TIMEOUT_S = 600
_PACKAGE = "ai-edge-litert"


@dataclass(frozen=True)
class Target:
    """What it takes to build for a processor.

    Attributes:
        compiler: On PATH; Debian's name.
        debian_package: That has it.
        loader: File name of the GNU C library's loader.
        wheel_platform: pip's name.
    """

    compiler: str
    debian_package: str
    loader: str
    wheel_platform: str


TARGETS = {
    "arm64-v8a": Target(
        "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "ld-linux-aarch64.so.1", "manylinux_2_27_aarch64"
    ),
    "x86_64": Target("x86_64-linux-gnu-gcc", "gcc", "ld-linux-x86-64.so.2", "manylinux_2_27_x86_64"),
}


def find_compiler(target: Target) -> str:
    """Finds the C compiler.

    Raises:
        RunnerError: It is not installed.
    """
    compiler = shutil.which(target.compiler)
    if compiler is None:
        raise RunnerError(
            f"expected the C compiler {target.compiler} on PATH, but it is not there; on Debian: apt-get install "
            f"{target.debian_package}"
        )
    return compiler


def fetch_library(target: Target, path: Path) -> None:
    """Copies LiteRT's library out of the package that is installed here, or else out of one that pip downloads.

    Raises:
        RunnerError: There is none of the right version.
    """
    installed = _find_installed_library(target)
    if installed is not None:
        shutil.copyfile(installed, path)
        return
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download_wheel(target, Path(folder))
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"ai_edge_litert/{LIBRARY}") as source,
            path.open("wb") as file,
        ):
            shutil.copyfileobj(source, file)


def _find_installed_library(target: Target) -> Path | None:
    try:
        package = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    tags = (package.read_text("WHEEL") or "").splitlines()
    is_for_target = any(tag.startswith("Tag:") and tag.endswith(target.wheel_platform) for tag in tags)
    if package.version != LITERT_VERSION or not is_for_target:
        return None
    path = Path(str(package.locate_file(f"ai_edge_litert/{LIBRARY}")))
    return path if path.is_file() else None


def _download_wheel(target: Target, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    # Any of the package's builds has the same library: the version of Python plays no part.
    command += [
        "--only-binary=:all:",
        "--implementation=cp",
        "--python-version=3.12",
        f"--platform={target.wheel_platform}",
    ]
    run_tool([*command, f"--dest={folder}", f"{_PACKAGE}=={LITERT_VERSION}"], DOWNLOAD_TIMEOUT_S)
    return next(folder.glob("*.whl"))


def run_tool(command: Sequence[str], timeout_s: float) -> str:
    """Runs a program of this computer and returns what it wrote.

    Raises:
        RunnerError: It is not there, took too long, or failed.
    """
    line = shlex.join(command)
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as error:
        raise RunnerError(f"expected the program {command[0]} on PATH, but it is not there: install it") from error
    except subprocess.TimeoutExpired as error:
        raise RunnerError(f"{line} took longer than {timeout_s} s: see that the network is there") from error
    if result.returncode != 0:
        reason = result.stderr.strip() or result.stdout.strip()
        raise RunnerError(f"{line} failed with exit code {result.returncode}: {reason}")
    return result.stdout
