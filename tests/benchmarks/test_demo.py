"""The demo, once the whole way on photos of a few pixels, and its parts that need no training."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from nasfpn_lite.benchmarks import demo
from nasfpn_lite.benchmarks.demo import DemoOptions, find_recipe, run_demo
from nasfpn_lite.benchmarks.record import BenchOptions
from nasfpn_lite.cli import main
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError


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


def test_the_records_name_what_was_done(finished):
    options, results = finished
    assert results["data"]["images"] == {"train": 6, "val": 2, "test": 2}
    assert results["calibration"] == {"images": 6, "source": "train"}
    assert "int8 was calibrated with 6 photos" in (options.output / "report.html").read_text()
    assert json.loads((options.output / "recipe.json").read_text())["preset"] == "demo"


def test_commands_carry_the_options_given(tmp_path):
    recipe = dataclasses.replace(find_recipe("finetune"), epochs=3)
    options = DemoOptions(
        output=Path("out put"), data=Path("d"), variant="ssdlite", size="64x128", seed=9, preset="finetune",
        recipe=recipe, bench=BenchOptions(threads=2, rounds=7),
    )  # fmt: skip
    commands = {c["figure"]: c["command"] for c in demo._list_commands(options, Path("d"), "val", [Path("a.tflite")])}
    assert commands["Everything on this page"] == (
        "nasfpn-lite demo --data d -o 'out put' --variant ssdlite --size 64x128 --preset finetune --epochs 3 --seed 9"
    )
    assert commands["Latency of all files, side by side"] == "nasfpn-lite bench a.tflite --threads 2 --rounds 7"
    plain = demo._list_commands(DemoOptions(output=Path("o")), Path("o/data"), "test", [Path("a.tflite")])
    assert plain[0]["command"] == "nasfpn-lite demo -o o"


@pytest.mark.parametrize(
    ("line", "preset", "epochs"),
    [
        ([], "demo", 18),
        (["--preset", "paper"], "paper", 50),
        (["--preset", "finetune", "--epochs", "2"], "finetune", 2),
    ],
)
def test_presets_of_the_command(monkeypatch, tmp_path, capsys, line, preset, epochs):
    asked = []
    monkeypatch.setattr(demo, "run_demo", lambda options: asked.append(options) or {"files": []})
    assert main(["demo", "-o", str(tmp_path), *line]) == 0
    assert (asked[0].preset, asked[0].recipe.epochs) == (preset, epochs)


def test_unknown_presets_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(demo, "run_demo", lambda options: pytest.fail("it runs"))
    assert main(["demo", "--preset", "x"]) == 2
    assert (
        "unknown preset 'x'; there are demo, finetune, paper, paper_dropblock, amoebanet_cosine, crop640"
        in capsys.readouterr().err
    )


def test_no_epochs_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--epochs", "0"])
    assert "at least 1" in capsys.readouterr().err


def test_a_broken_split_stops_it_before_the_training(tiny_coco, tmp_path, monkeypatch):
    shutil.copytree(tiny_coco, tmp_path / "data")
    (tmp_path / "data" / "instances_minitrain.json").write_text("nobody reads this")
    assert demo._count_images(tmp_path / "data", 0) == {"train": 6, "val": 2, "test": 2}
    (tmp_path / "data" / "instances_test.json").write_text("{")
    monkeypatch.setattr(demo, "_train", lambda *_: pytest.fail("it trains"))
    with pytest.raises(UserError, match=r"instances_test\.json"):
        run_demo(DemoOptions(output=tmp_path / "out", data=tmp_path / "data"))


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
