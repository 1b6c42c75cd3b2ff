"""Folders that sessions left, as a phone lists them; that the right ones go is tested with the workspaces."""

import pytest

from nasfpn_lite.android_bench import leftovers
from nasfpn_lite.android_bench.leftovers import Leftover, describe_leftovers, list_folders
from tests.fake_measured_phone import FakeReply

FOLDER = "/data/local/tmp/nasfpn-lite-0123456789abcdef"


class FakeDevice:
    serial = "S"

    def __init__(self, text):
        self.text = text

    def script(self, text, *, timeout_s, check):
        return FakeReply(self.text, "", 0, 0.01)


def test_lines():
    device = FakeDevice(f"{FOLDER}|7200|12288|a b 1 2\r\n{FOLDER}.gone|||\n/data/local/tmp/nasfpn-lite-x|1|1|\n")
    assert list_folders(device) == (
        Leftover(FOLDER, 7200, 12288, "unknown"),
        Leftover(f"{FOLDER}.gone", None, None, "unknown"),
    )
    assert list_folders(FakeDevice("")) == ()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("alive", None),
        ("dead", f"a session that was killed left {FOLDER} (12.0 MB, 2.0 hours old): the next one removes it"),
        ("unknown", f"if no session runs on the phone, remove it: adb -s S shell rm -rf {FOLDER}"),
    ],
)
def test_notes(state, said, monkeypatch):
    monkeypatch.setattr(leftovers, "find_state", lambda owner: state)
    notes = describe_leftovers(FakeDevice(f"{FOLDER}|7200|12288|x"))
    assert len(notes) == (said is not None)
    assert all(note.endswith(said) for note in notes)
