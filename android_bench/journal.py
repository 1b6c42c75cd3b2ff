"""The journal of a session: a line for each thing done, safe on disk, so that a session can go on after a kill."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from nasfpn_lite.errors import UserError

FORMAT = "nasfpn-lite/android-journal/1"


class JournalError(UserError):
    """A journal does not belong to the session that wants to go on with it."""


class Journal:
    """Lines of JSON: first what the session is, then an entry for each thing done.

    Attributes:
        entries: What is done already.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        """Opens the journal, or begins it where there is none.

        Args:
            identity: What makes two sessions the same, as JSON data: phone, files with their sha256, options.

        Raises:
            JournalError: The journal is of another session, damaged, or in use.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        try:
            _lock(self._file.fileno(), path)
            lines = self._read_whole_lines()
            if lines:
                self._check_identity(lines[0], identity)
            else:
                self._write({"format": FORMAT, **identity})
        except BaseException:
            self._file.close()
            raise
        self.entries: list[dict[str, Any]] = lines[1:]

    def append(self, **entry: Any) -> None:
        """Adds an entry; when it returns, the entry outlasts a power cut."""
        self._write(entry)
        self.entries.append(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        self._file.write(line.encode("utf-8"))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read_whole_lines(self) -> list[dict[str, Any]]:
        """Reads all lines and cuts off a last one that a kill left half-written."""
        self._file.seek(0)
        data = self._file.read()
        whole = data.rpartition(b"\n")[0] + b"\n" if b"\n" in data else b""
        if len(whole) < len(data):
            self._file.truncate(len(whole))
        lines = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                lines.append(dict(json.loads(line)))
            except (ValueError, TypeError) as error:
                raise JournalError(f"{self.path} is damaged in line {number}; delete it to begin anew") from error
        return lines

    def _check_identity(self, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        wanted = json.loads(json.dumps({"format": FORMAT, **wanted}))
        for name in {**wanted, **found}:
            if found.get(name) != wanted.get(name):
                raise JournalError(
                    f"{self.path} is the journal of another session: its {name} is {_show(found.get(name))}, here "
                    f"it is {_show(wanted.get(name))}; repeat that session's command to finish it, or say --restart to "
                    "drop it"
                )

    def close(self) -> None:
        """Closes the file and leaves it for the next time."""
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lock(handle: int, path: Path) -> None:
    """Keeps a second session off the same phone and folder, on systems that have such locks."""
    try:
        import fcntl
    except ModuleNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise JournalError(f"{path} is in use by another session; wait for its end") from error
