"""One phone: commands, files and what goes wrong with them, on a real adbd."""

import threading
import time

import pytest

from nasfpn_lite.android_bench.adb import AdbError, AdbTimeoutError, DeviceLostError
from nasfpn_lite.android_bench.device import Device
from tests.android_bench.phone.phone_unauthorized import UnauthorizedPhone

HOSTILE = [
    "a b",
    "it's",
    'say "x"',
    "$(touch /data/local/tmp/pwned)",
    "`id`",
    "a;b|c&d",
    "*",
    "\\n",
    "ümlaut",
    "",
    "-n",
]
HOSTILE += ["line\nbreak", "!h", "~", "{a,b}", "%s", "tab\there"]
TMP = "/data/local/tmp"


def test_words_reach_a_program_as_they_are(device, phone):
    result = device.shell(["printf", "<%s>\\n", *HOSTILE], timeout_s=10)
    assert result.stdout == "".join(f"<{word}>\n" for word in HOSTILE)
    assert not (phone.data / "local/tmp/pwned").exists()


@pytest.mark.parametrize("text", ["", "x", "x\n", "\n", "\n\n", "a\r\nb", "end-0123456789abcdef 0\n"])
def test_output_comes_back_to_the_byte(device, text):
    result = device.shell(["printf", "%s", text], timeout_s=10)
    assert (result.stdout, result.stderr, result.exit_code) == (text, "", 0)


def test_both_streams_and_the_exit_code(device):
    result = device.script("echo out; echo err >&2; exit 7", timeout_s=10, check=False)
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 7)
    assert 0 < result.seconds < 10
    with pytest.raises(AdbError, match=r"exit code 7(?s:.*)stderr: err") as caught:
        device.script("echo out; echo err >&2; exit 7", timeout_s=10)
    assert (caught.value.stdout, caught.value.stderr, caught.value.exit_code) == ("out\n", "err\n", 7)
    assert caught.value.serial == device.serial
    assert caught.value.argv[1:4] == ("-s", device.serial, "shell")


@pytest.mark.parametrize("text", ["exit 3", "exec sh -c 'exit 3'", "(exit 3)"])
def test_no_way_to_end_hides_the_end(device, text):
    assert device.script(text, timeout_s=10, check=False).exit_code == 3


def test_a_script_with_a_mistake_is_no_lost_phone(device):
    result = device.script("if (", timeout_s=10, check=False)
    assert result.exit_code != 0
    assert "syntax error" in result.stderr


def test_a_program_gets_no_input(device):
    assert device.script("cat; echo over", timeout_s=10).stdout == "over\n"


def test_missing_and_killed_programs(device):
    with pytest.raises(AdbError, match=r"exit code 127(?s:.*)what to do: look whether"):
        device.shell([f"{TMP}/none"], timeout_s=10)
    with pytest.raises(AdbError, match=r"exit code 137(?s:.*)memory runs low"):
        device.script("echo 'No space left on device'; sh -c 'kill -9 $$'", timeout_s=10)


def test_a_program_for_another_processor(device, phone):
    # Header of a 64-bit big-endian ELF program for S/390, which neither phone nor qemu takes for its own.
    header = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x02\x00\x16\x00\x00\x00\x01" + bytes(40)
    program = phone.data / "local/tmp/foreign"
    program.write_bytes(header)
    program.chmod(0o755)
    with pytest.raises(AdbError, match=r"exit code 126(?s:.*)another kind of processor"):
        device.shell([f"{TMP}/foreign"], timeout_s=10)


def test_a_program_without_the_right_to_run(device, phone):
    program = phone.data / "local/tmp/no_right"
    program.write_text("#!/system/bin/sh\n", encoding="utf-8")
    program.chmod(0o644)
    with pytest.raises(AdbError, match=r"exit code 126(?s:.*)chmod 755"):
        device.shell([f"{TMP}/no_right"], timeout_s=10)


def test_a_command_that_hangs(device):
    with pytest.raises(AdbTimeoutError, match=r"within 0\.5 s") as caught:
        device.script("echo begun; sleep 5", timeout_s=0.5)
    assert caught.value.stdout == "begun\n"


def test_properties(device, phone):
    assert device.get_property("ro.product.cpu.abi") == "x86_64"
    assert device.get_property("ro.no.such") is None
    phone.set_property("ro.spaced", "  a = b ")
    assert device.get_property("ro.spaced") == "a = b"


@pytest.mark.parametrize("loss", ["unplug", "kill"])
def test_a_phone_that_goes_away_in_mid_command(start_phone, adb, loss):
    phone = start_phone()
    device = Device(adb, phone.serial)
    timer = threading.Timer(0.4, getattr(phone, loss))
    timer.start()
    begin = time.monotonic()
    with pytest.raises(DeviceLostError, match="the end of a command was not seen") as caught:
        device.script("echo begun; sleep 20; echo ended", timeout_s=30)
    timer.join()
    assert time.monotonic() - begin < 10
    assert caught.value.stdout == "begun\n"
    with pytest.raises(DeviceLostError, match=r"to be ready, but it is offline(?s:.*)plug it in again"):
        device.check_ready()
    with pytest.raises(DeviceLostError, match="device offline"):
        device.shell(["true"], timeout_s=10)


def test_a_phone_that_comes_back(start_phone, adb):
    phone = start_phone()
    device = Device(adb, phone.serial)
    phone.unplug()
    phone.plug_in()
    device.check_ready()
    assert device.script("echo back", timeout_s=10).stdout == "back\n"


def test_a_push_to_a_phone_that_is_gone(start_phone, adb, tmp_path):
    phone = start_phone()
    phone.kill()
    (tmp_path / "x").write_bytes(b"abc")
    with pytest.raises(DeviceLostError, match="cannot push a file: the phone .* is now offline"):
        Device(adb, phone.serial).push(tmp_path / "x", f"{TMP}/x", timeout_s=10)


def test_a_phone_that_does_not_let_us_in(adb, adb_server):
    with UnauthorizedPhone() as stranger:
        adb_server.call("connect", stranger.serial)
        adb_server.wait_for_state(stranger.serial, "unauthorized")
        device = Device(adb, stranger.serial)
        with pytest.raises(DeviceLostError, match=r"but it is unauthorized(?s:.*)allow USB debugging"):
            device.check_ready()
        with pytest.raises(DeviceLostError, match=r"allow USB debugging") as caught:
            device.shell(["true"], timeout_s=10)
        assert "unauthorized" in caught.value.stderr
        adb_server.call("disconnect", stranger.serial)


@pytest.mark.parametrize("serial", ["$(touch pwned)", "; reboot", "-e", "no such phone", "a'b\"c", "../x"])
def test_serials_that_are_none(adb, phone, serial):
    device = Device(adb, serial)
    with pytest.raises(DeviceLostError, match=r"attached: .*127\.0\.0\.1") as caught:
        device.check_ready()
    assert caught.value.serial == serial
    with pytest.raises(DeviceLostError):
        device.shell(["true"], timeout_s=10)


@pytest.mark.parametrize("serial", ["", "a\nb", "a\x1b[2J"])
def test_serials_that_cannot_be(adb, serial):
    with pytest.raises(AdbError, match="expected the serial of a phone"):
        Device(adb, serial)


def test_no_phone_is_attached(make_fake_adb):
    adb = make_fake_adb("echo 'List of devices attached'")
    with pytest.raises(DeviceLostError, match="attached: none(?s:.*)plug in a phone"):
        Device(adb, "S").check_ready()
