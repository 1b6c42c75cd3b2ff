"""The demo, once the whole way on photos of a few pixels, and its parts that need no training."""

import dataclasses
import json

import pytest

from nasfpn_lite.benchmarks import demo
from nasfpn_lite.benchmarks.demo import DemoOptions, run_demo
from nasfpn_lite.benchmarks.record import BenchOptions
from nasfpn_lite.data.coco import load_split


@pytest.fixture(scope="module")
def finished(tiny_coco, tmp_path_factory):
    output = tmp_path_factory.mktemp("demo") / "out"
    recipe = dataclasses.replace(demo.DEMO_RECIPE, batch_size=2, epochs=1, validations=1)
    options = DemoOptions(
        output=output, data=tiny_coco, variant="ssdlite", size="64x128", recipe=recipe, bench=BenchOptions(rounds=2)
    )
    return options, run_demo(options)


def test_every_file_is_scored_and_timed(finished):
    options, results = finished
    kinds = [(file["recipe"], file["form"]) for file in results["files"]]
    raw = ["float32", "float16", "dynamic_wi8_afp32", "static_wi8_ai8"]
    assert kinds == [*((recipe, "raw") for recipe in raw), ("static_wi8_ai8", "detect")]
    for file in results["files"]:
        assert 0 <= file["AP"] <= file["AP50"] <= 1
        assert file["latency_ms_p50"] > 0
        assert "post-process" in file["end_to_end_steps"]
    assert json.loads((options.output / "results.json").read_text())["files"][0]["recipe"] == "float32"


def test_the_page_shows_it(finished):
    options, results = finished
    page = (options.output / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 * len(results["examples"]) == 4
    assert "static_wi8_ai8 detect" in page
    assert str(options.data) in page
    assert list(results["seconds"]) == ["data", "training", "conversion", "accuracy", "latency"]


def test_a_second_call_trains_and_converts_nothing(finished, monkeypatch):
    options, _ = finished
    files = sorted(options.output.glob("tflite/*.tflite"))
    before = [file.stat().st_mtime_ns for file in (options.output / "weights.npz", *files)]

    def stop(*_: object) -> None:
        raise InterruptedError("before the figures")

    monkeypatch.setattr(demo, "_score", stop)
    with pytest.raises(InterruptedError):
        run_demo(options)
    assert [file.stat().st_mtime_ns for file in (options.output / "weights.npz", *files)] == before


def test_held_out_photos_are_those_of_the_test_split(tiny_coco):
    run = type("FakeRun", (), {"categories": load_split(tiny_coco, "train").categories})
    assert demo._load_held_out(tiny_coco, run, 0).name == "test"


def test_without_held_out_photos_it_says_so(tmp_path, tiny_coco, caplog):
    (tmp_path / "train").symlink_to(tiny_coco / "train")
    (tmp_path / "instances_train.json").write_text((tiny_coco / "instances_train.json").read_text())
    run = type("FakeRun", (), {"categories": load_split(tiny_coco, "train").categories})
    assert demo._load_held_out(tmp_path, run, 0).name == "train"
    assert "says little" in caplog.text
