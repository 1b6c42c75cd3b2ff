"""One phone: commands, files and what goes wrong with them, on a real adbd."""

import hashlib
import threading
import time

import pytest

from nasfpn_lite.android_bench.adb import AdbError, AdbTimeoutError, DeviceLostError
from nasfpn_lite.android_bench.device import Device, hash_file
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


@pytest.mark.parametrize("name", ["plain.tflite", "a b'c\"$(touch pwned);`id`*.tflite", "-rf", "ümlaut, 0644"])
def test_files_go_there_and_back(device, phone, tmp_path, name):
    data = bytes(range(256)) * 5000
    local = tmp_path / name
    local.write_bytes(data)
    device.push(local, f"{TMP}/{name}", timeout_s=20)
    assert (phone.data / "local/tmp" / name).read_bytes() == data
    back = tmp_path / "new folder" / name
    device.pull(f"{TMP}/{name}", back, timeout_s=20)
    assert back.read_bytes() == data
    assert [path.name for path in back.parent.iterdir()] == [name]
    assert not (phone.data / "local/tmp/pwned").exists()


def test_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert hash_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_cannot_be_pushed_or_pulled(device, tmp_path):
    with pytest.raises(AdbError, match="expected a file in"):
        device.push(tmp_path, f"{TMP}/x", timeout_s=10)
    (tmp_path / "x").write_bytes(b"abc")
    for transfer in (
        lambda: device.push(tmp_path / "x", "x", timeout_s=10),
        lambda: device.pull("x", tmp_path, timeout_s=10),
    ):
        with pytest.raises(AdbError, match="expected a full path on the phone, got 'x'"):
            transfer()
    with pytest.raises(AdbError, match=r"cannot pull a file\n"):
        device.pull(f"{TMP}/none", tmp_path / "y", timeout_s=10)
    assert not (tmp_path / "y").exists()


def test_a_read_only_target(device, tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    with pytest.raises(
        AdbError, match=r"cannot push a file(?s:.*)Read-only file system(?s:.*)write below /data/local/tmp"
    ):
        device.push(tmp_path / "x", "/system/bin/x", timeout_s=10)


def test_a_full_phone(start_phone, adb, tmp_path):
    small = Device(adb, start_phone(disk_bytes=1 << 20).serial)
    (tmp_path / "x").write_bytes(bytes(2 << 20))
    with pytest.raises(AdbError, match=r"No space left on device(?s:.*)free some space on the phone"):
        small.push(tmp_path / "x", f"{TMP}/x", timeout_s=20)
    (tmp_path / "x").write_bytes(bytes(1000))
    small.push(tmp_path / "x", f"{TMP}/x", timeout_s=20)


# Stands in for a cable that changes bytes: real adb would have to be broken for it.
CHANGING_ADB = """
shift 2
case $1 in
  push) exit 0 ;;
  pull) printf changed > "$3"; exit 0 ;;
  shell)
    mark=$(echo "$2" | sed 's/.*echo \\(end-[0-9a-f]*\\) .*/\\1/')
    case $2 in *sha256sum*) echo "DIGEST  -" ;; *) echo "$2" >> LOG ;; esac
    printf '\\n%s 0\\n' "$mark"; printf '\\n%s\\n' "$mark" >&2 ;;
esac
"""


def make_changing_device(make_fake_adb, tmp_path, digest):
    script = CHANGING_ADB.replace("DIGEST", digest).replace("LOG", f"'{tmp_path}/log'")
    return Device(make_fake_adb(script), "S")


def test_a_file_that_comes_out_different(make_fake_adb, tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    device = make_changing_device(make_fake_adb, tmp_path, "0" * 64)
    with pytest.raises(AdbError, match=f"came out different: SHA-256 here ba7816.*, on the phone {'0' * 64}"):
        device.push(tmp_path / "x", f"{TMP}/x", timeout_s=10)
    assert f"rm -f {TMP}/x" in (tmp_path / "log").read_text(encoding="utf-8")
    with pytest.raises(AdbError, match="came out different"):
        device.pull(f"{TMP}/x", tmp_path / "y", timeout_s=10)
    assert not (tmp_path / "y").exists()


def test_a_file_that_comes_out_the_same(make_fake_adb, tmp_path):
    (tmp_path / "x").write_bytes(b"changed")
    device = make_changing_device(make_fake_adb, tmp_path, hashlib.sha256(b"changed").hexdigest())
    device.push(tmp_path / "x", f"{TMP}/x", timeout_s=10)
    device.pull(f"{TMP}/x", tmp_path / "y", timeout_s=10)
    assert (tmp_path / "y").read_bytes() == b"changed"


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


def test_files_that_keep_their_names_go_together(device, phone, tmp_path, monkeypatch):
    files = {}
    for number in range(5):
        local = tmp_path / f"-{number} it's $(a)"
        local.write_text(str(number))
        files[f"{TMP}/some/{local.name}" if number < 4 else f"{TMP}/some/renamed"] = local
    device.shell(["mkdir", f"{TMP}/some"], timeout_s=10)
    calls = []
    run = device.adb.run
    monkeypatch.setattr("nasfpn_lite.android_bench.device.MOST_FILES", 3)
    monkeypatch.setattr(device.adb, "run", lambda s, words, **more: (calls.append(words), run(s, words, **more))[1])
    device.push_all(files, timeout_s=10)
    assert [len(words) - 2 for words in calls if words[0] == "push"] == [3, 1, 1]
    assert sum(words[0] == "shell" for words in calls) == 2  # the hashes of three, and of two
    there = {path.name: path.read_text() for path in (phone.data / "local/tmp/some").iterdir()}
    assert there == {remote.rpartition("/")[2]: local.read_text() for remote, local in files.items()}
    device.shell(["rm", "-r", f"{TMP}/some"], timeout_s=10)


def test_one_of_several_that_comes_out_different(device, phone, tmp_path, monkeypatch):
    files = {f"{TMP}/{name}": tmp_path / name for name in ("a", "b")}
    for path in files.values():
        path.write_text("right")
    transfer = Device._transfer

    def spoil(self, arguments, timeout_s):
        transfer(self, arguments, timeout_s)
        (phone.data / "local/tmp/b").write_text("wrong")

    monkeypatch.setattr(Device, "_transfer", spoil)
    with pytest.raises(AdbError, match="b as /data/local/tmp/b came out different"):
        device.push_all(files, timeout_s=10)
    device.shell(["rm", "-f", f"{TMP}/a"], timeout_s=10)
