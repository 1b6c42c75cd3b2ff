"""A folder of our own on a phone: what is pushed, runs and is removed there, and nothing else is touched."""

import logging
import re
import secrets
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType

from nasfpn_lite.android_bench.adb import AdbError, AdbTimeoutError
from nasfpn_lite.android_bench.device import Device, ShellResult
from nasfpn_lite.android_bench.own_folders import (
    HOUSEKEEPING_TIMEOUT_S,
    OWNER_FILE,
    PARENT,
    PID_FILE,
    WorkspaceError,
    first_line,
    kill_script,
    make_script,
    remove_dead,
    remove_folder,
)

TRANSFER_TIMEOUT_S = 300.0

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MASK = re.compile(r"[0-9a-fA-F]{1,16}")

logger = logging.getLogger(__name__)


class Workspace:
    """Makes a folder of a random name under /data/local/tmp; leaving the block ends what runs there, and removes it.

    That holds after an error and after Ctrl-C too. A phone that is gone by then keeps the folder; a warning names it,
    and `remove_folder` removes it later. A process that is killed leaves it too: the next workspace of this computer
    removes it, once that process is surely gone.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.folder = f"{PARENT}/nasfpn-lite-{secrets.token_hex(8)}"
        self._started = 0

    def __enter__(self) -> "Workspace":
        """Checks that the phone is ready, and makes the folder.

        Raises:
            DeviceLostError: The phone is not ready.
            AdbError: The folder cannot be made.
        """
        self.device.check_ready()
        try:
            listed = self.device.script(make_script(self.folder), timeout_s=HOUSEKEEPING_TIMEOUT_S).stdout
            remove_dead(self.device, listed)
        except BaseException:
            self._remove()  # Ctrl-C may come when the folder is already there
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def path(self, name: str) -> str:
        """Returns the full path of a name in the folder; `lib/libx.so` is one too, `../x` and `/x` are none.

        Raises:
            WorkspaceError: The name leads out of the folder, or is one of our own.
        """
        parts = PurePosixPath(name).parts
        if (
            not parts
            or name.startswith("/")
            or ".." in parts
            or "\0" in name
            or parts[0].startswith((PID_FILE, OWNER_FILE))
        ):
            raise WorkspaceError(f"expected a file name inside {self.folder}, got {name!r}: give one without /.. in it")
        return f"{self.folder}/{PurePosixPath(name)}"

    def push(self, local: Path, name: str, *, executable: bool = False, timeout_s: float = TRANSFER_TIMEOUT_S) -> str:
        """Copies a file into the folder, and returns its full path on the phone.

        Raises:
            WorkspaceError, AdbError: As `push_all` does.
        """
        (remote,) = self.push_all({local: name}, executables=[name] if executable else (), timeout_s=timeout_s)
        return remote

    def push_all(
        self, files: Mapping[Path, str], *, executables: Collection[str] = (), timeout_s: float = TRANSFER_TIMEOUT_S
    ) -> tuple[str, ...]:
        """Copies files into the folder, with few commands however many they are.

        Args:
            files: Local file -> name in the folder, e.g. `lib/libc.so.6`.
            executables: Names of those that are to be run.
            timeout_s: For each file.

        Returns:
            Their full paths on the phone, in the same order.

        Raises:
            WorkspaceError: A name leads out of the folder, or two files have the same.
            AdbError: The phone cannot take a file, or it came out different.
        """
        remotes = {self.path(name): local for local, name in files.items()}
        if len(remotes) != len(files):
            raise WorkspaceError(f"expected a name of its own for each file, got {', '.join(files.values())}")
        to_run = [self.path(name) for name in executables]
        parents = {str(PurePosixPath(remote).parent) for remote in remotes} - {self.folder}
        if parents:
            self.device.shell(["mkdir", "-p", *sorted(parents)], timeout_s=HOUSEKEEPING_TIMEOUT_S)
        self.device.push_all(remotes, timeout_s=timeout_s)
        if to_run:
            self.device.shell(["chmod", "700", *to_run], timeout_s=HOUSEKEEPING_TIMEOUT_S)
        return tuple(remotes)

    def pull(self, name: str, local: Path, *, timeout_s: float = TRANSFER_TIMEOUT_S) -> None:
        """Copies a file out of the folder.

        Raises:
            AdbError: There is no such file, or it came out different.
        """
        self.device.pull(self.path(name), local, timeout_s=timeout_s)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environment: Iterable[tuple[str, str]] = (),
        mask: str | None = None,
        watch: Sequence[str] = (),
        check: bool = True,
    ) -> ShellResult:
        """Runs a program in the folder to its end; at the time limit, or on Ctrl-C, it is killed on the phone.

        Args:
            environment: Variables for the program, as pairs.
            mask: Of the cores it may use, in hexadecimal digits as `taskset` takes it; bit 0 is cpu0.
            watch: A program to start beside it, which gets its process number as the last word and ends by itself.

        Raises:
            WorkspaceError: A variable's name or the mask is none.
            DeviceLostError: The phone went away.
            AdbTimeoutError: It took longer than `timeout_s`.
            AdbError: It ended with another exit code than 0, and `check` is true.
        """
        words = _with_environment(argv, environment)
        self._started += 1
        pid_file = f"{self.folder}/{PID_FILE}{self._started}"
        if watch:
            # Below taskset: the first look at the mask then finds it set.
            beside = f"{shlex.join(watch)} $$ < /dev/null > /dev/null 2>&1 & echo $! > {pid_file}-watch"
            words = ["sh", "-c", f'{beside}; exec "$@"', "sh", *words]
        if mask is not None:
            words = ["taskset", _check_mask(mask), *words]
        # `exec` keeps the number, so that the pid file names the program itself. Its name would not do: `pkill` could
        # hit someone else's program, and an emulated one goes under the emulator's name.
        text = f"cd {self.folder} && echo $$ > {pid_file} && exec {shlex.join(words)}"
        try:
            return self.device.script(text, timeout_s=timeout_s, check=check)
        except (AdbTimeoutError, KeyboardInterrupt):
            self._kill()
            raise

    def _kill(self) -> None:
        try:
            self.device.script(kill_script(self.folder), timeout_s=HOUSEKEEPING_TIMEOUT_S)
        except AdbError as error:
            logger.warning("a program may still run on the phone %s: %s", self.device.serial, first_line(error))

    def _remove(self) -> None:
        try:
            try:
                remove_folder(self.device, self.folder)
            except KeyboardInterrupt:  # pressed twice: still no reason to leave anything behind
                remove_folder(self.device, self.folder)
                raise
        except AdbError as error:
            reason = first_line(error)
            logger.warning("the folder %s stays on the phone %s: %s", self.folder, self.device.serial, reason)


def _with_environment(argv: Sequence[str], environment: Iterable[tuple[str, str]]) -> list[str]:
    """Returns the words that start a program with more variables; only the program sees them, no tool before it."""
    if not argv:
        raise WorkspaceError("expected a program to run, got no words: name its path on the phone")
    pairs = list(environment)
    for name, _ in pairs:
        if not _VARIABLE.fullmatch(name):
            raise WorkspaceError(f"expected the name of a variable, got {name!r}: use letters, digits and _")
    if not pairs:
        return list(argv)
    # Not `env`: it would take a program with "=" in its path for a variable.
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in pairs)
    return ["sh", "-c", f'export {exports}; exec "$@"', "sh", *argv]


def _check_mask(mask: str) -> str:
    if not _MASK.fullmatch(mask) or int(mask, 16) == 0:
        raise WorkspaceError(f"expected a mask of cores in hexadecimal digits, at least one core in it, got {mask!r}")
    return mask
