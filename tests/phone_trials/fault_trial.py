"""One fault tried: a phone of its own, the real command line in a process of its own, and what its user sees."""

import os
import pty
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.android_bench.phone.phone import SimulatedPhone
from tests.android_bench.phone.phone_rootfs import Rootfs
from tests.android_bench.phone.phone_server import AdbServer
from tests.tiny_tflite import make_tiny_tflite

CPU7 = "devices/system/cpu/cpu7/cpufreq"
TIMEOUT_S = 120.0
REPOSITORY = Path(__file__).parents[2]

# The machine that plays the phone has other things to do: how much its figures vary is not at stake.
QUICK = shlex.split("--rounds 5 --runs 2 --min-seconds 0 --wait-minutes 0 --accept spread --accept busy")
_PROGRESS = re.compile(r"^127\S+: (round \d+ (of|is discarded)|waiting \(|warming up)")


@dataclass(frozen=True)
class Seen:
    """What a user sees of a command.

    Attributes:
        lines: Of stdout and stderr, without the progress.
        left: Folders of ours that stayed on the phones.
    """

    exit_code: int
    lines: tuple[str, ...]
    seconds: float
    left: tuple[str, ...]


class Trial:
    """Starts phones and the command; stops the phones when its block is left.

    Attributes:
        folder: Where the command runs.
        model: A small .tflite.
    """

    def __init__(self, rootfs: Rootfs, server: AdbServer, folder: Path) -> None:
        self.server, self.folder = server, folder / "user"
        self._rootfs, self._phones_folder = rootfs, folder
        self._phones: list[SimulatedPhone] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir()
        self.model = self.folder / "a.tflite"
        self.model.write_bytes(make_tiny_tflite())

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *error: object) -> None:
        for phone in self._phones:
            phone.stop()

    def start_phone(self, *, disk_bytes: int | None = None) -> SimulatedPhone:
        """Starts an x86_64 phone."""
        folder = self._phones_folder / f"phone{len(self._phones)}"
        folder.mkdir()
        self._phones.append(SimulatedPhone(self._rootfs, folder, self.server, disk_bytes=disk_bytes))
        return self._phones[-1]

    def make_replay(self, log: str) -> Path:
        """Makes a program that prints a log of benchmark_model, whatever it is asked."""
        source, program = self.folder / "replay.c", self.folder / "benchmark_model"
        data = ", ".join(str(byte) for byte in log.encode())
        source.write_text(
            f"#include <unistd.h>\nstatic const char log_[] = {{{data}}};\n"
            "int main(void) { return write(1, log_, sizeof log_) < 0; }\n"
        )
        subprocess.run(["gcc", "-static", "-o", program, source], check=True, timeout=TIMEOUT_S)
        return program

    def bench(
        self,
        *options: str,
        model: Path | None = None,
        runner: Path | None = None,
        on: Mapping[str, Callable[[], object]] | None = None,
    ) -> Seen:
        """Runs `nasfpn-lite android bench` as a user at a terminal does.

        Args:
            runner: benchmark_model; None takes the project's own runner.
            on: Text of a line of progress -> what then happens, once.
        """
        which = ["--runner", "nasfpn_runner"] if runner is None else ["--benchmark-binary", str(runner)]
        which = which if runner is None else [*which, "--runner", "benchmark_model"]
        path = f"./{(model or self.model).name}"
        return self._run(["android", "bench", path, *QUICK, *which, *options, "-o", "out"], dict(on or {}))

    def signal(self, number: int) -> None:
        """Sends a signal to the command alone."""
        if self._process is not None:
            self._process.send_signal(number)

    def _run(self, words: list[str], on: dict[str, Callable[[], object]]) -> Seen:
        environment = {**os.environ, **self.server.environment, "PYTHONPATH": str(REPOSITORY)}
        terminal, end = pty.openpty()  # without one there is no progress
        start = time.monotonic()
        with (self.folder / "stdout").open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nasfpn_lite", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=end,
                cwd=self.folder,
                env=environment,
            )
        os.close(end)
        said = self._follow(terminal, on)
        code = self._process.wait(TIMEOUT_S)
        shown = (self.folder / "stdout").read_text(encoding="utf-8").splitlines()
        lines = [line for line in (*shown, *said) if line.strip() and not _PROGRESS.match(line)]
        return Seen(code, tuple(lines), time.monotonic() - start, self._find_left())

    def _follow(self, terminal: int, on: dict[str, Callable[[], object]]) -> list[str]:
        """Reads lines until the command ends, and lets happen what belongs to them."""
        lines = []
        with open(terminal, "rb", buffering=0) as stream:
            rest = b""
            while data := _read(stream.fileno()):
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    lines.append(line.decode(errors="replace").rstrip("\r"))
                    for text in [text for text in on if text in lines[-1]]:
                        on.pop(text)()
        return [*lines, rest.decode(errors="replace")]

    def _find_left(self) -> tuple[str, ...]:
        return tuple(
            path.name
            for phone in self._phones
            for path in (phone.data / "local/tmp").iterdir()
            if path.name.startswith("nasfpn")
        )


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux tells that the other end is closed
        return b""
