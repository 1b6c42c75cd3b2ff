"""`nasfpn-lite android predict`, and the help of the verbs of this part."""

import json
import subprocess
import sys

import pytest

from nasfpn_lite.android_bench.profile_record import write_profile
from nasfpn_lite.cli import main, verb_parser
from tests.fake_profiles import make_result
from tests.tiny_tflite import make_tiny_tflite

KINDS = ("CONV_2D 3x3 float", "DEPTHWISE_CONV_2D 3x3 float", "FULLY_CONNECTED float")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """tiny.tflite, and profiles of two files around its size: 1 ms for each 1000 multiply-adds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.tflite").write_bytes(make_tiny_tflite())
    for name, factor in (("small", 0.5), ("large", 2)):
        sizes = [(5184, 1792), (1728, 1696), (960, 4648)]
        works = [
            (kind, int(factor * m), int(factor * b), factor * m / 1000)
            for kind, (m, b) in zip(KINDS, sizes, strict=True)
        ]
        write_profile(tmp_path / f"{name}.json", make_result(name, works))
    return tmp_path


def run(capsys, *arguments):
    code = main(["android", "predict", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_tables(capsys):
    code, out, _ = run(capsys, "tiny.tflite", "--from", "small.json", "large.json", "--rules")
    assert code == 0
    assert out.startswith("predicted, not measured, for Pixel (Pixel/build), cores 08, threads: 1, nasfpn_runner")
    assert "tiny.tflite  7.87            7.87 to 7.87  67% of such files" in out
    assert "small  3.94           3.94            +0.0%" in out
    assert "CONV_2D 3x3 float" in out
    assert "a run takes 1.000 times the sum of these rules" in out


def test_profiles_of_a_folder(folder, capsys):
    (folder / "ap.json").write_text('{"AP": 0.5}')
    code, out, _ = run(capsys, "tiny.tflite", "--from", ".")
    assert (code, "tiny.tflite  7.87" in out) == (0, True)
    (folder / "empty").mkdir()
    code, _, err = run(capsys, "tiny.tflite", "--from", "empty")
    assert (code, "android profile`, in empty, got none" in err) == (2, True)
    (folder / "cut.json").write_text('{"schema": ')
    assert run(capsys, "tiny.tflite", "--from", ".")[0] == 2


def test_json(capsys):
    code, out, _ = run(capsys, "tiny.tflite", "--from", "small.json", "large.json", "--json", "--by", "layer")
    found = json.loads(out)
    assert code == 0
    assert found["files"][0]["latency_ms"] == pytest.approx(7.872)
    assert [layer["name"] for layer in found["files"][0]["layers"]] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
    ]
    assert len(found["left_out"]) == 2
    assert {rule["kind"] for rule in found["rules"]} == set(KINDS)


def test_it_says_when_it_extrapolates(folder, capsys):
    write_profile(folder / "other.json", make_result("other", [(KINDS[0], 100, 100, 1.0)]))
    write_profile(folder / "another.json", make_result("another", [(KINDS[0], 200, 100, 2.0)]))
    code, out, _ = run(capsys, "tiny.tflite", "--from", "other.json", "another.json")
    assert code == 1
    assert "goes beyond what was measured: kinds of operators that were never measured" in out
    assert "CONV_2D 3x3 float: more multiply-adds than any that was measured (1 of 1 operators" in out


def test_what_cannot_be(folder, capsys):
    assert run(capsys, "tiny.tflite", "--from", "small.json")[0] == 2
    (folder / "no.json").write_text("{}")
    code, _, err = run(capsys, "tiny.tflite", "--from", "no.json")
    assert (code, "no.json: schema: expected nasfpn-lite/android-profile" in err) == (2, True)
    assert run(capsys, "none.tflite", "--from", "small.json", "large.json")[0] == 2


@pytest.mark.parametrize("verb", ["eval", "profile", "predict"])
def test_help(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        verb_parser("android").parse_args([verb, "--help"])
    assert caught.value.code == 0
    assert f"nasfpn-lite android {verb}" in capsys.readouterr().out


def test_neither_tensorflow_nor_keras(repository, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(repository))
    code = """
import sys
from nasfpn_lite.cli import main
assert main(["android", "predict", "tiny.tflite", "--from", "small.json", "large.json"]) == 0
import nasfpn_lite.converters.parity_stages  # what `android profile` names layers by
print(sorted({"keras", "tensorflow", "jax", "tf_keras"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
