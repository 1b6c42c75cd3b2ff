"""The journal of a session: a line for each thing done, safe on disk, so that a session can go on after a kill."""

import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from nasfpn_lite.errors import UserError

FORMAT = "nasfpn-lite/android-journal/1"

# What its entries tell, by their "kind".
START, FOLDER, WARM_UP, BEGIN, TURN, END, RESULT = "start", "folder", "warm_up", "begin", "turn", "end", "result"


class JournalError(UserError):
    """A journal does not belong to the session that wants to go on with it."""


class Journal:
    """Lines of JSON: first what the session is, then an entry for each thing done.

    Attributes:
        entries: What is done already.
    """

    def __init__(self, path: Path, identity: dict[str, Any], *, restart: bool = False) -> None:
        """Opens the journal, or begins it where there is none, or none with a turn in it.

        Args:
            identity: What makes two sessions the same, as JSON data: phone, files with their sha256, options.
            restart: Begin anew in any case.

        Raises:
            JournalError: The journal is of another session, damaged, or in use.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        try:
            lock(self._file.fileno(), f"{path} is in use by another session; wait for its end")
            self.entries: list[dict[str, Any]] = []
            found, *entries = self._read_whole_lines(skip_damaged=restart) or [{}]
            if restart or not self._is_to_be_kept(found, entries, identity):
                self._begin(identity, entries)
            else:
                self.entries = entries
        except BaseException:
            self._file.close()
            raise

    def _is_to_be_kept(self, found: dict[str, Any], entries: list[dict[str, Any]], identity: dict[str, Any]) -> bool:
        """Whether there is something to go on with; of another session only what is finished may be dropped."""
        kinds = {entry.get("kind") for entry in entries}
        wanted = json.loads(json.dumps({"format": FORMAT, **identity}))
        if TURN in kinds and RESULT not in kinds:
            self._check_identity(found, wanted)
        return TURN in kinds and found == wanted

    def _begin(self, identity: dict[str, Any], dropped: list[dict[str, Any]]) -> None:
        self._file.truncate(0)  # never unlinked: another session could then take the name, and not see the lock
        self._write({"format": FORMAT, **identity})
        for entry in dropped:
            if entry.get("kind") == FOLDER:  # which may still lie on the phone
                self.append(**entry)

    def append(self, **entry: Any) -> None:
        """Adds an entry; when it returns, the entry outlasts a power cut."""
        self._write(entry)
        self.entries.append(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(_to_line(entry))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read_whole_lines(self, *, skip_damaged: bool) -> list[dict[str, Any]]:
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
                if not skip_damaged:
                    raise JournalError(f"{self.path} is damaged in line {number}; say --restart to drop it") from error
        return lines

    def _check_identity(self, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        for name in {**wanted, **found}:
            if found.get(name) != wanted.get(name):
                its, here = _keep_differences(found.get(name), wanted.get(name))
                raise JournalError(
                    f"{self.path} is the journal of another session: its {name} is {_show(its)}, here it is "
                    f"{_show(here)}; repeat that session's command to finish it, or say --restart to drop it"
                )

    def close(self) -> None:
        """Closes the file and leaves it for the next time."""
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def mark_finished(path: Path, result: str) -> None:
    """Notes in a session's journal that its result is written; does nothing where there is no journal.

    Args:
        result: Name of its file, beside the journal.
    """
    if path.is_file():
        with path.open("ab") as file:
            file.write(_to_line({"kind": RESULT, "file": result}))
            file.flush()
            os.fsync(file.fileno())


def find_finished(path: Path) -> Path | None:
    """Returns the file of the result that a journal names; None where it names none, or that file is gone."""
    files = [path.parent / entry["file"] for entry in _read_kind(path, RESULT)]
    return next((file for file in files if file.is_file()), None)


def count_rounds(path: Path) -> int:
    """Returns how many whole rounds a journal holds; 0 where there is none. A round that broke off begins anew."""
    return len(_read_kind(path, END))


def _read_kind(path: Path, kind: str) -> list[dict[str, Any]]:
    """Reads the entries of a kind; what is damaged has none."""
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with suppress(ValueError):
            found.append(json.loads(line))
    return [entry for entry in found if isinstance(entry, dict) and entry.get("kind") == kind]


def _to_line(entry: dict[str, Any]) -> bytes:
    return (json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _keep_differences(one: Any, other: Any) -> tuple[Any, Any]:
    """Leaves out of two objects what is the same in both."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return one, other
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return {name: one.get(name) for name in names}, {name: other.get(name) for name in names}


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def lock(handle: int, problem: str) -> None:
    """Takes the lock of a file, on systems that have such locks; it is given back when the file is closed.

    Raises:
        JournalError: Another session has it; `problem` says so.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise JournalError(problem) from error
