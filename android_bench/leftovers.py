"""Folders of ours that sessions left on a phone, for a user to see; the next session removes what is surely dead."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.own_folders import HOUSEKEEPING_TIMEOUT_S, OWNER_FILE, PARENT
from nasfpn_lite.android_bench.owners import State, find_state
from nasfpn_lite.android_bench.phone_files import to_int

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device

_SCRIPT = f"""
now=$(date +%s)
for folder in {PARENT}/nasfpn-lite-*; do
  [ -d "$folder" ] || continue
  owner=
  read -r owner < "$folder/{OWNER_FILE}"
  set -- $(du -sk "$folder")
  echo "$folder|$((now - $(stat -c %Y "$folder")))|$1|$owner"
done 2>/dev/null
true"""
_LINE = re.compile(rf"({PARENT}/nasfpn-lite-[0-9a-f]{{16}}(?:\.gone)?)\|(-?\d*)\|(\d*)\|(.*)")


@dataclass(frozen=True)
class Leftover:
    """A folder that a session made.

    Attributes:
        age_s: Since something was last put into it; None where the phone does not tell.
        state: Of the process that made it.
    """

    folder: str
    age_s: int | None
    size_kb: int | None
    state: State


def list_folders(device: "Device") -> tuple[Leftover, ...]:
    """Returns every folder of a session that lies on a phone, those in use too; none that others made."""
    text = device.script(_SCRIPT, timeout_s=HOUSEKEEPING_TIMEOUT_S, check=False).stdout.replace("\r\n", "\n")
    matches = [match for match in map(_LINE.fullmatch, text.splitlines()) if match]
    return tuple(Leftover(m[1], to_int(m[2]), to_int(m[3]), find_state(m[4])) for m in matches)


def describe_leftovers(device: "Device") -> tuple[str, ...]:
    """Says of each folder that is not surely in use what it is, and how it goes."""
    notes = []
    for item in list_folders(device):
        size = "of unknown size" if item.size_kb is None else f"{item.size_kb / 1024:.1f} MB"
        age = "of unknown age" if item.age_s is None else f"{item.age_s / 3600:.1f} hours old"
        if item.state == "dead":
            notes.append(f"a session that was killed left {item.folder} ({size}, {age}): the next one removes it")
        elif item.state == "unknown":
            notes.append(
                f"{item.folder} ({size}, {age}) was not made on this computer, or by an older version: if no session "
                f"runs on the phone, remove it: adb -s {device.serial} shell rm -rf {item.folder}"
            )
    return tuple(notes)
