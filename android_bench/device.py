"""One phone: commands whose end is proven, files whose content is compared after each transfer."""

import hashlib
import re
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from nasfpn_lite.android_bench.adb import Adb, AdbError, Completed, DeviceLostError
from nasfpn_lite.android_bench.adb_advice import NO_DEVICE_ADVICE, SEVERAL_DEVICES_ADVICE, STATE_ADVICE, find_advice

PROPERTY_TIMEOUT_S = 20.0
HASH_TIMEOUT_S = 120.0
MOST_FILES = 200  # in one call: a command line has an end, on the phone sooner than here
READY = "device"

_Item = TypeVar("_Item")

_EXIT_ADVICE = {
    126: "it cannot be executed: look at its rights (chmod 755) and at what it was built for",
    127: "look whether the program is on the phone, with the libraries it needs",
    132: "the program used an instruction that this processor lacks (SIGILL): take one built for it",
    134: "the program gave up by itself (SIGABRT): look at the end of its output",
    135: "the program crashed (SIGBUS): look whether its files are whole",
    137: "something killed it (SIGKILL), most often the phone when memory runs low: close apps, or use a smaller model",
    139: "the program crashed (SIGSEGV): try another version of it, or another model",
    143: "something ended it (SIGTERM)",
}


@dataclass(frozen=True)
class ShellResult:
    """What a command on the phone wrote, as it wrote it.

    Attributes:
        exit_code: Of the command; 128 + N if signal N killed it.
        seconds: From the call of adb to its end, the way to the phone and back included.
    """

    stdout: str
    stderr: str
    exit_code: int
    seconds: float


@dataclass(frozen=True)
class Device:
    """A phone by its serial, as `adb devices` lists it."""

    adb: Adb
    serial: str

    def __post_init__(self) -> None:
        if not self.serial or not self.serial.isprintable():
            raise AdbError(
                f"expected the serial of a phone, got {self.serial!r}",
                Completed(argv=(str(self.adb.path),), serial=self.serial),
                SEVERAL_DEVICES_ADVICE,
            )

    def check_ready(self) -> None:
        """Makes sure that the phone is attached and takes commands.

        Raises:
            DeviceLostError: It is not listed, or in another state than `device`; with advice for that state.
        """
        listed = self.adb.list_devices()
        state = next((device.state for device in listed if device.serial == self.serial), None)
        if state == READY:
            return
        call = Completed(argv=(str(self.adb.path), "devices", "-l"), serial=self.serial)
        if state is None:
            others = ", ".join(f"{device.serial} ({device.state})" for device in listed) or "none"
            advice = SEVERAL_DEVICES_ADVICE if listed else NO_DEVICE_ADVICE
            raise DeviceLostError(f"expected the phone {self.serial!r}; attached: {others}", call, advice)
        advice = STATE_ADVICE.get(state, "restart the phone, and plug it in again")
        raise DeviceLostError(f"expected the phone {self.serial!r} to be ready, but it is {state}", call, advice)

    def shell(self, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> ShellResult:
        """Runs a program on the phone; each word reaches it as it is, whatever is in it.

        Raises:
            DeviceLostError, AdbTimeoutError, AdbError: As `script` does.
        """
        return self.script(shlex.join(argv), timeout_s=timeout_s, check=check)

    def script(self, text: str, *, timeout_s: float, check: bool = True) -> ShellResult:
        """Runs a script of the phone's own `sh`; there is nothing for it to read from stdin.

        Raises:
            DeviceLostError: Its end was not seen: the phone cannot be reached, or went away meanwhile.
            AdbTimeoutError: It took longer than `timeout_s`; it may still run on the phone.
            AdbError: It ended with another exit code than 0, and `check` is true.
        """
        mark = f"end-{secrets.token_hex(8)}"
        # Both streams end with a mark of this call, stdout with the exit code too: adb's own word for the end of a
        # command is worth nothing, it exits with 0 when the phone goes away. A newline first leaves the output alone.
        wrapped = f"sh -c {shlex.quote(text)}; c=$?; echo; echo {mark} $c; {{ echo; echo {mark}; }} >&2; exit $c"
        call = self.adb.run(self.serial, ["shell", wrapped], timeout_s=timeout_s, script=text)
        out = re.search(rf"\r?\n{mark} (\d+)\r?\n\Z", call.stdout)
        err = re.search(rf"\r?\n{mark}\r?\n\Z", call.stderr)
        if not (out and err):
            raise self._lost(call)
        result = ShellResult(call.stdout[: out.start()], call.stderr[: err.start()], int(out[1]), call.seconds)
        if check and result.exit_code != 0:
            seen = replace(call, exit_code=result.exit_code, stdout=result.stdout, stderr=result.stderr)
            by_signal = result.exit_code > 128  # what the program said before it was killed is no reason
            said = None if by_signal else find_advice(seen.stderr, seen.stdout)
            advice = said or _EXIT_ADVICE.get(result.exit_code)
            problem = f"a command on the phone {self.serial!r} ended with exit code {result.exit_code}"
            raise AdbError(problem, seen, advice)
        return result

    def push(self, local: Path, remote: str, *, timeout_s: float) -> None:
        """Copies a file to the phone, under the full name `remote`, and compares its SHA-256 there.

        Raises:
            AdbError: As `push_all` does.
        """
        self.push_all({remote: local}, timeout_s=timeout_s)

    def push_all(self, files: Mapping[str, Path], *, timeout_s: float) -> None:
        """Copies files to the phone, then compares the SHA-256 of all of them there; with few calls of adb.

        Args:
            files: Full name on the phone -> local file.
            timeout_s: For each file.

        Raises:
            AdbError: There is no such file, the phone cannot take it, or it came out different.
        """
        for remote, local in files.items():
            if not local.is_file():
                problem = f"expected a file in {local}, but there is none"
                raise AdbError(problem, self._nothing_called("push"), "name a file that exists")
            self._check_remote(remote, "push")
        for group in _group_by_folder(files):
            self._push_group(group, timeout_s * len(group))
        for (remote, local), there in zip(files.items(), self._hash_remote(list(files)), strict=True):
            here = hash_file(local)
            if here != there:
                self.shell(["rm", "-f", remote], timeout_s=PROPERTY_TIMEOUT_S, check=False)
                raise self._different(f"{local} as {remote}", "push", here, there)

    def pull(self, remote: str, local: Path, *, timeout_s: float) -> None:
        """Copies a file from the phone; `local` is written whole or not at all, and only if both SHA-256 agree.

        Raises:
            AdbError: There is no such file, or it came out different.
        """
        self._check_remote(remote, "pull")
        local.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=local.parent, prefix=".pull.") as folder:
            part = Path(folder, "part")
            self._transfer(["pull", remote, str(part.absolute())], timeout_s)
            (there,), here = self._hash_remote([remote]), hash_file(part)
            if here != there:
                raise self._different(remote, "pull", here, there)
            part.replace(local)

    def get_property(self, name: str) -> str | None:
        """Returns a system property, e.g. `ro.product.cpu.abi`; None if it is not set."""
        return self.shell(["getprop", name], timeout_s=PROPERTY_TIMEOUT_S).stdout.strip() or None

    def _check_remote(self, remote: str, verb: str) -> None:
        if not remote.startswith("/"):
            problem = f"expected a full path on the phone, got {remote!r}"
            raise AdbError(problem, self._nothing_called(verb), "let it begin with /data/local/tmp/")

    def _transfer(self, arguments: Sequence[str], timeout_s: float) -> None:
        call = self.adb.run(self.serial, arguments, timeout_s=timeout_s)
        if call.exit_code != 0:
            problem = f"cannot {arguments[0]} a file"
            state = self._read_state()
            if state != READY:
                raise DeviceLostError(f"{problem}: the phone {self.serial!r} went away, it is now {state}", call)
            raise AdbError(problem, call)

    def _push_group(self, group: Mapping[str, Path], timeout_s: float) -> None:
        locals_ = [str(local.absolute()) for local in group.values()]
        target = next(iter(group))
        self._transfer(["push", *locals_, target if len(group) == 1 else f"{_folder(target)}/"], timeout_s)

    def _hash_remote(self, remotes: Sequence[str]) -> list[str]:
        lines: list[str] = []
        for some in _split(remotes):
            # Read from stdin: a name can then neither pass for an option nor spoil the lines of the output.
            script = " &&\n".join(f"sha256sum < {shlex.quote(remote)}" for remote in some)
            lines += self.script(script, timeout_s=HASH_TIMEOUT_S).stdout.splitlines()
        return [line.partition(" ")[0] for line in lines]

    def _different(self, what: str, verb: str, here: str, there: str) -> AdbError:
        problem = f"{what} came out different: SHA-256 here {here}, on the phone {there}"
        return AdbError(problem, self._nothing_called(verb), "try again; then try another cable or USB port")

    def _lost(self, call: Completed) -> DeviceLostError:
        state = self._read_state()
        problem = f"the end of a command was not seen: the phone {self.serial!r} went away, it is now {state}"
        return DeviceLostError(problem, call, find_advice(call.stderr, call.stdout) or STATE_ADVICE.get(state))

    def _read_state(self) -> str:
        with suppress(AdbError):
            return next((d.state for d in self.adb.list_devices() if d.serial == self.serial), "not attached")
        return "unknown"

    def _nothing_called(self, verb: str) -> Completed:
        return Completed(argv=(str(self.adb.path), "-s", self.serial, verb), serial=self.serial)


def hash_file(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _group_by_folder(files: Mapping[str, Path]) -> Iterator[Mapping[str, Path]]:
    """Returns what one call of `adb push` can take: files that keep their names, into one folder; others are alone."""
    folders: dict[str, list[tuple[str, Path]]] = {}
    for remote, local in files.items():
        keeps_name = remote == f"{_folder(remote)}/{local.absolute().name}"
        folders.setdefault(_folder(remote) if keeps_name else remote, []).append((remote, local))
    for group in folders.values():
        yield from (dict(some) for some in _split(group))


def _split(items: Sequence[_Item]) -> list[Sequence[_Item]]:
    return [items[first : first + MOST_FILES] for first in range(0, len(items), MOST_FILES)]


def _folder(remote: str) -> str:
    return remote.rpartition("/")[0]
