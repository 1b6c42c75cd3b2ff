"""What to do about messages, as adb 29 and 34, Android's mksh and linker, and toybox word them."""

import pytest

from nasfpn_lite.android_bench.adb_advice import find_advice


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "allow USB debugging"),
        ("error: device still authorizing", "asks to allow"),
        ("error: device offline", "plug it in again"),
        ("error: insufficient permissions for device: user in plugdev group", "udev"),
        ("error: more than one device/emulator", "say which one"),
        ("error: no devices/emulators found", "plug in a phone"),
        ("error: device 'abc' not found", "look at what `adb devices` lists"),
        (
            "adb: error: failed to copy 'a' to '/x/a': remote couldn't create file: Read-only file system",
            "data/local/tmp",
        ),
        ("adb: error: failed to copy 'a' to '/x/a': remote No space left on device", "free some space"),
        ("sh: ./runner: not executable: 64-bit ELF file", "ro.product.cpu.abi"),
        (
            'CANNOT LINK EXECUTABLE "./r": "/r" is for EM_X86_64 (62) instead of EM_AARCH64 (183)',
            "ro.product.cpu.abi",
        ),
        ("mkdir: '/data/local/tmp/x': Permission denied", "lets nothing be written there"),
        ("adb: error: failed to copy 'a' to '/x/a': remote couldn't create file: Permission denied", "ls -ld"),
        ("sh: ./runner: can't execute: Permission denied", "chmod 755"),
        ("sh: ./runner: inaccessible or not found", "loader or a library"),
        ("taskset: failed to set pid 71's affinity: Invalid argument", "all of these cores"),
        ("error: closed", "went away"),
    ],
)
def test_each_message_has_its_advice(said, advice):
    assert advice in find_advice(said)


def test_the_first_text_counts_first():
    assert "udev" in find_advice("error: no permissions", "No space left on device")
    assert "free some space" in find_advice("something new", "No space left on device")


def test_unknown_words_have_none():
    assert find_advice("", "Segmentation fault") is None
