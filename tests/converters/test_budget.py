"""The AP budget end to end: what is kept, what is thrown away, what a user reads. The converter is a fake, but once."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from nasfpn_lite.cli import EXIT_OVER_BUDGET, main, verb_parser
from nasfpn_lite.converters import check_certificate
from nasfpn_lite.converters.budget import choose_split
from nasfpn_lite.converters.certificate import read_certificate
from nasfpn_lite.converters.convert import Converted
from nasfpn_lite.converters.metadata import Metadata, embed_metadata
from nasfpn_lite.data.problems import DatasetError
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import PostprocessSpec
from tests.tiny_tflite import make_tiny_tflite

BUDGET = ("--max-ap-drop", "0.5", "--max-class-drop", "2.0")


def find(split, *, shift: dict[str, float]) -> list[dict]:
    """Finds every object, the boxes of a class a share of their width to the side."""
    results = []
    for record in split.images:
        for (y0, x0, y1, x1), label in zip(record.boxes_yxyx.tolist(), record.classes, strict=True):
            category = split.categories[label]
            x0, x1 = (x + shift.get(category.name, 0.0) * (x1 - x0) for x in (x0, x1))
            entry = {"image_id": record.id, "category_id": category.id, "score": 0.9}
            results.append({**entry, "bbox": [x0, y0, x1 - x0, y1 - y0]})
    return results


@pytest.fixture
def fake(monkeypatch):
    """A converter that makes files at once, and detectors that know the truth; `shift` degrades all but float32.

    Shifted by 20 of 100 a box keeps an IoU of 80 / 120, right at 4 of 10 thresholds: 60 points lost.
    """
    state = {"shift": {}, "splits": [], "calibrations": []}

    def convert_all(source, targets, *, calibration, force):
        for target in targets:
            fields = (source.spec, source.categories, target.recipe, target.form, PostprocessSpec(), {}, {})
            target.path.write_bytes(embed_metadata(make_tiny_tflite(), Metadata(*fields, source.split_seed)))
        state["calibrations"].append(calibration)
        return [Converted(t.path, t.recipe, t.form, t.path.stat().st_size, 0.5) for t in targets]

    def detect(detector, split, *, progress):
        state["splits"].append(split.name)
        return find(split, shift=detector)

    monkeypatch.setattr("nasfpn_lite.converters.budget.convert_all", convert_all)
    monkeypatch.setattr("nasfpn_lite.converters.convert.convert_all", convert_all)
    monkeypatch.setattr("nasfpn_lite.converters.budget.detect_split", detect)
    monkeypatch.setattr(
        "nasfpn_lite.converters.budget.load_detector",
        lambda path, *, threads: {} if path.name == "reference.tflite" or "float32" in path.name else state["shift"],
    )
    return state


@pytest.fixture
def run(tiny_run, tiny_coco, tmp_path) -> Path:
    """A copy of `tiny_run` that was trained on `tiny_coco`."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    (folder / "recipe.json").write_text(json.dumps({"seed": 5, "data": str(tiny_coco)}))
    return folder


def convert(run: Path, output: Path, *more: object, recipe: str | tuple[str, ...] = "float16") -> int:
    recipes = (recipe,) if isinstance(recipe, str) else recipe
    return main(["convert", str(run), "--recipe", *recipes, "--form", "raw", "-o", str(output), *map(str, more)])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_within_the_budget_is_kept_with_its_certificate(fake, run, tiny_coco, tmp_path, capsys):
    out = tmp_path / "out"
    assert convert(run, out, *BUDGET) == 0
    assert names(out) == ["run_float16_raw.tflite", "run_float16_raw.tflite.certificate.json"]
    certificate = read_certificate((out / "run_float16_raw.tflite").read_bytes())
    assert certificate == json.loads((out / "run_float16_raw.tflite.certificate.json").read_text())
    ap = certificate["ap"]["ap"]
    assert (ap["reference"], ap["candidate"]) == (pytest.approx(100), pytest.approx(100))
    assert (ap["difference"], ap["interval"]) == (0.0, [0.0, 0.0])
    assert certificate["budget"] == {"max_ap_drop": 0.5, "max_class_drop": 2.0}
    assert (certificate["data"]["name"], certificate["data"]["split"]) == (tiny_coco.name, "test")
    captured = capsys.readouterr()
    rows = {line[:14].strip(): line[14:].split() for line in captured.out.splitlines()[3:-1]}
    assert rows["AP"] == ["100.00", "100.00", "+0.00", "+0.00", "to", "+0.00"]
    assert list(rows) == ["AP", "class blue", "class red", "small objects", "medium objects", "large objects"]
    assert rows["small objects"] == ["-", "-", "-", "-"]
    assert captured.err == ""


def test_an_exceeded_budget_exits_with_3_names_the_losers_and_writes_nothing(fake, run, tmp_path, capsys):
    fake["shift"] = {"red": 0.2}
    out = tmp_path / "out"
    assert convert(run, out, *BUDGET) == EXIT_OVER_BUDGET == 3
    assert names(out) == []
    captured = capsys.readouterr()
    assert ["class", "red", "100.00", "40.00", "-60.00", "-60.00", "to", "-60.00"] in [
        line.split() for line in captured.out.splitlines()
    ]
    assert f"over budget, not written: {out / 'run_float16_raw.tflite'}" in captured.err
    assert "AP fell by 30.00 points, from 100.00 to 70.00" in captured.err
    assert "class red fell by 60.00 points" in captured.err
    assert "classes that lost: red 60.00 points\n  sizes that lost: medium 30.00 points" in captured.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--max-ap-drop", "30"), 0),
        (("--max-ap-drop", "29.9"), 3),
        (("--max-class-drop", "60"), 0),
        (("--max-class-drop", "59.9"), 3),
        (("--max-ap-drop", "30", "--max-class-drop", "59.9"), 3),
        (("--max-ap-drop", "29.9", "--max-class-drop", "60"), 3),
    ],
)
def test_each_limit_counts_alone_and_both_together(fake, run, tmp_path, options, code):
    fake["shift"] = {"red": 0.2}
    assert convert(run, tmp_path / "out", *options) == code


def test_each_file_is_judged_by_itself(fake, run, tmp_path, capsys):
    fake["shift"] = {"red": 0.2}
    assert convert(run, tmp_path / "out", *BUDGET, "--json", recipe=("float32", "float16")) == 3
    kept = "run_float32_raw.tflite"
    assert names(tmp_path / "out") == [kept, f"{kept}.certificate.json"]
    captured = capsys.readouterr()
    first, second = json.loads(captured.out)["files"]
    assert (first["recipe"], first["kept"], first["violations"]) == ("float32", True, [])
    assert first["size_bytes"] == (tmp_path / "out" / kept).stat().st_size
    assert (second["recipe"], second["kept"], len(second["violations"])) == ("float16", False, 4)
    assert second["comparison"]["per_class"]["red"]["difference"] == pytest.approx(-60)
    assert second["budget"] == {"max_ap_drop": 0.5, "max_class_drop": 2.0}
    assert "over budget" in captured.err


def test_what_was_there_before_is_replaced_only_by_a_file_within_the_budget(fake, run, tmp_path, capsys):
    out = tmp_path / "out"
    assert convert(run, out, *BUDGET) == 0
    file = out / "run_float16_raw.tflite"
    before = file.read_bytes()
    assert convert(run, out, *BUDGET) == 2
    assert "overwrite with --force" in capsys.readouterr().err
    fake["shift"] = {"red": 0.2}
    assert convert(run, out, *BUDGET, "--force") == 3
    assert file.read_bytes() == before
    fake["shift"] = {}
    file.write_bytes(b"old")
    assert convert(run, out, *BUDGET, "--force") == 0
    assert read_certificate(file.read_bytes()) is not None


def test_a_lone_certificate_is_not_overwritten_either(fake, run, tmp_path, capsys):
    (tmp_path / "run_float16_raw.tflite.certificate.json").write_text("{}")
    assert convert(run, tmp_path, *BUDGET) == 2
    assert "run_float16_raw.tflite.certificate.json; overwrite with --force" in capsys.readouterr().err


def test_without_a_budget_nothing_is_scored_and_no_certificate_is_left(fake, run, tmp_path):
    out = tmp_path / "out"
    assert convert(run, out, *BUDGET) == 0
    fake["splits"].clear()
    assert convert(run, out, "--force") == 0
    assert names(out) == ["run_float16_raw.tflite"]
    assert read_certificate((out / "run_float16_raw.tflite").read_bytes()) is None
    assert fake["splits"] == []


def test_the_test_split_is_scored_unless_another_is_asked_for(fake, run, tiny_coco, tmp_path):
    assert convert(run, tmp_path / "a", *BUDGET) == 0
    assert convert(run, tmp_path / "b", *BUDGET, "--budget-split", "val") == 0
    assert fake["splits"] == ["test", "test", "val", "val"]
    assert choose_split(tiny_coco, "test") == "test"


def test_without_a_test_split_val_is_scored(fake, run, tiny_coco, tmp_path, capsys):
    folder = shutil.copytree(tiny_coco, tmp_path / "data")
    (folder / "instances_test.json").unlink()
    assert choose_split(folder, None) == "val"
    assert convert(run, tmp_path / "out", *BUDGET, "--data", folder) == 0
    assert fake["splits"] == ["val", "val"]
    assert convert(run, tmp_path / "other", *BUDGET, "--data", folder, "--budget-split", "test") == 2
    assert "expected a split test to score the budget on, found train, val" in capsys.readouterr().err
    (folder / "instances_val.json").unlink()
    with pytest.raises(UserError, match="expected a split test or val to score the budget on, found train"):
        choose_split(folder, None)
    with pytest.raises(DatasetError):
        choose_split(folder / "train", None)


def test_a_split_needs_a_budget(fake, run, tmp_path, capsys):
    assert convert(run, tmp_path / "out", "--budget-split", "val") == 2
    assert "--budget-split goes with a budget" in capsys.readouterr().err


def test_random_weights_have_no_budget(fake, tmp_path, capsys):
    assert convert(Path("fpnlite_64"), tmp_path, "--random-weights", *BUDGET) == 2
    assert "random weights have no AP to lose" in capsys.readouterr().err


def test_photos_that_are_gone_are_asked_for(fake, run, tmp_path, capsys):
    (run / "recipe.json").write_text(json.dumps({"seed": 5, "data": str(tmp_path / "gone")}))
    assert convert(run, tmp_path / "out", *BUDGET) == 2
    error = capsys.readouterr().err
    assert "a budget needs photos to score" in error
    assert "--data DIR" in error


@pytest.mark.parametrize("text", ["-1", "101", "nan", "much"])
def test_limits_are_points(text, capsys):
    for option in ("--max-ap-drop", "--max-class-drop"):
        with pytest.raises(SystemExit):
            verb_parser("convert").parse_args(["run", "--recipe", "float16", "--form", "raw", "-o", "x", option, text])
        assert "expected 0 to 100 AP points" in capsys.readouterr().err


def test_the_commands_of_a_certificate_can_be_typed(fake, run, tiny_coco, tmp_path):
    out = tmp_path / "out of it"
    assert convert(run, out, "--max-class-drop", "2.5", "--budget-split", "val", "--force") == 0
    file = out / "run_float16_raw.tflite"
    commands = read_certificate(file.read_bytes())["commands"]
    assert commands == {
        "file, differences and intervals": f"nasfpn-lite convert {run} --recipe float16 --form raw -o '{out}/again' "
        f"--data {tiny_coco} --max-class-drop 2.5 --budget-split val --json --force",
        "AP of this file": f"nasfpn-lite eval '{file}' --data {tiny_coco} --split val --json",
        "AP of float32": f"nasfpn-lite convert {run} --recipe float32 --form raw -o '{out}/again' --data {tiny_coco} "
        f"--force && nasfpn-lite eval '{out}/again/run_float32_raw.tflite' --data {tiny_coco} --split val --json",
        "hashes": f"python -m nasfpn_lite.converters.check_certificate '{file}' --data {tiny_coco}",
        "audit": f"nasfpn-lite inspect '{file}' --json",
    }


def test_a_certificate_of_trained_grids_names_all_photos_that_it_rests_on(
    fake, run, tiny_coco, tmp_path, monkeypatch, capsys
):
    from nasfpn_lite.converters.convert import Source
    from nasfpn_lite.runs import load_run

    monkeypatch.setattr(
        "nasfpn_lite.converters.quantize.train_on_grids", lambda job, folder, resume: Source.from_run(load_run(job.run))
    )
    out = tmp_path / "out"
    assert main(["quantize", str(run), "-o", str(out), "--seed", "3", "--force", *BUDGET]) == 0
    file = out / "run_qat_wi8_ai8_raw.tflite"
    certificate = read_certificate(file.read_bytes())
    source = f"{tiny_coco.name}/train"
    assert (certificate["calibration"]["images"], certificate["calibration"]["source"]) == (6, source)
    assert (certificate["training"]["split"], certificate["training"]["images"]) == ("train", 6)
    assert certificate["commands"] == {
        "file, differences and intervals": f"nasfpn-lite quantize {run} --data {tiny_coco} -o {out}/again --epochs=10 "
        "--batch-size=8 --learning-rate=0.0001 --seed=3 --form=raw --max-ap-drop=0.5 --max-class-drop=2.0 "
        "--budget-split=test --force --json",
        "AP of this file": f"nasfpn-lite eval {file} --data {tiny_coco} --split test --json",
        "AP of float32": f"nasfpn-lite convert {run} --recipe float32 --form raw -o {out}/again --data {tiny_coco} "
        f"--force && nasfpn-lite eval {out}/again/run_float32_raw.tflite --data {tiny_coco} --split test --json",
        "hashes": f"python -m nasfpn_lite.converters.check_certificate {file} --data {tiny_coco}",
        "audit": f"nasfpn-lite inspect {file} --json",
    }
    for command in certificate["commands"].values():  # they parse
        for words in (shlex.split(part) for part in command.split(" && ")):
            if words[0] == "nasfpn-lite":
                verb_parser(words[1]).parse_args(words[2:])
    assert check_certificate.main(shlex.split(certificate["commands"]["hashes"])[3:]) == 0
    folder = shutil.copytree(tiny_coco, tmp_path / "data")
    (folder / "instances_train.json").write_text((folder / "instances_train.json").read_text() + "\n")
    capsys.readouterr()
    assert check_certificate.main([str(file), "--data", str(folder)]) == 1
    rows = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines()[2:]}
    assert rows == {"file": "same", "data": "same", "training": "DIFFERENT", "calibration": "same"}


def test_int8_files_are_calibrated_as_ever(fake, run, tmp_path):
    assert convert(run, tmp_path / "out", *BUDGET, "--force", recipe="static_wi8_ai8") == 0
    [calibration] = fake["calibrations"]
    assert len(calibration.images) == 6


def test_real_files_of_a_real_run(run, tmp_path, capsys, monkeypatch):
    """No fakes: converter, interpreter, certificate; float16 finds what float32 finds."""
    monkeypatch.setattr("nasfpn_lite.compare._LEAST_AP", 0.1)  # a few steps of training give AP .004
    out = tmp_path / "out"
    assert convert(run, out, "--max-ap-drop", "1", "--json") == 0
    [figures] = json.loads(capsys.readouterr().out)["files"]
    file = out / "run_float16_raw.tflite"
    certificate = read_certificate(file.read_bytes())
    assert certificate["ap"]["ap"] == figures["comparison"]["ap"]
    data = shlex.split(certificate["commands"]["AP of this file"])
    assert main(data[1:]) == 0
    again = json.loads(capsys.readouterr().out)
    assert 100 * again["AP"] == pytest.approx(certificate["ap"]["ap"]["candidate"], abs=1e-9)
    assert {name: pytest.approx(100 * ap) for name, ap in again["per_class"].items()} == {
        name: change["candidate"] for name, change in certificate["ap"]["per_class"].items()
    }
    assert check_certificate.main(shlex.split(certificate["commands"]["hashes"])[3:]) == 0
    capsys.readouterr()
    assert main(shlex.split(certificate["commands"]["audit"])[1:]) == 0
    audit = json.loads(capsys.readouterr().out)
    assert certificate["audit"] == {key: audit[key] for key in audit if key not in ("path", "size_bytes")}
