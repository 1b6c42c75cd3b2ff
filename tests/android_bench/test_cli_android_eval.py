"""`nasfpn-lite android eval` on a simulated phone with the real runner."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.ap_claims import read_claims
from nasfpn_lite.android_bench.fleet import reserve_phone
from nasfpn_lite.android_bench.runners import find_own_runner
from nasfpn_lite.cli import main
from tests.hand_made_detector import make_detector_tflite
from tests.own_runner import build_own_runner


@pytest.fixture(autouse=True)
def set_up(phone, adb_server, monkeypatch, tmp_path):
    """The command finds the simulated phone; files are in the working folder."""
    build_own_runner("x86_64")
    for name, value in adb_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    for form, dtype in (("raw", "float32"), ("raw", "int8"), ("detect", "int8")):
        (tmp_path / f"{form}_{dtype}.tflite").write_bytes(make_detector_tflite(form=form, dtype=dtype))


def run(capsys, *arguments):
    code = main(["android", "eval", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("name", ["raw_float32", "raw_int8", "detect_int8"])
def test_the_phones_figures_are_the_hosts(name, phone, tiny_coco, capsys):
    options = ["--data", tiny_coco, "--split", "train", "--batch-mb", "1", "-s", phone.serial]
    code, out, _ = run(capsys, f"{name}.tflite", *options, "--json")
    found = json.loads(out)
    (item,) = found["phones"]
    assert (code, found["form"], found["split"], found["xnnpack"]) == (0, name.partition("_")[0], "train", True)
    assert (item["serial"], item["simulated"], item["runner"]) == (phone.serial, True, "nasfpn_runner")
    assert main(["eval", f"{name}.tflite", "--data", str(tiny_coco), "--split", "train", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert expected["AP50"] > 0.05
    for side in ("phone", "host"):
        assert {key: item[side][key] for key in ("AP", "AP50", "per_class", "images")} == {
            key: expected[key] for key in ("AP", "AP50", "per_class", "images")
        }
    assert {part["largest"] for part in item["differences"]} == {0.0}
    assert item["images_apart"] == 0
    assert list((phone.data / "local/tmp").iterdir()) == []


def test_tables(phone, tiny_coco, capsys):
    options = ["--data", tiny_coco, "--limit", "1", "-s", phone.serial, "--threads", "1", "--xnnpack", "off"]
    code, out, _ = run(capsys, "raw_int8.tflite", *options)
    assert code == 0
    assert out.startswith("raw_int8.tflite on 1 images, 1 objects (test)\n")
    assert f"({phone.serial}, simulated): nasfpn_runner for x86_64, 1 thread, XNNPACK off" in out
    assert re.search(r"^AP +0\.\d{3} +0\.\d{3}$", out, re.MULTILINE)
    assert re.search(r"^box_encodings +int8 +\S+ +\d+ +\S+%$", out, re.MULTILINE)
    assert re.search(r"outputs equal to the last bit: [01] of 1 images\n\n$", out)


def test_the_record_names_its_file_and_its_runner_by_their_hashes(phone, tiny_coco, capsys, tmp_path):
    options = ["--data", tiny_coco, "--limit", "1", "-s", phone.serial, "--json"]
    _, out, _ = run(capsys, "raw_int8.tflite", *options)
    sha256 = hashlib.sha256(Path("raw_int8.tflite").read_bytes()).hexdigest()
    found = json.loads(out)
    assert (found["model"], found["sha256"]) == ("raw_int8.tflite", sha256)
    assert found["phones"][0]["runner_sha256"] == find_own_runner("x86_64").hash_files()
    (tmp_path / "elsewhere").mkdir()
    record = tmp_path / "elsewhere" / "record.json"
    record.write_text(out)
    Path("raw_int8.tflite").unlink()  # what is not there cannot be hashed later
    assert {claim.sha256 for claim in read_claims([record])} == {sha256}


def test_a_phone_that_another_session_uses(phone, tiny_coco, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = ["--data", tiny_coco, "--limit", "1", "-s", phone.serial]
    with reserve_phone(phone.serial):
        code, _, err = run(capsys, "raw_int8.tflite", *options)
    assert (code, f"another session is under way on the phone {phone.serial}" in err) == (2, True)
    assert list((phone.data / "local/tmp").iterdir()) == []
    assert run(capsys, "raw_int8.tflite", *options)[0] == 0


def test_a_phone_that_fails_does_not_stop_the_others(phone, tiny_coco, capsys):
    options = ["--data", tiny_coco, "--limit", "1", "-s", "none", "-s", phone.serial]
    code, out, err = run(capsys, "raw_int8.tflite", *options)
    assert code == 2
    assert "raw_int8.tflite on 1 images" in out
    assert "error: none: expected the phone 'none'" in err
    code, out, _ = run(capsys, "raw_int8.tflite", *options, "--json")
    assert ["error" in item for item in json.loads(out)["phones"]] == [True, False]


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("none.tflite", [], "there is no file none.tflite"),
        ("text.tflite", [], "text.tflite: expected a .tflite file"),
        ("raw_int8.tflite", ["--split", "many"], "many"),
        ("raw_int8.tflite", ["-s", "none"], "expected the phone 'none'"),
    ],
)
def test_what_cannot_be(file, options, message, phone, tiny_coco, capsys, tmp_path):
    (tmp_path / "text.tflite").write_text("no model")
    code, out, err = run(capsys, file, "--data", tiny_coco, *options)
    assert (code, out) == (2, "")
    assert message in err


def test_neither_tensorflow_nor_keras(phone, tiny_coco, repository, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(repository))
    code = f"""
import sys
from nasfpn_lite.cli import main
assert main(["android", "eval", "raw_int8.tflite", "--data", {str(tiny_coco)!r}, "-s", {phone.serial!r}]) == 0
print(sorted({{"keras", "tensorflow", "jax", "tf_keras"}} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def test_an_arm64_phone(arm64_phone, tiny_coco, capsys):
    """Another processor adds floats in another order; integers are integers."""
    build_own_runner("arm64-v8a")
    options = ["--data", tiny_coco, "--limit", "2", "-s", arm64_phone.serial, "--json"]
    code, out, err = run(capsys, "raw_int8.tflite", *options)
    assert code == 0, err
    (item,) = json.loads(out)["phones"]
    assert item["abi"] == "arm64-v8a"
    assert max(part["largest_steps"] for part in item["differences"]) <= 1
    assert item["phone"]["AP50"] == pytest.approx(item["host"]["AP50"], abs=0.05)
    code, out, _ = run(capsys, "raw_float32.tflite", *options)
    (item,) = json.loads(out)["phones"]
    assert code == 0
    assert max(part["largest"] for part in item["differences"]) < 1e-4
