"""`nasfpn-lite contract`: prints what an app must know, and writes decoders."""

import json
import re

import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.converters.decoders.write import FILES
from tests.decoder_runners import make_contract


@pytest.fixture
def known(monkeypatch):
    """Every file has the same contract."""
    contract = make_contract("raw", "int8")
    monkeypatch.setattr("nasfpn_lite.converters.contract.read_contract", lambda path: contract)
    return contract


def test_it_prints_tensors_and_labels(known, capsys):
    assert main(["contract", "any.tflite"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"class_logits +1x1530x3 +int8 +0.0613 +31", printed)
    assert "RGB, (pixel - 127.5) / 127.5, resize: stretch" in printed
    assert "0 bee" in printed


def test_json_is_the_contract(known, capsys):
    assert main(["contract", "any.tflite", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert type(known).from_dict(result["contract"]) == known
    assert result["files"] == []


def test_it_writes_decoders_and_overwrites_only_by_force(known, capsys, tmp_path):
    line = ["contract", "any.tflite", "-o", str(tmp_path / "app")]
    assert main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [str(tmp_path / "app" / name) for name in FILES]
    assert sorted(path.name for path in (tmp_path / "app").iterdir()) == sorted(FILES)
    assert main(line) == 2
    assert "overwrite with --force" in capsys.readouterr().err
    assert main([*line, "--force"]) == 0


def test_a_missing_file_is_named(capsys, tmp_path):
    assert main(["contract", str(tmp_path / "gone.tflite")]) == 2
    assert "gone.tflite" in capsys.readouterr().err
