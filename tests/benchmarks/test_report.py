"""The report: what it shows of a whole run, of half a run, and what it never holds."""

import json
import math
import re

import cv2
import numpy as np
import pytest

from nasfpn_lite.benchmarks.report import write_report
from nasfpn_lite.benchmarks.report_charts import Bar, Line, draw_bars, draw_lines, make_ticks
from nasfpn_lite.benchmarks.report_data import find_drop, read_report_data
from nasfpn_lite.cli import main
from nasfpn_lite.errors import UserError
from nasfpn_lite.variants import get_spec

FILES = [
    {"file": "t/a_float32_raw.tflite", "recipe": "float32", "form": "raw", "size_bytes": 4_600_000, "AP": 0.612,
     "AP50": 0.871, "latency_ms_p50": 21.34, "latency_ms_ci": [21.0, 22.0]},
    {"file": "t/a_static_wi8_ai8_raw.tflite", "recipe": "static_wi8_ai8", "form": "raw", "size_bytes": 1_700_000,
     "AP": 0.605, "AP50": 0.868, "latency_ms_p50": 8.41, "latency_ms_ci": [8.2, 8.9], "warnings": ["a <busy> machine"]},
]  # fmt: skip
LOG = """step,epoch,loss,class_loss,box_loss,learning_rate,seconds,val_AP
30,1,1.5,1.0,0.5,0.02,9,
60,2,0.9,0.6,0.3,0.01,9,0.41
"""


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "examples").mkdir(parents=True)
    (folder / "spec.json").write_text(get_spec("nasfpnlite_3x48", size="192x256", num_classes=5).to_json())
    (folder / "recipe.json").write_text(json.dumps({"variant": "nasfpnlite_3x48"}))
    (folder / "categories.json").write_text(json.dumps([{"id": 1, "name": "leaf & <stem>"}]))
    (folder / "versions.json").write_text(json.dumps({"keras": "3.15.1"}))
    (folder / "log.csv").write_text(LOG)
    cv2.imwrite(str(folder / "examples/1.jpg"), np.full((12, 16, 3), 90, np.uint8))
    results = {
        "files": FILES,
        "examples": [{"truth": "examples/1.jpg", "detections": "examples/gone.jpg", "caption": "1.jpg"}],
        "commands": [{"figure": "AP", "command": "nasfpn-lite eval FILE --data DIR"}],
        "machine": {"cpu": "Some CPU", "cores": 2, "versions": {"ai-edge-litert": "2.3.0"}},
        "seconds": {"training": 250.2},
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_a_whole_run(run, capsys):
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    page = (run / "report.html").read_text()
    for text in ("0.605 (-0.007)", "21.34 ms", "2.5x float32", "1.70 MB", "192", "leaf &amp; &lt;stem&gt;", "Some CPU"):
        assert text in page
    for text in ("nasfpn-lite eval FILE --data DIR", "3.15.1", "training, seconds", "a &lt;busy&gt; machine"):
        assert text in page
    assert page.count("data:image/jpeg;base64,") == 1  # the missing picture is left out
    assert page.count("<svg") == 5


@pytest.mark.parametrize(("images", "is_told"), [(40, True), (100, False), (None, False)])
def test_calibration_with_few_photos_is_told(run, images, is_told):
    results = json.loads((run / "results.json").read_text())
    results["calibration"] = {} if images is None else {"images": images, "source": "train"}
    (run / "results.json").write_text(json.dumps(results))
    assert ("int8 was calibrated with 40 photos, fewer than the 100" in write_report(run).read_text()) is is_told


@pytest.mark.parametrize(("threads", "text"), [(1, "int8 on 1 thread,"), (4, "int8 on 4 threads,"), (None, "int8,")])
def test_threads_are_those_of_the_figures(run, threads, text):
    results = json.loads((run / "results.json").read_text())
    for file in results["files"]:
        file["threads"] = threads
    (run / "results.json").write_text(json.dumps(results))
    assert f"<span>{text} 2.5x float32</span>" in write_report(run).read_text()


def test_nothing_is_loaded_from_elsewhere(run):
    page = write_report(run).read_text()
    assert not re.search(r"https?://|src=\"(?!data:)|href=|<script|@import|url\(", page)
    assert "<busy>" not in page


@pytest.mark.parametrize("kept", ["spec.json", "log.csv", "results.json"])
def test_half_a_run_has_half_a_report(run, kept):
    for path in run.glob("*.*"):
        if path.name != kept:
            path.unlink()
    assert "<h1>" in write_report(run).read_text()


def test_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected a run folder"):
        write_report(tmp_path)


def test_a_damaged_file_is_named(run):
    (run / "results.json").write_text("{")
    with pytest.raises(UserError, match=r"results\.json"):
        write_report(run)


def test_drop_against_float32(run):
    data = read_report_data(run)
    assert find_drop(data, data.files[0]) is None
    assert find_drop(data, data.files[1]) == pytest.approx(0.007)


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [(0.55, [0, 0.2, 0.4, 0.6]), (4, [0, 1, 2, 3, 4]), (390, [0, 100, 200, 300, 400]), (0, [0, 1]), (math.nan, [0, 1])],
)
def test_ticks(largest, ticks):
    assert make_ticks(largest) == ticks


def test_bars_are_in_proportion():
    svg = draw_bars([Bar("a", 2.0, "2"), Bar("b", 1.0, "1", (0.5, 1.5))], title="t")
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', svg)]
    assert widths[0] == pytest.approx(2 * widths[1])
    assert 'aria-label="t: a 2; b 1"' in svg


def test_curves_without_points_are_left_out():
    assert draw_lines([Line("a", [])], title="t", x_label="x") == ""
    assert "series0" in draw_lines([Line("a", []), Line("b", [(1, 2)])], title="t", x_label="x")
