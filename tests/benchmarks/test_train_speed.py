"""Speeds beside each other: what is started, how ratios are made, what the exit code tells."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from nasfpn_lite.benchmarks import train_speed
from nasfpn_lite.benchmarks.statistics import Estimate
from nasfpn_lite.benchmarks.train_speed import (
    Options,
    Row,
    Side,
    main,
    time_model_garden,
    time_training,
    to_model_garden,
    to_rows,
)
from nasfpn_lite.benchmarks.turns import Program, Turns
from nasfpn_lite.variants import get_spec

READY = {"batch_size": 8, "params": 2_000_000, "flops": 10**9, "versions": {"keras": "3"}}
SPEC = get_spec("fpnlite_64", size="128x192", num_classes=3)
RATIO = Estimate(0.9, 0.88, 0.92, 0.98)
ROW = Row("finetune", "jax", 500.0, 450.0, RATIO, RATIO, 16.0, 15.0, 2_000_000, 10**9, {"keras": "3"})


def options(folder: Path, rounds: int = 2) -> Options:
    return Options(folder, "128x192", batch_size=4, rounds=rounds)


def make_stand_in(folder: Path, seconds: str) -> str:
    """Writes a program that ignores what it is to run and takes turns of the given seconds, a step each."""
    lines = "".join(f'read turn\necho \'{{"seconds": {s}, "cpu_seconds": 1, "steps": 1}}\'\n' for s in seconds.split())
    path = folder / f"python_{len(list(folder.iterdir()))}"
    path.write_text(f"#!/bin/sh\necho '{json.dumps(READY)}'\n{lines}", encoding="utf-8")
    os.chmod(path, 0o755)
    return str(path)


def test_ratios_are_of_the_same_round_and_speeds_not_times():
    ready = ({**READY, "batch_size": 4}, {**READY, "batch_ms": 12.0})
    turns = Turns(ready, ((0.5, 0.25), (0.25, 0.5), (1.0, 0.5)), ((1.0, 2.0), (1.0, 3.0), (1.0, 4.0)))
    first, last = to_rows(["a", "b"], ["tensorflow", "jax"], turns)
    assert first.ratio == Estimate(0.5, 0.5, 2.0, pytest.approx(0.75))
    assert first.cpu_ratio == Estimate(3.0, 2.0, 4.0, pytest.approx(0.75))
    assert (first.step_ms, first.other_step_ms, first.images_per_s, first.batch_ms) == (500.0, 500.0, 8.0, 12.0)
    assert (last.name, last.backend, last.images_per_s, last.ratio.median) == ("b", "jax", 16.0, 1.0)


def test_a_side_travels_as_json_to_a_process_of_its_backend():
    side = Side("/data", {"a": 1}, {"b": 2}, pretrained=True, whole=False)
    program = side.to_program("plain", "jax")
    assert program.command[:2] == (sys.executable, "-m")
    assert Side(**json.loads(program.command[-1])) == side
    assert program.environment["KERAS_BACKEND"] == "jax"


def test_a_training_is_compared_with_the_loop_of_the_same_model(monkeypatch, tmp_path):
    sides = []

    def to_program(side: Side, name: str, backend: str) -> Program:
        sides.append(side)
        return Program(name, (make_stand_in(tmp_path, "9 0.5 0.5" if side.whole else "9 0.4 0.4"),))

    monkeypatch.setattr(Side, "to_program", to_program)
    row = time_training(options(tmp_path), SPEC, "accumulate 2", "jax")
    assert (row.name, row.backend, row.ratio.median) == ("accumulate 2", "jax", pytest.approx(0.8))
    whole, plain = sides
    assert plain == dataclasses.replace(whole, whole=False)
    assert (whole.whole, whole.pretrained, whole.recipe["accumulate"], whole.recipe["batch_size"]) == (True, True, 2, 4)


def test_model_garden_gets_the_first_networks_size(tmp_path):
    program = to_model_garden(SPEC, 4, "/its/python")
    assert program.command[0] == "/its/python" and program.command[1].endswith("model_garden_runner.py")
    assert json.loads(program.command[2]) == {
        "size": [128, 192],
        "classes": 3,
        "batch_size": 4,
        "steps": 25,
        "settling_steps": 3,
        "levels": [3, 6],
        "filters": 64,
        "head_convs": 2,
    }
    assert program.environment["PYTHONSAFEPATH"] == "1"


def test_networks_take_turns_with_a_foreign_interpreter(monkeypatch, tmp_path):
    sides = []

    def to_program(side: Side, name: str, backend: str) -> Program:
        sides.append(side)
        return Program(name, (make_stand_in(tmp_path, "9 0.25 0.25"),))

    monkeypatch.setattr(Side, "to_program", to_program)
    specs = {"fpnlite_64": SPEC, "nasfpnlite_3x48": get_spec("nasfpnlite_3x48", size="128x192", num_classes=3)}
    rows = time_model_garden(options(tmp_path), specs, make_stand_in(tmp_path, "9 0.5 0.5"), ["tensorflow", "jax"])
    assert [(row.name, row.backend, row.ratio.median) for row in rows] == [
        ("fpnlite_64", "tensorflow", 2.0),
        ("nasfpnlite_3x48", "tensorflow", 2.0),
        ("fpnlite_64", "jax", 2.0),
        ("nasfpnlite_3x48", "jax", 2.0),
        ("Model Garden's RetinaNet", "tensorflow", 1.0),
    ]
    assert not any(side.pretrained or side.whole for side in sides)
    assert {side.recipe["frozen_stride"] for side in sides} == {0}


def fake_rows(monkeypatch, plain: float, garden: float) -> list[tuple]:
    calls: list[tuple] = []

    def training(options, spec, name, backend):
        calls.append((spec.image_size, spec.num_classes, name, backend))
        return dataclasses.replace(ROW, ratio=Estimate(plain, 0.5, 2.0, 0.98))

    def model_garden(options, specs, python, backends):
        calls.append((tuple(specs), python, tuple(backends)))
        return [dataclasses.replace(ROW, name="fpnlite_64", ratio=Estimate(garden, 0.5, 2.0, 0.98))]

    monkeypatch.setattr(train_speed, "time_training", training)
    monkeypatch.setattr(train_speed, "time_model_garden", model_garden)
    monkeypatch.setattr(train_speed, "find_model_garden", {"/its/python": "2.20.0"}.__getitem__)
    return calls


@pytest.mark.parametrize(("plain", "garden", "code"), [(0.9, 1.0, 0), (0.89, 1.5, 1), (1.0, 0.99, 1)])
def test_exit_code_tells_whether_the_bounds_hold(monkeypatch, capsys, tiny_coco, plain, garden, code):
    fake_rows(monkeypatch, plain, garden)
    arguments = ["--data", str(tiny_coco), "--model-garden-python", "/its/python"]
    assert main([*arguments, "--json"]) == code
    printed = json.loads(capsys.readouterr().out)
    assert [row["ratio"]["median"] for row in printed["training"]] == [plain] * 3
    assert printed["model_garden"][0]["name"] == "fpnlite_64"
    assert printed["machine"]["cores"] >= 1
    assert main(arguments) == code
    text = capsys.readouterr().out
    assert f"{plain:.3f} (0.500 to 2.000)" in text and "2.00 M" in text and "1.00" in text


def test_without_its_python_model_garden_is_left_out(monkeypatch, capsys, tiny_coco):
    monkeypatch.delenv(train_speed.PYTHON_VARIABLE, raising=False)
    calls = fake_rows(monkeypatch, 1.0, 0.0)
    arguments = ["--data", str(tiny_coco), "--size", "128x192", "--backends", "jax", "tensorflow"]
    assert main([*arguments, "--trainings", "finetune"]) == 0
    assert calls == [((128, 192), 2, "finetune", "jax"), ((128, 192), 2, "finetune", "tensorflow")]
    assert "Model Garden" not in capsys.readouterr().out


def test_a_python_without_model_garden_is_told_before_anything_is_measured(monkeypatch, capsys, tiny_coco):
    monkeypatch.setattr(train_speed, "time_training", None)
    for python, said in ((sys.executable, "has none; install it there"), ("/nowhere/python", "cannot start")):
        assert main(["--data", str(tiny_coco), "--model-garden-python", python]) == 2
        assert said in capsys.readouterr().err


def test_the_version_is_what_the_python_says(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 2.20.0\n", encoding="utf-8")
    os.chmod(program, 0o755)
    assert train_speed.find_model_garden(str(program)) == "2.20.0"


def test_a_folder_without_data_ends_with_two(capsys, tmp_path):
    assert main(["--data", str(tmp_path)]) == 2
    assert "error:" in capsys.readouterr().err
