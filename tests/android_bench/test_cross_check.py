"""Three programs on one file: what agrees, what does not, and that each of them really measures."""

import json

import pytest

from nasfpn_lite.android_bench import cross_check
from nasfpn_lite.android_bench.cross_check import Agreement, CrossCheckError, by_bench, by_litert, by_own_runner, check
from tests.own_runner import build_own_runner
from tests.tiny_tflite import make_tiny_tflite


def constant(*times):
    left = list(times)
    return lambda file: left.pop(0)


def test_ratios_are_paired_by_round(tmp_path):
    # A slow second round, 2 x for both, leaves the ratio alone.
    found = check(tmp_path / "a.tflite", 3, {"a": constant(1.0, 2.0, 1.0), "b": constant(1.04, 2.08, 1.04)})
    assert found.rounds_ms == {"a": [1.0, 2.0, 1.0], "b": [1.04, 2.08, 1.04]}
    (pair,) = found.agreements
    assert (pair.first, pair.second) == ("a", "b")
    assert pair.ratio == pytest.approx(1 / 1.04)
    assert pair.holds


@pytest.mark.parametrize(
    ("ratio", "holds"), [(1.0, True), (1.049, True), (1.051, False), (0.953, True), (0.951, False)]
)
def test_five_percent_either_way(ratio, holds):
    assert Agreement("a", "b", ratio, (ratio, ratio)).holds is holds


def test_exit_code_and_file(tmp_path, monkeypatch, capsys):
    model = tmp_path / "a.tflite"
    model.write_bytes(b"x")
    for name, ms in (("by_own_runner", 1.0), ("by_litert", 1.01), ("by_bench", 1.2)):
        monkeypatch.setattr(cross_check, name, lambda file, ms=ms: ms)
    output = tmp_path / "r.json"
    assert cross_check.main([str(model), "--rounds", "2", "-o", str(output)]) == 1
    assert "NO" in capsys.readouterr().out
    data = json.loads(output.read_text())
    assert data["rounds_ms"]["nasfpn-lite bench"] == [1.2, 1.2]
    monkeypatch.setattr(cross_check, "by_bench", lambda file: 1.03)
    assert cross_check.main([str(model), "--rounds", "2"]) == 0


def test_a_missing_file_is_named(tmp_path, capsys):
    assert cross_check.main([str(tmp_path / "none.tflite")]) == 2
    assert "none.tflite" in capsys.readouterr().err


def test_each_program_measures(tmp_path):
    build_own_runner("x86_64")
    file = tmp_path / "tiny.tflite"
    file.write_bytes(make_tiny_tflite())
    assert all(0 < way(file) < 1000 for way in (by_own_runner, by_bench))
    with pytest.raises(CrossCheckError, match="rounds to 0.01"):  # its own measurement went well: the file is too small
        by_litert(file)


def test_a_program_that_fails_is_an_error(tmp_path):
    file = tmp_path / "broken.tflite"
    file.write_bytes(b"no model")
    with pytest.raises(CrossCheckError, match="exit code"):
        by_litert(file)
