"""Builds the project's own runner for a processor, with LiteRT's library and a loader that phones do not have.

What comes out is a folder that can be copied anywhere: the program, and `lib` with all it needs. Android has no GNU C
library; there the loader in `lib` starts the program.
"""

import argparse
import hashlib
import importlib.metadata
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.android_bench.runners import RunnerError
from nasfpn_lite.files import write_text_atomically

PROGRAM = "nasfpn_runner"
LIBRARY = "libLiteRt.so"
LITERT_VERSION = "2.3.0"  # whose functions runner/litert_c_api.h declares; others may take other arguments
SOURCE = Path(__file__).resolve().parent / "runner"

COMPILE_TIMEOUT_S = 120
DOWNLOAD_TIMEOUT_S = 600
_STAMP = "stamp.txt"
_PACKAGE = "ai-edge-litert"

logger = logging.getLogger(__name__)


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


def build_runner(abi: str, folder: Path | None = None) -> Path:
    """Builds what is not there yet or older than its source.

    Args:
        abi: Android's name of the processor.
        folder: Where to; None for `build/runner/<abi>` in a checkout, else a folder in the user's cache.

    Returns:
        The folder with the program and `lib`.

    Raises:
        RunnerError: There is no runner for this processor, or no compiler or library for it.
    """
    if abi not in TARGETS:
        raise RunnerError(f"expected one of {', '.join(TARGETS)} to build a runner for, got {abi}: use benchmark_model")
    target = TARGETS[abi]
    folder = folder or build_folder(abi)
    stamp = _make_stamp(target)
    if _read_stamp(folder) == stamp:
        return folder
    compiler = find_compiler(target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.parent / f".{folder.name}.lock"):
        if _read_stamp(folder) != stamp:  # else another process has just built it
            logger.info("building the runner for %s in %s", abi, folder)
            _build(target, compiler, folder, stamp)
    return folder


def _build(target: Target, compiler: str, folder: Path, stamp: str) -> None:
    # Built beside and moved into place: a build that was broken off leaves no half of a runner.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new, old_library = Path(temporary) / "new", folder / "lib" / LIBRARY
        (new / "lib").mkdir(parents=True)
        if old_library.is_file() and (_read_stamp(folder) or "").startswith(f"{LITERT_VERSION} "):
            shutil.copyfile(old_library, new / "lib" / LIBRARY)
        else:
            fetch_library(target, new / "lib" / LIBRARY)
        compile_runner(compiler, new)
        copy_system_libraries(compiler, target, new)
        write_text_atomically(new / _STAMP, stamp)
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        new.rename(folder)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lets one process or thread at a time pass: several phones are served at once."""
    import fcntl  # not on Windows, which has no compiler for this either

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_folder(abi: str) -> Path:
    """Returns where the runner is built unless told otherwise."""
    checkout = SOURCE.parents[1]
    if (checkout / "Makefile").is_file() and (checkout / "setup.cfg").is_file():
        return checkout / "build" / "runner" / abi
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "nasfpn-lite" / "runner" / abi


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


def compile_runner(compiler: str, folder: Path) -> None:
    """Compiles the program against the library in `lib`.

    Raises:
        RunnerError: The compiler refused it.
    """
    sources = [str(path) for path in sorted(SOURCE.glob("*.c"))]
    options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(folder / PROGRAM)]
    # The library's own needs are met on the phone, by what lies in `lib`.
    links = [f"-L{folder / 'lib'}", f"-l:{LIBRARY}", "-lm", "-Wl,-rpath,$ORIGIN/lib", "-Wl,--allow-shlib-undefined"]
    _run([compiler, *options, *sources, *links], COMPILE_TIMEOUT_S)


def copy_system_libraries(compiler: str, target: Target, folder: Path) -> None:
    """Copies the loader and every library of the GNU system that the program and LiteRT's library need.

    Raises:
        RunnerError: One is not where the compiler looks for it.
    """
    copied: set[str] = set()
    wanted = [target.loader, *_list_needed(folder / PROGRAM), *_list_needed(folder / "lib" / LIBRARY)]
    while wanted:
        name = wanted.pop()
        if name in copied or name == LIBRARY:
            continue
        source = Path(_run([compiler, f"-print-file-name={name}"], COMPILE_TIMEOUT_S).strip())
        if not source.is_file():
            raise RunnerError(
                f"expected {name} among the libraries of {compiler}, but it is not there: install libc6-dev"
            )
        path = folder / "lib" / name
        shutil.copyfile(source, path)
        path.chmod(0o755 if name == target.loader else 0o644)
        copied.add(name)
        wanted += _list_needed(path)


def _list_needed(path: Path) -> list[str]:
    # The host's readelf reads the files of every processor.
    output = _run(["readelf", "--dynamic", "--wide", str(path)], COMPILE_TIMEOUT_S)
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", output)


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
    _run([*command, f"--dest={folder}", f"{_PACKAGE}=={LITERT_VERSION}"], DOWNLOAD_TIMEOUT_S)
    return next(folder.glob("*.whl"))


def _make_stamp(target: Target) -> str:
    """Returns a text that changes with whatever the build depends on."""
    digest = hashlib.sha256()
    for path in (*sorted(SOURCE.glob("*.[ch]")), Path(__file__)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{LITERT_VERSION} {target.compiler} {digest.hexdigest()}\n"


def _read_stamp(folder: Path) -> str | None:
    path = folder / _STAMP
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _run(command: Sequence[str], timeout_s: float) -> str:
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


def main(argv: list[str] | None = None) -> int:
    """Builds the runner for each processor named, or for all."""
    parser = argparse.ArgumentParser(description="Build the project's own runner for phones.")
    parser.add_argument("abi", nargs="*", default=list(TARGETS), help="arm64-v8a, x86_64; both unless named")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for abi in parser.parse_args(argv).abi:
        try:
            print(build_runner(abi))
        except RunnerError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
