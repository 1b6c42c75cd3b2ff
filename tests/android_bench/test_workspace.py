"""A folder on a phone: what runs in it, and that nothing stays behind, whatever happens."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from nasfpn_lite.android_bench.adb import AdbError, AdbTimeoutError, DeviceLostError
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.workspace import Workspace, WorkspaceError
from tests.phone_programs import is_running, list_folders, stubborn_sleep, wait_until


def test_the_folder_is_there_and_then_gone(device, phone):
    with Workspace(device) as workspace:
        assert re.fullmatch(r"/data/local/tmp/nasfpn-lite-[0-9a-f]{16}", workspace.folder)
        assert list_folders(phone) == [workspace.folder.rpartition("/")[2]]
    assert list_folders(phone) == []


def test_two_do_not_meet(device, phone):
    with Workspace(device) as one, Workspace(device) as two:
        assert one.folder != two.folder
        assert len(list_folders(phone)) == 2


def test_it_is_gone_after_an_error(device, phone):
    with pytest.raises(RuntimeError, match="mine"), Workspace(device):
        raise RuntimeError("mine")
    assert list_folders(phone) == []


def test_files_in_and_out(device, phone, tmp_path):
    (tmp_path / "tool").write_text('#!/system/bin/sh\necho "$1" > result\necho ran\n', encoding="utf-8")
    with Workspace(device) as workspace:
        tool = workspace.push(tmp_path / "tool", "lib/my 'tool'=1", executable=True)
        assert tool == f"{workspace.folder}/lib/my 'tool'=1"
        assert workspace.run([tool, "$(id)"], timeout_s=10).stdout == "ran\n"
        workspace.pull("result", tmp_path / "result")
        assert (tmp_path / "result").read_text(encoding="utf-8") == "$(id)\n"
        assert workspace.run([tool, "x"], timeout_s=10, environment=[("A", "b")]).stdout == "ran\n"


def test_many_files_take_few_commands(device, tmp_path, monkeypatch):
    files = {}
    for number in range(5):
        files[tmp_path / f"{number}"] = f"lib/{number}" if number else "main"
        (tmp_path / f"{number}").write_text(f"#!/system/bin/sh\necho {number}\n", encoding="utf-8")
    with Workspace(device) as workspace:
        commands = []
        run = device.adb.run
        with monkeypatch.context() as patch:
            patch.setattr(
                device.adb, "run", lambda s, argv, **more: (commands.append(argv[0]), run(s, argv, **more))[1]
            )
            remotes = workspace.push_all(files, executables=["main", "lib/4"])
        # mkdir; the one that is renamed, and those of lib together; sha256sum, chmod
        assert commands == ["shell", "push", "push", "shell", "shell"]
        assert remotes == (f"{workspace.folder}/main", *(f"{workspace.folder}/lib/{n}" for n in range(1, 5)))
        assert [workspace.run([remotes[n]], timeout_s=10, check=False).exit_code for n in range(5)] == [
            0,
            126,
            126,
            126,
            0,
        ]
        assert workspace.push_all({}) == ()
        with pytest.raises(WorkspaceError, match="a name of its own for each file"):
            workspace.push_all({tmp_path / "0": "x", tmp_path / "1": "./x"})


def test_without_the_flag_a_file_keeps_its_rights(device, tmp_path):
    (tmp_path / "tool").write_text("#!/system/bin/sh\n", encoding="utf-8")
    with Workspace(device) as workspace:
        tool = workspace.push(tmp_path / "tool", "tool")
        with pytest.raises(AdbError, match="chmod 755"):
            workspace.run([tool], timeout_s=10)
        assert workspace.run([tool], timeout_s=10, check=False).exit_code == 126


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a\0b", ".pid-1"])
def test_names_that_lead_out(device, tmp_path, name):
    (tmp_path / "x").write_bytes(b"x")
    workspace = Workspace(device)  # never entered: nothing may reach the phone
    for use in (lambda: workspace.push(tmp_path / "x", name), lambda: workspace.pull(name, tmp_path / "y")):
        with pytest.raises(WorkspaceError, match="expected a file name inside"):
            use()


def test_variables_and_folder(device):
    with Workspace(device) as workspace:
        script = ["sh", "-c", 'echo "$A|$B|${LD_LIBRARY_PATH-none}"; pwd']
        result = workspace.run(script, timeout_s=10, environment=[("A", "it's $(id)"), ("B", "")])
        assert result.stdout == f"it's $(id)||none\n{workspace.folder}\n"
        for name in ("A B", "1A", "", "A=B", "A;id"):
            with pytest.raises(WorkspaceError, match="expected the name of a variable"):
                workspace.run(["true"], timeout_s=10, environment=[(name, "x")])
        with pytest.raises(WorkspaceError, match="got no words"):
            workspace.run([], timeout_s=10)


def test_variables_are_for_the_program_alone(device, phone):
    """A library path meant for the program must not reach `taskset`, which could not start with it."""
    with Workspace(device) as workspace:
        workspace.run(["true"], timeout_s=10, environment=[("LD_LIBRARY_PATH", "lib")], mask="80")
    mask, program = phone.read_notes("taskset")[-1].split(" ", 1)
    assert mask == "80"
    assert program.startswith("sh -c export LD_LIBRARY_PATH=lib;")


def test_masks(device, phone):
    with Workspace(device) as workspace:
        assert workspace.run(["echo", "x"], timeout_s=10, mask="C0").stdout == "x\n"
        assert phone.read_notes("taskset")[-1] == "C0 echo x"
        with pytest.raises(AdbError, match=r"Invalid argument(?s:.*)does not have all of these cores"):
            workspace.run(["echo", "x"], timeout_s=10, mask="100")
        for mask in ("", "0", "0x80", "xyz", "-1", "80;id"):
            with pytest.raises(WorkspaceError, match="expected a mask of cores"):
                workspace.run(["true"], timeout_s=10, mask=mask)


def test_a_program_is_killed_at_its_time_limit(device):
    with Workspace(device) as workspace:
        with pytest.raises(AdbTimeoutError):
            workspace.run(stubborn_sleep("98.5"), timeout_s=0.6, mask="1")
        wait_until(lambda: not is_running(device, "98.5"))
        assert workspace.run(["echo", "next"], timeout_s=10).stdout == "next\n"


def test_a_number_that_went_to_another_program_is_left_alone(device, phone):
    script = "cd /; sleep 98.7 >/dev/null 2>&1 & echo $!"
    stranger = device.script(script, timeout_s=10).stdout.strip()
    with Workspace(device) as workspace:
        workspace.run(["true"], timeout_s=10)
        device.script(f"echo {stranger} > {workspace.folder}/.pid-1", timeout_s=10)
    assert is_running(device, "98.7")
    device.shell(["kill", stranger], timeout_s=10)


def test_two_phones_at_once(device, start_phone, adb):
    devices = [device, Device(adb, start_phone().serial)]

    def measure(device):
        with Workspace(device) as workspace:
            return workspace.run(["sh", "-c", "sleep 0.3; getprop service.adb.listen_addrs; pwd"], timeout_s=20).stdout

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(measure, devices))
    assert len(set(answers)) == 2


def test_arm64(arm64_phone, adb, tmp_path):
    """Under qemu each program goes under the emulator's name, and takes its time to start."""
    device = Device(adb, arm64_phone.serial)
    (tmp_path / "tool").write_text("#!/system/bin/sh\nuname -m\n", encoding="utf-8")
    with Workspace(device) as workspace:
        tool = workspace.push(tmp_path / "tool", "a tool", executable=True)
        assert workspace.run([tool], timeout_s=30, mask="80").stdout == "aarch64\n"
        with pytest.raises(AdbTimeoutError):
            workspace.run(stubborn_sleep("98.3"), timeout_s=3)
        wait_until(lambda: not is_running(device, "98.3"))
    assert list_folders(arm64_phone) == []
    assert arm64_phone.read_notes("taskset") == [f"80 {tool}"]


def test_a_phone_that_is_not_ready(start_phone, adb):
    phone = start_phone()
    phone.kill()
    with pytest.raises(DeviceLostError, match="but it is offline"), Workspace(Device(adb, phone.serial)):
        raise AssertionError("must not get here")
