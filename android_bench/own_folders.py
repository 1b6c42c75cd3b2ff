"""Folders that workspaces make on a phone: made with their owner's name, removed with what runs in them."""

import logging
import re
import shlex

from nasfpn_lite.android_bench.adb import AdbError
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.owners import describe_owner, find_state
from nasfpn_lite.errors import UserError

PARENT = "/data/local/tmp"  # the one place where adb's user may write and run programs
HOUSEKEEPING_TIMEOUT_S = 30.0
PID_FILE = ".pid-"
OWNER_FILE = ".owner"

_OWN_FOLDER = re.compile(rf"{PARENT}/nasfpn-lite-[0-9a-f]{{16}}")

logger = logging.getLogger(__name__)


class WorkspaceError(UserError):
    """A name, variable or mask that cannot be used on the phone."""


def make_script(folder: str) -> str:
    """Returns the script that makes a folder with its owner's name in it, and lists all folders with theirs."""
    # A full phone takes the folder, but no name: that comes out, with what to do, when the first file is pushed.
    return f"""
mkdir -m 700 {folder} || exit
{{ echo {shlex.quote(describe_owner())} > {folder}/{OWNER_FILE}; }} 2>/dev/null
for folder in {PARENT}/nasfpn-lite-*; do
  owner=
  read -r owner < "$folder/{OWNER_FILE}"
  echo "$folder $owner"
done 2>/dev/null
true"""


def remove_dead(device: Device, listed: str) -> None:
    """Removes the folders of processes of this computer that are gone; all others are left alone."""
    for line in listed.splitlines():
        folder, _, owner = line.strip().partition(" ")
        folder = folder.removesuffix(".gone")
        if _OWN_FOLDER.fullmatch(folder) and find_state(owner) == "dead":
            logger.info("%s: removing %s, which a session that was killed left there", device.serial, folder)
            try:
                remove_folder(device, folder)
            except AdbError as error:
                logger.warning("it stays there: %s", first_line(error))


def remove_folder(device: Device, folder: str) -> None:
    """Ends what a workspace left running, and removes its folder; does nothing where it is gone already.

    Raises:
        WorkspaceError: The folder is not one that a `Workspace` made.
        AdbError: The phone cannot be reached, or cannot remove it.
    """
    if not _OWN_FOLDER.fullmatch(folder):
        raise WorkspaceError(
            f"expected the folder of a workspace, {PARENT}/nasfpn-lite-..., got {folder!r}: not removed"
        )
    # Renamed first: a program whose start is still under way then finds no place for its pid file, and does not start.
    gone = f"{folder}.gone"
    text = f"if [ -d {folder} ]; then mv {folder} {gone}; fi\n{kill_script(gone)}\nrm -rf {gone}"
    device.script(text, timeout_s=HOUSEKEEPING_TIMEOUT_S)


def kill_script(folder: str) -> str:
    """Kills the programs of a workspace and waits until they are gone.

    A number may meanwhile belong to another program: only one that works in our folder is killed.
    """
    return f"""
is_ours() {{ [ -d /proc/$pid ] && [ "$(readlink /proc/$pid/cwd)" = {folder} ]; }} 2>/dev/null
for file in {folder}/{PID_FILE}*; do
  [ -s "$file" ] && read -r pid < "$file" && is_ours || continue
  kill -KILL "$pid"
  tries=0
  while is_ours && [ $tries -lt 100 ]; do
    sleep 0.05
    tries=$((tries + 1))
  done
done"""


def first_line(error: AdbError) -> str:
    """Leaves out the command of our own clean-up: what is to be done stands in the error that led to it."""
    return str(error).partition("\n")[0]
