"""What to do about the words of adb and of a phone's own tools."""

import re

_REPLUG = "plug it in again (over Wi-Fi: adb disconnect, then adb connect)"
STATE_ADVICE = {
    "unauthorized": "unlock the phone and allow USB debugging in the window it shows; if none comes up, revoke the USB "
    "debugging authorizations in its developer options, run adb kill-server, and " + _REPLUG,
    "authorizing": "wait a moment, and look whether the phone asks to allow USB debugging",
    "connecting": "wait a moment and try again",
    "offline": "wake the phone, or " + _REPLUG,
    "no permissions": "this computer may not use the USB device: install the udev rules (Debian, Ubuntu: apt install "
    "android-sdk-platform-tools-common), and plug the phone in again",
    "recovery": "start Android on the phone: adb reboot",
    "sideload": "start Android on the phone: adb reboot",
    "rescue": "start Android on the phone: adb reboot",
    "bootloader": "start Android on the phone: fastboot reboot",
}
NO_DEVICE_ADVICE = "plug in a phone, switch on USB debugging in its developer options; `adb devices` must list it"
SEVERAL_DEVICES_ADVICE = "say which one, by a serial that `adb devices` lists"

# What adb, Android's shell, its linker and toybox say. The first match counts.
_ADVICE: tuple[tuple[str, str], ...] = (
    (r"device unauthorized", STATE_ADVICE["unauthorized"]),
    (r"device still authorizing", STATE_ADVICE["authorizing"]),
    (r"device still connecting", STATE_ADVICE["connecting"]),
    (r"device offline", STATE_ADVICE["offline"]),
    (r"insufficient permissions for device|no permissions", STATE_ADVICE["no permissions"]),
    (r"more than one device", SEVERAL_DEVICES_ADVICE),
    (r"no devices/emulators found|no devices found", NO_DEVICE_ADVICE),
    (r"device '.*' not found|device not found", "look at what `adb devices` lists; " + _REPLUG),
    (r"cannot connect to daemon|failed to start daemon|could not install .*listener", "run adb kill-server, try again"),
    (
        r"no space left on device",
        "free some space on the phone: adb shell df -h /data/local/tmp shows what is left",
    ),
    (r"read-only file system", "write below /data/local/tmp: the rest of a phone that is not rooted is read-only"),
    (
        r"not executable: .*ELF|exec format error|bad ELF magic|unexpected e_machine|is for EM_\w+ .*instead of|"
        r"wrong ELF class|32-bit instead of 64-bit|64-bit instead of 32-bit",
        "the file was built for another kind of processor: adb shell getprop ro.product.cpu.abi says what is needed",
    ),
    (
        r"(mkdir|couldn't create file|touch|rm): .*permission denied",
        "the phone lets nothing be written there: in `adb shell ls -ld /data/local/tmp` the owner should be shell",
    ),
    (
        r"can't execute|cannot execute|permission denied",
        "it may lack the right to be executed (chmod 755), or lie where nothing may run: use /data/local/tmp",
    ),
    (
        r"inaccessible or not found|no such file or directory|not found",
        "look whether the file is on the phone; a program that is, but is `not found`, misses the loader or a library "
        "it was linked with, or was built for another kind of processor",
    ),
    (r"failed to set pid .* affinity", "the phone does not have all of these cores, or keeps them from shell programs"),
    (r"error: closed|protocol fault|connection reset|failed to get feature set", "the phone went away: " + _REPLUG),
)


def find_advice(*texts: str) -> str | None:
    """Returns what to do, by what adb or the phone said, the first text first; None if they said nothing known."""
    for text in texts:
        for pattern, advice in _ADVICE:
            if re.search(pattern, text, re.IGNORECASE):
                return advice
    return None
