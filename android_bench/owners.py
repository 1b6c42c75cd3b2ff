"""Which process here made a folder on a phone: one that a killed session left can then be told from one in use."""

import hashlib
import os
import socket
from pathlib import Path
from typing import Literal

_PROC = Path("/proc")
_ENDED = "ZX"  # states of a process that only waits to be counted

State = Literal["alive", "dead", "unknown"]


def describe_owner() -> str:
    """Returns a line that names this computer, its start, this process and its start; empty if the system tells none.

    A computer is known by its name, its machine-id and the space that its process numbers hold in: another container's
    numbers mean nothing here.
    """
    start = _read_start(os.getpid())
    boot, computer = _read_boot(), _name_computer()
    return f"{computer} {boot} {os.getpid()} {start}" if start and boot and computer else ""


def find_state(owner: str) -> State:
    """Says whether the process of such a line still runs; "unknown" for another computer's, and whatever is no line."""
    computer, boot, pid, start = (*owner.split(), "", "", "", "")[:4]
    if not (start and pid.isdecimal() and computer == _name_computer()):
        return "unknown"
    # Numbers are given anew, also within one start of the computer: only with the same start it is the same process.
    return "alive" if boot == _read_boot() and start == _read_start(int(pid)) else "dead"


def _name_computer() -> str | None:
    try:
        space = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None
    machine = _read(Path("/etc/machine-id"))
    return hashlib.sha256(f"{socket.gethostname()}\n{machine}\n{space}".encode()).hexdigest()[:16]


def _read_boot() -> str | None:
    return _read(_PROC / "sys/kernel/random/boot_id")


def _read_start(pid: int) -> str | None:
    """Returns when a process began, in ticks since the computer did; None if there is none, or it has ended."""
    # The second field is the program's name, in parentheses, and may hold anything.
    fields = (_read(_PROC / str(pid) / "stat") or "").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in _ENDED else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
