"""What a workspace leaves on a phone: nothing of its own, and all of others."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from nasfpn_lite.android_bench import workspace as workspace_module
from nasfpn_lite.android_bench.adb import AdbError, DeviceLostError
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.leftovers import describe_leftovers
from nasfpn_lite.android_bench.owners import describe_owner
from nasfpn_lite.android_bench.workspace import Workspace, WorkspaceError, remove_folder
from tests.phone_programs import is_running, list_folders, stubborn_sleep, wait_until


def test_other_folders_stay(device, phone):
    others = ["nasfpn-lite-of-another", "nasfpn-lite-0123456789abcdef", "precious file"]
    for name in others:
        (phone.data / "local/tmp" / name).mkdir()
    with Workspace(device):
        pass
    assert {path.name for path in (phone.data / "local/tmp").iterdir()} >= set(others)
    for name in others:
        (phone.data / "local/tmp" / name).rmdir()


INTERRUPTED = """
import sys
from nasfpn_lite.android_bench.adb import Adb
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.workspace import Workspace
with Workspace(Device(Adb(), sys.argv[1])) as workspace:
    workspace.run(sys.argv[2:], timeout_s=60)
"""


def test_ctrl_c_leaves_nothing_behind(device, phone, adb_server, repository):
    environment = {**os.environ, **adb_server.environment, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", INTERRUPTED, phone.serial, *stubborn_sleep("98.6")]
    # A process group of its own, to which the signal goes as from a terminal: to Python and to what it started.
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, process_group=0) as process:
        wait_until(lambda: is_running(device, "98.6"))
        os.killpg(process.pid, signal.SIGINT)
        stderr = process.communicate(timeout=20)[1]
    assert process.returncode == -signal.SIGINT
    assert stderr.endswith("KeyboardInterrupt\n")
    assert list_folders(phone) == []
    wait_until(lambda: not is_running(device, "98.6"))


def test_a_killed_session_leaves_what_the_next_one_removes(device, phone, adb_server, repository):
    environment = {**os.environ, **adb_server.environment, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", INTERRUPTED, phone.serial, *stubborn_sleep("98.2")]
    with subprocess.Popen(command, env=environment, process_group=0) as process:
        wait_until(lambda: is_running(device, "98.2"))
        (left,) = list_folders(phone)
        with Workspace(device):
            assert len(list_folders(phone)) == 2  # its process lives
        assert describe_leftovers(device) == ()
        os.killpg(process.pid, signal.SIGKILL)
    (note,) = describe_leftovers(device)
    assert re.match(rf"a session that was killed left /data/local/tmp/{left} \(\d\.\d MB, 0\.0 hours old\)", note)
    with Workspace(device) as workspace:
        assert list_folders(phone) == [workspace.folder.rpartition("/")[2]]
    wait_until(lambda: not is_running(device, "98.2"))


@pytest.mark.parametrize(
    ("owner", "stays"), [("", True), ("other 1 2 3", True), ("COMPUTER other-boot 1 1", False), ("DEAD", False)]
)
@pytest.mark.parametrize("suffix", ["", ".gone"])
def test_only_what_a_dead_process_of_this_computer_made_is_removed(device, phone, owner, stays, suffix):
    with subprocess.Popen(["true"]) as ended:
        pass
    computer, boot, _, start = describe_owner().split()
    owner = owner.replace("COMPUTER", computer).replace("DEAD", f"{computer} {boot} {ended.pid} {start}")
    left = phone.data / "local/tmp" / f"nasfpn-lite-0123456789abcdef{suffix}"
    folder = f"/data/local/tmp/{left.name}"
    device.script(f"mkdir {folder} && echo '{owner}' > {folder}/.owner", timeout_s=10)
    notes = describe_leftovers(device)
    assert [f"{device.serial} shell rm -rf {folder}" in note for note in notes] == [stays]
    with Workspace(device):
        assert left.exists() is stays
    device.shell(["rm", "-rf", folder], timeout_s=10)


def test_ctrl_c_twice_leaves_nothing_behind(device, phone, monkeypatch):
    def interrupt_once(device, folder):
        monkeypatch.setattr(workspace_module, "remove_folder", remove_folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(workspace_module, "remove_folder", interrupt_once)
    with pytest.raises(KeyboardInterrupt), Workspace(device):
        pass
    assert list_folders(phone) == []


def test_a_phone_that_went_away_keeps_the_folder_and_says_so(start_phone, adb, caplog):
    phone = start_phone()
    device = Device(adb, phone.serial)
    timer = threading.Timer(0.6, phone.unplug)
    with caplog.at_level(logging.WARNING), pytest.raises(DeviceLostError, match="was not seen"):
        with Workspace(device) as workspace:
            timer.start()
            workspace.run(["sleep", "98.4"], timeout_s=30)
    timer.join()
    assert f"the folder {workspace.folder} stays on the phone {phone.serial}" in caplog.text
    assert "kill" not in caplog.text  # the script of the clean-up is nothing to read
    phone.plug_in()
    assert is_running(device, "98.4")
    remove_folder(device, workspace.folder)
    assert list_folders(phone) == []
    wait_until(lambda: not is_running(device, "98.4"))
    remove_folder(device, workspace.folder)  # gone already


def test_a_removal_that_was_cut_short_is_finished(device, phone):
    with Workspace(device) as workspace:
        device.shell(["mv", workspace.folder, f"{workspace.folder}.gone"], timeout_s=10)
    assert list_folders(phone) == []


def test_a_program_that_starts_late_does_not_start(device, phone):
    with Workspace(device) as workspace:
        workspace.run(["touch", "mark"], timeout_s=10)
        device.shell(["mv", workspace.folder, f"{workspace.folder}.gone"], timeout_s=10)
        with pytest.raises(AdbError, match="cd: .*No such file or directory"):
            workspace.run(["touch", f"{workspace.folder}.gone/late"], timeout_s=10)
        assert not (phone.data / "local/tmp" / f"{workspace.folder.rpartition('/')[2]}.gone" / "late").exists()


@pytest.mark.parametrize(
    "folder",
    ["/data/local/tmp", "/data/local/tmp/", "/", "/data/local/tmp/nasfpn-lite-0123456789abcdef/..", "/sdcard/x", ""],
)
def test_other_folders_are_never_removed(device, folder):
    with pytest.raises(WorkspaceError, match="not removed"):
        remove_folder(device, folder)


def test_a_full_phone_is_cleaned_up_too(start_phone, adb, tmp_path):
    phone = start_phone(disk_bytes=1 << 20)
    device = Device(adb, phone.serial)
    (tmp_path / "x").write_bytes(bytes(2 << 20))
    with pytest.raises(AdbError, match="No space left"), Workspace(device) as workspace:
        workspace.push(tmp_path / "x", "x")
    assert device.shell(["ls", "-A", "/data/local/tmp"], timeout_s=10).stdout == ""
