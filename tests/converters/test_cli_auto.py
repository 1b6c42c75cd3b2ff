"""`convert --auto` on the command line: what it refuses, and what it prints; the search is a fake."""

import json
import shutil
from pathlib import Path

import pytest

from nasfpn_lite.cli import EXIT_OVER_BUDGET, main
from nasfpn_lite.compare import Budget, Change, Comparison
from nasfpn_lite.converters.boundary import Boundary, KeptStage
from nasfpn_lite.converters.budget import Judged, Judgement
from nasfpn_lite.converters.convert import Converted

AUTO = ("--recipe", "static_wi8_ai8", "--form", "raw", "--auto")


@pytest.fixture
def run(tiny_run, tiny_coco, tmp_path) -> Path:
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    (folder / "recipe.json").write_text(json.dumps({"seed": 5, "data": str(tiny_coco)}))
    return folder


@pytest.fixture
def search(monkeypatch):
    """A search that finds `state["stages"]`, or that nothing is enough."""
    state = {"stages": (KeptStage("block_3", 0.4, 2.0, ("AP fell",)),), "violations": (), "asked": []}

    def convert_automatically(source, targets, scoring, budget, *, calibration, commands, say, force):
        state["asked"].append((targets, budget, len(calibration.images), commands(targets[0])))
        say("trying plain int8")
        comparison = Comparison(Change(50.0, 49.8, (-0.3, 0.0)), {}, {}, 6, 0, 0)
        converted = Converted(targets[0].path, "selective_wi8_ai8", "raw", 1000, 1.0)
        judged = Judged(converted, Judgement(comparison, Budget(0.5, None), state["violations"]))
        return Boundary(judged, state["stages"], {"float32": 9.0, "plain int8": 2.0, "this file": 2.5}, 7)

    monkeypatch.setattr("nasfpn_lite.converters.boundary.convert_automatically", convert_automatically)
    return state


def auto(source: object, output: Path, *more: object) -> int:
    return main(["convert", *map(str, (source, *AUTO, "-o", output, *more))])


def test_the_table_says_what_each_stage_costs(search, run, tmp_path, capsys):
    assert auto(run, tmp_path / "out", "--max-ap-drop", 0.5, "--force") == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines()]
    assert ["block_3", "40.0%", "2.50", "ms", "2.00", "ms", "+0.50", "ms"] in lines
    assert ["AP", "50.00", "49.80", "-0.20", "-0.30", "to", "+0.00"] in lines
    assert ["float32", "9.00", "ms"] in lines
    assert "kept in float: 1 (none can be left out); files scored: 7" in captured.out
    assert captured.err == "trying plain int8\n"
    [((plain, selective), budget, images, commands)] = search["asked"]
    assert (plain.path.name, selective) == ("run_static_wi8_ai8_raw.tflite", "run_selective_wi8_ai8_raw.tflite")
    assert (budget, images) == (Budget(0.5, None), 6)
    assert "--recipe static_wi8_ai8 --form raw" in commands["file, differences and intervals"]


def test_json(search, run, tmp_path, capsys):
    assert auto(run, tmp_path / "out", "--max-ap-drop", 0.5, "--force", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["float_stages"] == [
        {"stage": "block_3", "error_share": 0.4, "latency_ms_without": 2.0, "violations": ["AP fell"]}
    ]
    assert (data["kept"], data["latency_ms"]["this file"], data["tried"]) == (True, 2.5, 7)


def test_plain_int8_that_is_enough_is_said_to_be(search, run, tmp_path, capsys):
    search["stages"] = ()
    assert auto(run, tmp_path / "out", "--max-ap-drop", 0.5, "--force") == 0
    assert "plain int8 is within the budget: nothing is kept in float" in capsys.readouterr().out


def test_where_even_float_is_not_enough_it_exits_as_for_any_budget(search, run, tmp_path, capsys):
    search |= {"stages": (), "violations": ("AP fell by 3.00 points",)}
    assert auto(run, tmp_path / "out", "--max-ap-drop", 0.5, "--force") == EXIT_OVER_BUDGET
    captured = capsys.readouterr()
    assert "over budget even with every stage in float, not written" in captured.err
    assert "  AP fell by 3.00 points" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--auto keeps a budget; add --max-ap-drop"),
        (("--max-ap-drop", 1, "--recipe", "float32"), "expected --recipe static_wi8_ai8, got float32"),
        (("--max-ap-drop", 1, "--random-weights"), "random weights have no AP to lose"),
        (("--max-ap-drop", 1, "--float-stages", "block_5"), "--float-stages goes with --recipe selective_wi8_ai8"),
    ],
)
def test_what_it_cannot_work_with_is_refused_first(search, tmp_path, capsys, options, message):
    assert auto("fpnlite_64", tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert search["asked"] == []


def test_float_stages_reach_the_converter(monkeypatch, tmp_path, capsys):
    asked = []

    def convert_all(source, targets, *, calibration, force):
        asked.extend(targets)
        return [Converted(t.path, t.recipe, t.form, 1, 0.5) for t in targets]

    monkeypatch.setattr("nasfpn_lite.converters.convert.convert_all", convert_all)
    recipes = ("--recipe", "selective_wi8_ai8", "static_wi8_ai16", "--float-stages", "block_5", "block_6", "block_5")
    options = ("--random-weights", "--form", "raw", "-o", str(tmp_path))
    assert main(["convert", "fpnlite_64", *recipes, *options]) == 0
    assert [target.float_stages for target in asked] == [("block_5", "block_6"), ()]
    assert main(["convert", "fpnlite_64", "--recipe", "selective_wi8_ai8", *options]) == 2
    assert "got selective_wi8_ai8 with 0 stages (--float-stages)" in capsys.readouterr().err
