"""What a Linux or Android program says of itself: for which processor it is, and which loader starts it."""

import struct
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.errors import UserError

# ELF machine numbers by Android's names for them.
ABIS = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86"}
_MAGIC = b"\x7fELF"
_LITTLE_ENDIAN = 1
_INTERPRETER_SEGMENT = 3


class ElfError(UserError):
    """A file that is no program for a phone."""


@dataclass(frozen=True)
class Elf:
    """A program or library.

    Attributes:
        abi: Android's name of the processor and word size.
        loader: Path of the program that starts this one; None for a library or a static program.
    """

    abi: str
    loader: str | None

    @property
    def needs_glibc(self) -> bool:
        """Returns whether an Android phone, which has no GNU C library, lacks the loader."""
        return self.loader is not None and self.loader.rpartition("/")[2].startswith("ld-linux")


def read_elf(path: Path) -> Elf:
    """Reads the head of a program.

    Raises:
        ElfError: It is none, it is cut, or it is for another kind of machine.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ElfError(f"cannot read the program {path}: {error.strerror}") from error
    if content[:4] != _MAGIC or len(content) < 64 or content[5] != _LITTLE_ENDIAN:
        raise ElfError(f"expected a Linux or Android program in {path}, got something else: name the right file")
    (machine,) = struct.unpack_from("<H", content, 18)
    if machine not in ABIS:
        raise ElfError(f"expected a program for {' or '.join(ABIS.values())} in {path}, got ELF machine {machine}")
    try:
        return Elf(ABIS[machine], _read_loader(content))
    except (struct.error, UnicodeDecodeError) as error:
        raise ElfError(f"the program {path} is cut: copy it again") from error


def _read_loader(content: bytes) -> str | None:
    is_64_bit = content[4] == 2
    if is_64_bit:
        (table,) = struct.unpack_from("<Q", content, 32)
        entry_size, count = struct.unpack_from("<HH", content, 54)
    else:
        (table,) = struct.unpack_from("<I", content, 28)
        entry_size, count = struct.unpack_from("<HH", content, 42)
    for start in range(table, table + count * entry_size, entry_size):
        if is_64_bit:
            kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", content, start)
        else:
            kind, offset, _, _, size = struct.unpack_from("<IIIII", content, start)
        if kind == _INTERPRETER_SEGMENT:
            return content[offset : offset + size].rstrip(b"\0").decode("ascii")
    return None
