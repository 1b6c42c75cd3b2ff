"""Stock adb as a program: argument lists only, a time limit on every call, errors that say what to do."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from nasfpn_lite.android_bench.adb_advice import find_advice
from nasfpn_lite.errors import UserError

SERVER_TIMEOUT_S = 30.0  # to start adb's server, or to ask it what is attached
LAST_ADVICE = "look at what it says, and at `adb devices`"
SHOWN_CHARACTERS = 800  # of a command or an output, in a message; the error's fields hold all

_LISTED_DEVICE = re.compile(
    r"(?P<serial>\S.*?)\s+"
    r"(?P<state>device|offline|unauthorized|authorizing|connecting|host|recovery|rescue|sideload|bootloader|unknown|"
    r"no permissions.*?)"
    r"(?P<properties>(?:\s+[a-z_]+:\S*)*)\s*"
)


@dataclass(frozen=True)
class Completed:
    """One call of adb.

    Attributes:
        exit_code: None if adb did not start, or was ended at its time limit.
        script: What adb was to run on the phone, without the quotes and marks around it; empty if nothing.
    """

    argv: tuple[str, ...]
    serial: str | None = None
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    script: str = ""


class AdbError(UserError):
    """A call of adb went wrong. The fields hold the whole call; the message the end of its output and what to do."""

    def __init__(self, problem: str, call: Completed, advice: str | None = None) -> None:
        self.argv = call.argv
        self.serial = call.serial
        self.exit_code = call.exit_code
        self.stdout = call.stdout
        self.stderr = call.stderr
        self.advice = advice or find_advice(call.stderr, call.stdout) or LAST_ADVICE
        super().__init__(_describe(problem, call, self.advice))


class AdbTimeoutError(AdbError):
    """A call of adb was ended at its time limit."""


class DeviceLostError(AdbError):
    """The phone cannot be reached, or went away in the middle of a command."""


@dataclass(frozen=True)
class ListedDevice:
    """A line of `adb devices -l`; `state` is `device` where all is well, `properties` e.g. {"model": "Pixel_6"}."""

    serial: str
    state: str
    properties: dict[str, str]


class Adb:
    """The program adb. Every call has a time limit; Ctrl-C ends the call that is under way."""

    def __init__(self, path: Path | None = None, *, environment: Mapping[str, str] | None = None) -> None:
        """Finds adb.

        Args:
            path: The program; without it, the first `adb` on PATH.
            environment: Variables set for adb beside ours, e.g. ANDROID_ADB_SERVER_PORT.

        Raises:
            AdbError: There is no such program.
        """
        self._environment = {**os.environ, **(environment or {})}
        found = shutil.which(str(path or "adb"), path=self._environment.get("PATH"))
        if found is None:
            where = f"expected the program adb in {path}" if path else "expected the program adb on PATH"
            advice = "install it (Debian, Ubuntu: apt install adb; else Android's SDK platform tools), or name its path"
            raise AdbError(f"{where}, but it is not there", Completed(argv=(str(path or "adb"),)), advice)
        self.path = Path(found)
        self._server_started = False

    def list_devices(self) -> tuple[ListedDevice, ...]:
        """Returns all that is attached, ready or not.

        Raises:
            AdbError: adb's server does not answer.
        """
        return parse_device_list(self._require("cannot list the phones", ["devices", "-l"]).stdout)

    def read_version(self) -> str:
        """Returns adb's own version, e.g. "29.0.6-debian"."""
        text = self._require("cannot ask adb for its version", ["version"]).stdout
        lines = [line.removeprefix("Version ") for line in text.splitlines() if line.startswith("Version ")]
        return lines[0] if lines else text.partition("\n")[0]

    def run(self, serial: str, arguments: Sequence[str], *, timeout_s: float, script: str = "") -> Completed:
        """Runs `adb -s SERIAL ARGUMENTS` to its end, whatever its exit code is.

        adb's exit code is no proof: a phone that goes away in mid-command leaves a cut output and exit code 0.

        Args:
            script: What to show of it in an error, as `Completed` has it.

        Raises:
            AdbTimeoutError: It took longer than `timeout_s`; what it started on the phone may still run there.
        """
        self._start_server()
        call = Completed((str(self.path), "-s", serial, *arguments), serial, script=script)
        return self._call(call, timeout_s)

    def _require(self, problem: str, arguments: Sequence[str]) -> Completed:
        self._start_server()
        call = self._call(Completed((str(self.path), *arguments)), SERVER_TIMEOUT_S)
        if call.exit_code != 0:
            raise AdbError(problem, call)
        return call

    def _start_server(self) -> None:
        # Apart from the first command, so that "* daemon not running; starting now" is not taken for its output.
        if not self._server_started:
            call = self._call(Completed((str(self.path), "start-server")), SERVER_TIMEOUT_S)
            if call.exit_code != 0:
                raise AdbError("cannot start adb's server", call)
            self._server_started = True

    def _call(self, call: Completed, timeout_s: float) -> Completed:
        """Runs adb as `call` says, and returns it with what came of it."""
        if any("\0" in word for word in call.argv):
            raise AdbError("expected text without a NUL character", call, "leave it out")
        begin = time.monotonic()
        # Files, not pipes: a server that adb starts in passing would hold the pipes open for ever.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            exit_code = self._wait(call.argv, out.fileno(), err.fileno(), timeout_s)
            seconds = time.monotonic() - begin
            stdout, stderr = _read(out), _read(err)
        done = replace(call, exit_code=exit_code, stdout=stdout, stderr=stderr, seconds=seconds)
        if exit_code is None:
            advice = "allow more time, or look whether the phone still answers: adb shell echo ok"
            raise AdbTimeoutError(f"adb did not end within {timeout_s:g} s", done, advice)
        return done

    def _wait(self, argv: Sequence[str], stdout: int, stderr: int, timeout_s: float) -> int | None:
        """Runs adb; returns its exit code, or None if it had to be ended at its time limit."""
        expired = threading.Event()
        # A session of its own: Ctrl-C then reaches this process alone, and no call that is to clean up after the first.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=self._environment,
            start_new_session=True,
        )

        def end() -> None:
            expired.set()
            process.kill()

        timer = threading.Timer(timeout_s, end)  # wait(timeout) would poll, and lose up to 50 ms in each call
        timer.daemon = True
        try:
            timer.start()
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
        return None if expired.is_set() else code


def parse_device_list(text: str) -> tuple[ListedDevice, ...]:
    """Reads what `adb devices -l` prints; lines that list no phone are passed over."""
    devices = []
    for line in text.splitlines():
        match = _LISTED_DEVICE.fullmatch(line)
        if match:
            state = "no permissions" if match["state"].startswith("no permissions") else match["state"]
            properties = dict(word.split(":", 1) for word in match["properties"].split())
            devices.append(ListedDevice(match["serial"], state, properties))
    return tuple(devices)


def _read(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _describe(problem: str, call: Completed, advice: str) -> str:
    command = f"adb shell: {call.script}" if call.script else shlex.join(call.argv)
    lines = [problem, f"  command: {_shorten(command)}"]
    if call.serial is not None:
        lines.append(f"  phone: {_shorten(call.serial)}")
    if call.exit_code is not None:
        lines.append(f"  exit code: {call.exit_code}")
    lines += [f"  {name}: {_shorten(text)}" for name in ("stdout", "stderr") if (text := getattr(call, name).strip())]
    return "\n".join([*lines, f"  what to do: {advice}"])


def _shorten(text: str) -> str:
    """Keeps the end of a text, without anything that would steer a terminal."""
    cut = text if len(text) <= SHOWN_CHARACTERS else "... " + text[-SHOWN_CHARACTERS:]
    return "".join(c if c.isprintable() else "\n    " if c == "\n" else " " for c in cut)
