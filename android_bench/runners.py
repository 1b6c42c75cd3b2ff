"""The programs that measure a model on a phone, benchmark_model and the project's own, and their command lines."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nasfpn_lite.android_bench.elf import Elf, read_elf
from nasfpn_lite.errors import UserError

RunnerName = Literal["benchmark_model", "nasfpn_runner"]

# Where the litert-cli package keeps the program that it downloads.
BINARY_CACHE = Path("~/.cache/litert-cli/binaries")
DOWNLOAD_PAGE = "https://ai.google.dev/edge/litert/models/measurement#native_benchmark_binary"
LATENCIES_FILE = "latencies.txt"
_LIBRARIES = "lib"  # folder beside a program with its loader and libraries


class RunnerError(UserError):
    """There is no program to measure with, or it cannot do what is asked."""


class NoBenchmarkBinaryError(RunnerError):
    """There is no benchmark_model, and the user named none."""


@dataclass(frozen=True)
class RunSettings:
    """What one start of a runner does; the defaults are those of benchmark_model.

    Attributes:
        runs: Least number of timed runs.
        min_s: Least time for them.
        max_s: No run begins after that, neither in the warm-up nor in the timed runs.
        xnnpack: None leaves it to the tool, whose build may lack XNNPACK and then knows no such flag.
        profile: Time every operator too.
        gpu: Run on the GPU what it can; benchmark_model's builds for Android alone know how.
    """

    threads: int = 1
    runs: int = 50
    warmup_runs: int = 1
    min_s: float = 1.0
    max_s: float = 150.0
    warmup_min_s: float = 0.5
    xnnpack: bool | None = True
    profile: bool = False
    gpu: bool = False

    def __post_init__(self) -> None:
        if self.threads < 1 or self.runs < 1 or self.warmup_runs < 0:
            raise RunnerError(
                f"expected at least 1 thread, 1 run and 0 warm-up runs, got {self.threads}, {self.runs} and "
                f"{self.warmup_runs}"
            )
        if not (0 <= self.min_s <= self.max_s and 0 <= self.warmup_min_s <= self.max_s):
            raise RunnerError(
                f"expected times of at least 0 s and none above max_s, got min_s {self.min_s}, warmup_min_s "
                f"{self.warmup_min_s} and max_s {self.max_s}"
            )

    def flags(self) -> list[str]:
        """Returns benchmark_model's flags."""
        flags = [
            f"--num_threads={self.threads}",
            f"--num_runs={self.runs}",
            f"--warmup_runs={self.warmup_runs}",
            f"--min_secs={self.min_s:g}",
            f"--max_secs={self.max_s:g}",
            f"--warmup_min_secs={self.warmup_min_s:g}",
        ]
        # Asked for beside the GPU, XNNPACK counts as failed where the GPU leaves it nothing; unasked it takes the rest.
        if self.xnnpack is not None and not (self.gpu and self.xnnpack):
            flags.append(f"--use_xnnpack={str(self.xnnpack).lower()}")
        if self.profile:
            flags.append("--enable_op_profiling=true")
        if self.gpu:
            flags.append("--use_gpu=true")
        return flags


@dataclass(frozen=True)
class Runner:
    """A program and what must lie beside it on the phone.

    Attributes:
        abi: Of the phones it can run on, as `ro.product.cpu.abi` names it.
        files: Local path -> name below a folder on the phone.
        program: Name of the program on the phone; one of `files`.
        loader: Name of the loader that starts it; None where the phone's own does.
    """

    name: RunnerName
    abi: str
    files: Mapping[Path, str]
    program: str
    loader: str | None = None

    @property
    def executables(self) -> tuple[str, ...]:
        """Returns the names of the files that must be executable."""
        return (self.program, self.loader) if self.loader else (self.program,)

    @property
    def latencies_file(self) -> str | None:
        """Returns the name of the file with each run's latency; None where the program writes none."""
        return LATENCIES_FILE if self.name == "nasfpn_runner" else None

    def hash_files(self) -> str:
        """Returns one SHA-256 over the program and all beside it: it tells two builds of one name apart."""
        digest = hashlib.sha256()
        for path, name in sorted(self.files.items(), key=lambda item: item[1]):
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return digest.hexdigest()

    def check_abi(self, abi: str) -> None:
        """Checks that a phone can run it.

        Raises:
            RunnerError: It is for another processor.
        """
        if abi != self.abi:
            raise RunnerError(f"expected a {self.name} for {abi}, the phone's processor, got one for {self.abi}")

    def command(self, folder: str, model: str, settings: RunSettings) -> list[str]:
        """Returns the words that measure a model.

        Args:
            folder: The phone's, with the files in it.
            model: Path on the phone.

        Raises:
            RunnerError: The program cannot use the GPU.
        """
        words = [*self._start(folder), f"--graph={model}", *settings.flags()]
        if self.latencies_file is None:
            return words
        if settings.gpu:
            raise RunnerError("the project's own runner knows no GPU: take benchmark_model for Android")
        return [*words, f"--latencies_file={folder}/{self.latencies_file}"]

    def folder_command(
        self, folder: str, model: str, *, input_folder: str, output_folder: str, threads: int = 1, xnnpack: bool = True
    ) -> list[str]:
        """Returns the words that run a model on each raw file of a folder on the phone; see `raw_outputs`.

        Raises:
            RunnerError: The program cannot do that.
        """
        if self.name != "nasfpn_runner":
            raise RunnerError(f"{self.name} cannot write what a model computes: take the project's own runner for that")
        words = [*self._start(folder), f"--graph={model}", f"--num_threads={threads}"]
        words.append(f"--use_xnnpack={str(xnnpack).lower()}")
        return [*words, f"--input_folder={input_folder}", f"--output_folder={output_folder}"]

    def _start(self, folder: str) -> list[str]:
        program = f"{folder}/{self.program}"
        if self.loader is None:
            return [program]
        return [f"{folder}/{self.loader}", "--library-path", f"{folder}/{_LIBRARIES}", program]


def find_benchmark_binary(path: Path | None, abi: str) -> Runner:
    """Finds TensorFlow's benchmark_model, and the loader and libraries in `lib` beside it if there are any.

    Args:
        path: The program; None for the one that litert-cli downloaded.

    Raises:
        NoBenchmarkBinaryError: None was named, and none was downloaded.
        RunnerError: It is not there, or the phone cannot start it.
        ElfError: It is no program.
    """
    if path is None:
        path = BINARY_CACHE.expanduser() / abi / "benchmark_model"
        if not path.is_file():
            raise NoBenchmarkBinaryError(
                f"expected benchmark_model for {abi} in {path}, but it is not there: download it from {DOWNLOAD_PAGE} "
                "and name it with --benchmark-binary, or use the project's own runner"
            )
    if not path.is_file():
        raise RunnerError(f"expected the program benchmark_model in {path}, but there is no such file")
    return make_runner("benchmark_model", path, abi)


def find_own_runner(abi: str) -> Runner:
    """Finds the project's own runner, and builds it if it is missing or older than its source.

    Raises:
        RunnerError: It cannot be built here, or there is none for this processor.
    """
    from nasfpn_lite.android_bench.build_runner import PROGRAM, build_runner

    return make_runner("nasfpn_runner", build_runner(abi) / PROGRAM, abi)


def make_runner(name: RunnerName, program: Path, abi: str) -> Runner:
    """Gathers a program and the libraries beside it.

    Raises:
        RunnerError: It is for another processor, or needs libraries that neither the phone nor `lib` has.
        ElfError: It is no program.
    """
    elf = read_elf(program)
    if elf.abi != abi:
        raise RunnerError(f"expected a {name} for {abi}, the phone's processor, got one for {elf.abi}: {program}")
    files = {program: program.name}
    libraries = program.parent / _LIBRARIES
    if libraries.is_dir():
        files |= {path: f"{_LIBRARIES}/{path.name}" for path in sorted(libraries.iterdir()) if path.is_file()}
    loader = _find_loader(elf, program, files)
    return Runner(name, abi, files, program.name, loader)


def _find_loader(elf: Elf, program: Path, files: Mapping[Path, str]) -> str | None:
    if not elf.needs_glibc or elf.loader is None:
        return None
    wanted = f"{_LIBRARIES}/{elf.loader.rpartition('/')[2]}"
    if wanted not in files.values():
        raise RunnerError(
            f"{program} is built for Linux with the GNU C library, which phones do not have: take a build for Android, "
            f"or put its loader and libraries into {program.parent / _LIBRARIES}"
        )
    return wanted
