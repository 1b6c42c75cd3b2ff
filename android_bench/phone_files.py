"""Many small files and commands of a phone read in one round trip; what cannot be read is None."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device

READ_TIMEOUT_S = 30.0  # a busy phone takes seconds for its dumpsys

_MARK = "@@nasfpn "


def read_many(
    device: "Device", *, files: Sequence[str] = (), commands: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Reads the first lines of files, and the output of commands.

    Args:
        files: Paths; * and [0-9] are expanded on the phone.
        commands: Name -> a line of sh.

    Returns:
        Path or name -> text without the blank around it; what is missing, unreadable or empty has no entry.
    """
    reply = device.script(make_script(files, commands or {}), timeout_s=READ_TIMEOUT_S, check=False)
    return parse_sections(reply.stdout)


def make_script(files: Sequence[str], commands: Mapping[str, str]) -> str:
    """Returns the sh script that prints every text under a line with its name."""
    # An output may lack its last newline, so that every mark brings its own.
    lines = [f"echo; echo '{_MARK}{name}'; {{ {command}; }} 2>/dev/null" for name, command in commands.items()]
    if files:
        # Only what is built into the shell: a new process for each of some fifty files would take longer than the rest.
        show = f'line=; read -r line < "$file"; echo; echo "{_MARK}$file"; echo "$line"'
        lines.append(f'for file in {" ".join(files)}; do [ -f "$file" ] && {{ {show}; }}; done 2>/dev/null')
    return "\n".join([*lines, "true"])


def parse_sections(text: str) -> dict[str, str]:
    """Splits what the script printed; a phone's shell may end its lines with CR LF."""
    sections: dict[str, str] = {}
    for part in ("\n" + text.replace("\r\n", "\n")).split("\n" + _MARK)[1:]:
        name, _, content = part.partition("\n")
        if content.strip():
            sections[name.strip()] = content.strip("\n")
    return sections


def to_int(text: str | None) -> int | None:
    """Reads a whole number; None for anything else."""
    try:
        return int(text or "")
    except ValueError:
        return None
