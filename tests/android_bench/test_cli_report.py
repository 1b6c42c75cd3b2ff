"""`nasfpn-lite report`, with and without phones."""

import json

import pytest

from nasfpn_lite.android_bench.record_files import write_record
from nasfpn_lite.cli import main
from tests.fake_measured_phone import make_result

SESSION = make_result([10.0, 10.2, 9.9, 10.1, 10.0, 10.3])


@pytest.fixture
def results(tmp_path):
    write_record(tmp_path / "phones" / "A.json", SESSION)
    return tmp_path / "phones"


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"files": [{"file": "a.tflite", "AP": 0.5, "recipe": "float32"}]}))
    return folder


def test_a_run_alone(run_folder, capsys):
    assert main(["report", str(run_folder)]) == 0
    assert capsys.readouterr().out == f"{run_folder / 'report.html'}\n"
    assert "phones" not in (run_folder / "report.html").read_text()


def test_a_run_with_phones_takes_ap_from_the_run(run_folder, results, capsys):
    assert main(["report", str(run_folder), "--android", str(results)]) == 0
    page = (run_folder / "report.html").read_text()
    assert "<h2>AP against latency on phones</h2>" in page
    assert "results.json (same name)" in page


def test_phones_alone(results, tmp_path, capsys):
    (tmp_path / "ap.json").write_text(json.dumps({"model": "a.tflite", "AP": 0.25}))
    assert main(["report", "--android", str(results), "--ap", str(tmp_path / "ap.json")]) == 0
    assert capsys.readouterr().out == f"{results / 'report.html'}\n"
    assert "ap.json (same name)" in (results / "report.html").read_text()
    assert main(["report", "--android", str(results / "A.json")]) == 0
    assert "no AP of them is recorded: a.tflite" in (results / "report.html").read_text()


@pytest.mark.parametrize("arguments", [[], ["--ap", "x.json"], ["run", "--ap", "x.json"]])
def test_nothing_to_report(arguments, capsys):
    assert main(["report", *arguments]) == 2
    assert "expected a RUN folder, or --android" in capsys.readouterr().err


def test_no_such_session(tmp_path, capsys):
    assert main(["report", "--android", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
