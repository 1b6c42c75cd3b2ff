"""What is attached."""

import json
import re

import pytest

from nasfpn_lite.cli import main
from tests.fake_android_modules import use_two_phones


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


def run(*arguments) -> int:
    return main(["android", *arguments])


def squeeze(text: str) -> str:
    """Makes one blank of each run of blanks: how wide a column is does not matter."""
    return re.sub(r" +", " ", text)


def test_devices(phones, capsys):
    assert run("devices") == 0
    out = squeeze(capsys.readouterr().out)
    assert "A Pixel arm64-v8a 29 2 (03) + 2 (0c) yes yes" in out
    assert "4 (0f) + 4 (f0) + 1 (100)" in out
    phones["C"] = "offline"
    assert run("devices", "--json") == 2
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [item["error"] is None for item in found] == [True, True, False]
    assert "error: C: expected the phone 'C' to be ready, but it is offline" in captured.err


def test_nothing_is_said_of_a_phone_that_is_not_there(phones, capsys):
    assert run("devices", "-s", "nosuch") == 2
    captured = capsys.readouterr()
    assert squeeze(captured.out).splitlines()[-1] == "nosuch - - - - - no"
    assert "error: nosuch: " in captured.err
