import os
import stat
from pathlib import Path

import pytest

from nasfpn_lite.files import atomic_file, write_bytes_atomically, write_text_atomically


def test_text_is_utf8_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"
    for text in ("a longer first text", "ü\n"):
        write_text_atomically(path, text)
    assert path.read_bytes() == b"\xc3\xbc\n"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes_atomically(path, b"old")
    with pytest.raises(RuntimeError, match="half way"), atomic_file(path) as file:
        file.write(b"ne")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_synced_before_the_rename_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    replace = os.replace

    def note_sync(handle: int) -> None:
        state = os.fstat(handle)
        steps.append(("folder", state.st_ino) if stat.S_ISDIR(state.st_mode) else ("file", state.st_size))

    def note_replace(source: str, target: Path) -> None:
        steps.append(("replace", target.name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_bytes_atomically(tmp_path / "a.bin", b"12345")
    assert steps == [("file", 5), ("replace", "a.bin"), ("folder", tmp_path.stat().st_ino)]


def test_a_folder_that_cannot_be_opened_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_ = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if path == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return open_(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    write_bytes_atomically(tmp_path / "a.bin", b"12345")
    assert (tmp_path / "a.bin").read_bytes() == b"12345"
