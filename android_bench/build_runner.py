"""Builds the project's own runner for a processor, with LiteRT's library and a loader that phones do not have.

What comes out is a folder that can be copied anywhere: the program, and `lib` with all it needs. Android has no GNU C
library; there the loader in `lib` starts the program.
"""

import argparse
import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nasfpn_lite.android_bench import build_inputs
from nasfpn_lite.android_bench.build_inputs import (
    COMPILE_TIMEOUT_S,
    LIBRARY,
    LITERT_VERSION,
    TARGETS,
    Target,
    fetch_library,
    find_compiler,
    run_tool,
)
from nasfpn_lite.android_bench.runners import RunnerError
from nasfpn_lite.files import write_text_atomically

PROGRAM = "nasfpn_runner"
SOURCE = Path(__file__).resolve().parent / "runner"

_STAMP = "stamp.txt"

logger = logging.getLogger(__name__)


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


def compile_runner(compiler: str, folder: Path) -> None:
    """Compiles the program against the library in `lib`.

    Raises:
        RunnerError: The compiler refused it.
    """
    sources = [str(path) for path in sorted(SOURCE.glob("*.c"))]
    options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(folder / PROGRAM)]
    # The library's own needs are met on the phone, by what lies in `lib`.
    links = [f"-L{folder / 'lib'}", f"-l:{LIBRARY}", "-lm", "-Wl,-rpath,$ORIGIN/lib", "-Wl,--allow-shlib-undefined"]
    run_tool([compiler, *options, *sources, *links], COMPILE_TIMEOUT_S)


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
        source = Path(run_tool([compiler, f"-print-file-name={name}"], COMPILE_TIMEOUT_S).strip())
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
    output = run_tool(["readelf", "--dynamic", "--wide", str(path)], COMPILE_TIMEOUT_S)
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", output)


def _make_stamp(target: Target) -> str:
    """Returns a text that changes with whatever the build depends on."""
    digest = hashlib.sha256()
    for path in (*sorted(SOURCE.glob("*.[ch]")), Path(__file__), Path(build_inputs.__file__)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{LITERT_VERSION} {target.compiler} {digest.hexdigest()}\n"


def _read_stamp(folder: Path) -> str | None:
    path = folder / _STAMP
    return path.read_text(encoding="utf-8") if path.is_file() else None


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
