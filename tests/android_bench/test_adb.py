"""Calls of adb: what comes back, time limits, errors; with a script in its place, and with the real one."""

import time

import pytest

from nasfpn_lite.android_bench.adb import (
    SHOWN_CHARACTERS,
    Adb,
    AdbError,
    AdbTimeoutError,
    Completed,
    ListedDevice,
    parse_device_list,
)

LISTED = """\
* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
17201FDF6000AB         device usb:1-4 product:oriole model:Pixel_6 device:oriole transport_id:7
emulator-5554          offline transport_id:2
FA6AR0301234           unauthorized usb:3-2 transport_id:9
HT7A1A               no permissions (user in plugdev group; are your udev rules wrong?); \
see [http://developer.android.com/tools/device.html] usb:1-1 transport_id:3
my phone device 5      device product:x model:y device:z transport_id:1
192.168.1.7:5555       device

"""


def test_device_list():
    assert parse_device_list(LISTED) == (
        ListedDevice(
            "17201FDF6000AB",
            "device",
            {"usb": "1-4", "product": "oriole", "model": "Pixel_6", "device": "oriole", "transport_id": "7"},
        ),
        ListedDevice("emulator-5554", "offline", {"transport_id": "2"}),
        ListedDevice("FA6AR0301234", "unauthorized", {"usb": "3-2", "transport_id": "9"}),
        ListedDevice("HT7A1A", "no permissions", {"usb": "1-1", "transport_id": "3"}),
        ListedDevice("my phone device 5", "device", {"product": "x", "model": "y", "device": "z", "transport_id": "1"}),
        ListedDevice("192.168.1.7:5555", "device", {}),
    )


def test_an_empty_list():
    assert parse_device_list("List of devices attached\n\n") == ()


def test_no_adb(tmp_path):
    with pytest.raises(AdbError, match=r"expected the program adb on PATH.*(?s:.*)apt install adb"):
        Adb(environment={"PATH": str(tmp_path)})
    with pytest.raises(AdbError, match="expected the program adb in .*nowhere") as caught:
        Adb(tmp_path / "nowhere")
    assert (caught.value.exit_code, caught.value.serial) == (None, None)


def test_words_and_streams_come_through_as_they_are(make_fake_adb):
    adb = make_fake_adb('printf "<%s>" "$@"; printf "e\\r\\n" >&2; exit 7')
    call = adb.run("a serial; $(x)", ["shell", "echo 'a'", "b\nc"], timeout_s=5)
    assert call.stdout == "<-s><a serial; $(x)><shell><echo 'a'><b\nc>"
    assert call.argv[1:] == ("-s", "a serial; $(x)", "shell", "echo 'a'", "b\nc")
    assert (call.serial, call.exit_code, call.stderr) == ("a serial; $(x)", 7, "e\r\n")
    assert 0 < call.seconds < 5


def test_a_call_that_hangs_is_ended(make_fake_adb):
    adb = make_fake_adb("echo begun; echo oh >&2; exec sleep 60")
    begin = time.monotonic()
    with pytest.raises(AdbTimeoutError, match=r"did not end within 0\.2 s(?s:.*)allow more time") as caught:
        adb.run("S", ["shell", "x"], timeout_s=0.2)
    assert time.monotonic() - begin < 2
    assert (caught.value.stdout, caught.value.stderr, caught.value.exit_code) == ("begun\n", "oh\n", None)


def test_a_server_left_behind_holds_nothing_up(make_fake_adb):
    adb = make_fake_adb("sleep 3 & echo done")
    assert adb.run("S", ["shell", "x"], timeout_s=2).stdout == "done\n"


def test_ctrl_c_at_the_terminal_does_not_reach_adb(make_fake_adb):
    adb = make_fake_adb("echo $$; ps -o sid= -p $$")
    process, session = adb.run("S", ["shell", "x"], timeout_s=5).stdout.split()
    assert process == session


def test_a_killed_adb_is_no_timeout(make_fake_adb):
    assert make_fake_adb("kill -9 $$").run("S", ["shell", "x"], timeout_s=5).exit_code == -9


def test_nul_characters_are_refused(make_fake_adb):
    with pytest.raises(AdbError, match="without a NUL character"):
        make_fake_adb("exit 0").run("S", ["shell", "a\0b"], timeout_s=5)


def test_the_environment_is_ours_and_what_was_given(make_fake_adb, monkeypatch):
    monkeypatch.setenv("OURS", "1")
    path = make_fake_adb('echo "$OURS $GIVEN"').path
    assert Adb(path, environment={"GIVEN": "2"}).run("S", [], timeout_s=5).stdout == "1 2\n"


def test_a_list_that_fails(make_fake_adb):
    with pytest.raises(AdbError, match=r"cannot list(?s:.*)exit code: 1(?s:.*)adb kill-server"):
        make_fake_adb("echo 'error: cannot connect to daemon' >&2; exit 1").list_devices()


def test_a_server_that_does_not_start(tmp_path):
    path = tmp_path / "adb"
    path.write_text("#!/bin/sh\necho 'could not install smartsocket listener' >&2\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    with pytest.raises(AdbError, match=r"cannot start adb's server(?s:.*)smartsocket"):
        Adb(path).list_devices()


def test_errors_hold_the_whole_call_and_show_its_end():
    call = Completed(("adb", "-s", "S 1", "push"), "S 1", 1, "", "x" * 2000 + "\x1b[2J\nNo space left on device\n")
    error = AdbError("cannot push", call)
    assert (error.argv, error.serial, error.exit_code, error.stdout, error.stderr) == (
        call.argv,
        "S 1",
        1,
        "",
        call.stderr,
    )
    lines = str(error).splitlines()
    assert lines[:4] == ["cannot push", "  command: adb -s 'S 1' push", "  phone: S 1", "  exit code: 1"]
    assert lines[-1].startswith("  what to do: free some space")
    assert "\x1b" not in str(error) and "stdout" not in str(error)
    assert len(str(error)) < SHOWN_CHARACTERS + 400


def test_a_given_advice_goes_first():
    call = Completed(("adb",), None, 1, "", "No space left on device")
    assert str(AdbError("x", call, "do that")).endswith("what to do: do that")
    assert AdbError("x", Completed(("adb",))).advice  # never none


def test_real_adb_lists_the_phone(adb, phone):
    listed = {device.serial: device for device in adb.list_devices()}[phone.serial]
    assert listed.state == "device"
    assert listed.properties["product"] == "simulated_oriole"
    assert listed.properties["model"] == "Simulated_Pixel_6"


def test_real_adb_tells_its_version(adb):
    assert adb.read_version()[0].isdigit()


def test_real_adb_runs_and_keeps_streams_apart(adb, phone):
    call = adb.run(phone.serial, ["shell", "echo out; echo err >&2; exit 9"], timeout_s=10)
    assert (call.stdout, call.stderr, call.exit_code) == ("out\n", "err\n", 9)


def test_the_tests_leave_other_servers_alone(adb_server):
    assert adb_server.port != 5037
