"""`nasfpn-lite convert`: what it asks of the converter and what it prints."""

import json
import shutil
from pathlib import Path

import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.converters.calibration import SYNTHETIC
from nasfpn_lite.converters.convert import Converted


@pytest.fixture
def asked(monkeypatch):
    """Records the calls of a converter that makes empty files."""
    calls = []

    def convert_all(source, targets, *, calibration, force):
        calls.append((source, targets, calibration, force))
        return [Converted(t.path, t.recipe, t.form, 1234, 0.5) for t in targets]

    monkeypatch.setattr("nasfpn_lite.converters.convert.convert_all", convert_all)
    return calls


def convert(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_a_variant_without_random_weights_is_refused(asked, tmp_path, capsys):
    assert convert("fpnlite_64", "--recipe", "float32", "--form", "raw", "-o", tmp_path) == 2
    assert "fpnlite_64 is a variant, which has no weights of its own" in capsys.readouterr().err
    assert asked == []


def test_a_folder_that_is_no_run_is_named(asked, tmp_path, capsys):
    assert convert(tmp_path, "--recipe", "float32", "--form", "raw", "-o", tmp_path) == 2
    assert "expected a run folder" in capsys.readouterr().err


def test_options_of_a_variant_do_not_go_with_a_run(asked, tmp_path, capsys):
    assert convert(tmp_path, "--size", 256, "--recipe", "float32", "--form", "raw", "-o", tmp_path) == 2
    assert "a trained run keeps what it was trained with" in capsys.readouterr().err


def test_random_weights_are_calibrated_with_made_up_images(asked, tmp_path, capsys):
    options = ("--recipe", "static_wi8_ai8", "float32", "float32", "--form", "raw", "-o", tmp_path, "--json")
    assert convert("nasfpnlite_3x48", "--random-weights", "--size", "64x128", "--classes", 80, *options) == 0
    [(source, targets, calibration, force)] = asked
    assert source.weights is None
    assert (source.spec.image_size, source.spec.num_classes, len(source.categories)) == ((64, 128), 80, 80)
    names = ["nasfpnlite_3x48_static_wi8_ai8_raw.tflite", "nasfpnlite_3x48_float32_raw.tflite"]
    assert [target.path for target in targets] == [tmp_path / name for name in names]
    assert calibration.source == SYNTHETIC
    assert force is False
    first = json.loads(capsys.readouterr().out)["files"][0]
    assert first["path"] == str(tmp_path / names[0])
    assert (first["size_bytes"], first["seconds"]) == (1234, 0.5)


def test_float_recipes_need_no_images(asked, tmp_path, capsys):
    options = ("--recipe", "float16", "--form", "detect", "-o", tmp_path, "--force")
    assert convert("ssdlite", "--random-weights", *options) == 0
    [(_, targets, calibration, force)] = asked
    assert (targets[0].form, calibration, force) == ("detect", None, True)
    assert "ssdlite_float16_detect.tflite" in capsys.readouterr().out


def test_existing_files_stop_it_before_anything_is_read(asked, tmp_path, capsys):
    (tmp_path / "gone_float32_raw.tflite").touch()
    assert convert(tmp_path / "gone", "--recipe", "float32", "--form", "raw", "-o", tmp_path) == 2
    assert "overwrite with --force" in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_stops_it_before_anything_is_read(asked, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert convert(tmp_path / "gone", "--recipe", "float32", "--form", "raw", "-o", tmp_path / "file") == 2
    assert f"{tmp_path / 'file'} is a file" in capsys.readouterr().err


def test_random_weights_have_no_use_for_photos(asked, tmp_path, capsys):
    options = ("--recipe", "float32", "--form", "raw", "-o", tmp_path)
    assert convert("ssdlite", "--random-weights", "--data", tmp_path, *options) == 2
    assert "leave --data out" in capsys.readouterr().err
    assert asked == []


@pytest.fixture
def run_of(tiny_run, tmp_path):
    """Makes a copy of `tiny_run` that was trained on a folder."""

    def make(data: Path | None) -> Path:
        run = shutil.copytree(tiny_run, tmp_path / "run")
        (run / "recipe.json").write_text(json.dumps({"seed": 5, **({"data": str(data)} if data else {})}))
        return run

    return make


@pytest.mark.parametrize(("data", "message"), [("gone", "/gone, is gone"), (None, "needs photos to calibrate with")])
def test_a_run_whose_photos_are_gone(asked, run_of, tmp_path, capsys, data, message):
    run = run_of(tmp_path / data if data else None)
    assert convert(run, "--recipe", "static_wi8_ai8", "--form", "raw", "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert "--data DIR" in error
    assert asked == []


def test_photos_in_this_very_folder_are_named(asked, run_of, tiny_coco, tmp_path, monkeypatch):
    run = run_of(tmp_path / "gone")
    monkeypatch.chdir(tiny_coco)
    options = ("--recipe", "static_wi8_ai8", "--form", "raw", "-o", tmp_path / "out", "--force")
    assert convert(run, "--data", ".", *options) == 0
    [(_, _, calibration, _)] = asked
    assert calibration.source == f"{tiny_coco.name}/train"
    assert len(calibration.images) == 6


def test_few_photos_are_allowed_without_overwriting(asked, run_of, tiny_coco, tmp_path, capsys):
    run = run_of(tiny_coco)
    options = ("--recipe", "static_wi8_ai8", "--form", "raw", "-o", tmp_path / "out")
    assert convert(run, *options) == 2
    assert "at least 100 images, got 6 from tiny" in (error := capsys.readouterr().err)
    assert "--few-images" in error
    assert convert(run, *options, "--few-images") == 0
    [(_, _, calibration, force)] = asked
    assert (len(calibration.images), calibration.few, force) == (6, True, False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run_static_wi8_ai8_raw.tflite").touch()
    assert convert(run, *options, "--few-images") == 2
    assert "overwrite with --force" in capsys.readouterr().err
    assert len(asked) == 1
