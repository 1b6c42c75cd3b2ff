"""Files to a phone and back: whole, or an error."""

import hashlib

import pytest

from nasfpn_lite.android_bench.adb import AdbError
from nasfpn_lite.android_bench.device import Device, hash_file

TMP = "/data/local/tmp"


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
