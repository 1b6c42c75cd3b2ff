"""What runs on a simulated phone, and which folders of ours lie there."""

import time


def list_folders(phone):
    return sorted(path.name for path in (phone.data / "local/tmp").iterdir() if path.name.startswith("nasfpn-lite"))


def is_running(device, word):
    """Says whether a program that has `word` in its command line runs on the phone."""
    return word in device.shell(["ps", "-A", "-o", "ARGS"], timeout_s=10).stdout


def stubborn_sleep(seconds):
    """A program that outlives the connection: adbd sends SIGHUP when that breaks, which ends others."""
    return ["sh", "-c", f"trap '' HUP; exec sleep {seconds}"]


def wait_until(condition, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
