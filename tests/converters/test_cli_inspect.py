"""`nasfpn-lite inspect` as a user calls it."""

import json

import pytest

from nasfpn_lite.cli import main
from tests.tiny_tflite import MULTIPLY_ADDS, make_tiny_tflite


@pytest.fixture
def false_int8(tmp_path):
    path = tmp_path / "tiny_int8.tflite"
    path.write_bytes(make_tiny_tflite())
    return path


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(make_tiny_tflite())
    return path


def test_json(false_int8, capsys):
    assert main(["inspect", str(false_int8), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["path"] == str(false_int8)
    assert figures["size_bytes"] == false_int8.stat().st_size
    assert (figures["multiply_adds"], figures["int8_multiply_add_share"]) == (MULTIPLY_ADDS, 0.0)
    assert figures["inputs"][0] == {"name": "image", "shape": [1, 6, 8, 3], "dtype": "float32"} | {
        "scale": None,
        "zero_point": None,
    }
    assert len(figures["warnings"]) == 1


def test_for_people(false_int8, capsys):
    assert main(["inspect", str(false_int8)]) == 0
    out = capsys.readouterr().out
    assert "3 of 3 operators (tried on this machine)" in out
    assert "DEPTHWISE_CONV_2D  float" in out
    assert out.splitlines()[-1].startswith("warning: its name says int8, but only 0.0%")


def test_strict_fails_on_warnings_only(false_int8, plain):
    assert main(["inspect", str(false_int8), "--strict"]) == 1
    assert main(["inspect", str(plain), "--strict"]) == 0


def test_other_files(tmp_path, capsys):
    path = tmp_path / "notes.txt"
    path.write_text("no model at all")
    assert main(["inspect", str(path)]) == 2
    assert "is no .tflite file" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "gone.tflite")]) == 2
