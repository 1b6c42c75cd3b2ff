import struct
import sys
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.elf import Elf, ElfError, read_elf


def make_elf(machine: int, loader: bytes | None, *, bits: int = 64) -> bytes:
    """Packs a program's head with one segment: its loader, or something else."""
    kind, text = (3, loader) if loader else (1, b"x")
    text += b"\0"
    if bits == 64:
        identity = b"\x7fELF\2\1\1".ljust(16, b"\0")
        head = identity + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        return head + struct.pack("<IIQQQQQQ", kind, 4, 120, 0, 0, len(text), len(text), 1) + text
    identity = b"\x7fELF\1\1\1".ljust(16, b"\0")
    head = identity + struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return head + struct.pack("<IIIIIIII", kind, 84, 0, 0, len(text), len(text), 4, 1) + text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (make_elf(183, b"/lib/ld-linux-aarch64.so.1"), Elf("arm64-v8a", "/lib/ld-linux-aarch64.so.1")),
        (make_elf(183, b"/system/bin/linker64"), Elf("arm64-v8a", "/system/bin/linker64")),
        (make_elf(62, None), Elf("x86_64", None)),
        (make_elf(40, b"/system/bin/linker", bits=32), Elf("armeabi-v7a", "/system/bin/linker")),
    ],
)
def test_read(tmp_path, content, expected):
    path = tmp_path / "program"
    path.write_bytes(content)
    assert read_elf(path) == expected


def test_only_the_gnu_loader_is_missing_on_phones():
    assert Elf("arm64-v8a", "/lib/ld-linux-aarch64.so.1").needs_glibc
    assert not Elf("arm64-v8a", "/system/bin/linker64").needs_glibc
    assert not Elf("arm64-v8a", None).needs_glibc


@pytest.mark.skipif(sys.platform != "linux", reason="reads this machine's own Python")
def test_real_program():
    assert read_elf(Path(sys.executable).resolve()).abi in ("x86_64", "arm64-v8a")


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF" + b"\0" * 10, make_elf(243, None)])
def test_no_program_for_a_phone(tmp_path, content):
    path = tmp_path / "program"
    path.write_bytes(content)
    with pytest.raises(ElfError, match="expected a"):
        read_elf(path)


def test_program_that_is_cut(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(make_elf(183, b"/lib/ld-linux-aarch64.so.1")[:100])
    with pytest.raises(ElfError, match="is cut"):
        read_elf(path)


def test_missing_program(tmp_path):
    with pytest.raises(ElfError, match="No such file"):
        read_elf(tmp_path / "none")
