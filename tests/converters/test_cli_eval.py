"""`nasfpn-lite eval` as a user calls it."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.evaluate import METRICS


def test_json(tiny_run, tiny_coco, capsys):
    assert main(["eval", str(tiny_run), "--data", str(tiny_coco), "--split", "val", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(METRICS) <= set(figures)
    assert 0.0 <= figures["AP"] <= 1.0
    assert list(figures["per_class"]) == ["blue", "red"]
    assert (figures["split"], figures["images"], figures["objects"]) == ("val", 2, 2)
    assert "sha256" not in figures  # of a folder


def test_a_file_is_known_by_its_hash(tiny_run, tiny_coco, tmp_path, capsys, monkeypatch):
    from nasfpn_lite.converters import load_detector as module

    detector = module.load_detector(tiny_run, threads=1)
    monkeypatch.setattr(module, "load_detector", lambda path, threads: detector)
    monkeypatch.setattr(module, "find_seed", lambda path: None)
    (tmp_path / "a.tflite").write_bytes(b"model")
    assert main(["eval", str(tmp_path / "a.tflite"), "--data", str(tiny_coco), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["sha256"] == hashlib.sha256(b"model").hexdigest()


def test_table(tiny_run, tiny_coco, capsys):
    assert main(["eval", str(tiny_run), "--data", str(tiny_coco)]) == 0
    lines = capsys.readouterr().out.splitlines()
    first_words = [line.split()[0] for line in lines if line]
    assert first_words[1:] == ["metric", "------", *METRICS, "class", "-----", "blue", "red"]
    assert "2 images, 2 objects (test)" in lines[0]


@pytest.mark.parametrize(("options", "seed"), [([], 5), (["--seed", "0"], 0)])
def test_one_json_is_divided_by_the_seed_of_the_run(options, seed, tiny_run, one_json, capsys, monkeypatch):
    splits = []
    monkeypatch.setattr("nasfpn_lite.evaluate.evaluate", lambda detector, split, **_: splits.append(split))
    with pytest.raises(AttributeError):  # there is nothing to print
        main(["eval", str(tiny_run), "--data", str(one_json), *options])
    expected = {record.id for record in load_split(one_json, "test", seed=seed).images}
    assert {record.id for record in splits[0].images} == expected
    assert expected != {record.id for record in load_split(one_json, "test", seed=5 - seed).images}


def test_a_file_does_not_know_how_one_json_was_divided(one_json, tiny_coco, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("nasfpn_lite.converters.load_detector.find_seed", lambda path: None)
    model = str(tmp_path / "model.tflite")
    assert main(["eval", model, "--data", str(one_json)]) == 2
    assert "training seed" not in capsys.readouterr().err  # there is no file to say it of
    Path(model).write_bytes(b"no model")
    assert main(["eval", model, "--data", str(one_json)]) == 2
    assert "model.tflite does not know its training seed" in capsys.readouterr().err
    assert main(["eval", model, "--data", str(one_json), "--seed", "3"]) == 2
    assert main(["eval", model, "--data", str(tiny_coco)]) == 2
    assert "training seed" not in capsys.readouterr().err


def test_a_dataset_with_other_classes(tiny_run, tiny_coco, tmp_path, capsys):
    shutil.copytree(tiny_coco, tmp_path / "data")
    file = tmp_path / "data" / "instances_test.json"
    file.write_text(file.read_text().replace('"red"', '"green"'))
    assert main(["eval", str(tiny_run), "--data", str(tmp_path / "data")]) == 2
    assert "does not know green; the dataset has blue, green, the detector blue, red" in capsys.readouterr().err


def test_no_such_model(tiny_coco, capsys):
    assert main(["eval", "nowhere", "--data", str(tiny_coco)]) == 2
    assert "expected a run folder or a .tflite file" in capsys.readouterr().err


@pytest.fixture
def one_json(tiny_coco, tmp_path):
    """The train split of `tiny_coco`, twelve images, as one instances.json."""
    document = json.loads((tiny_coco / "instances_train.json").read_text())
    shutil.copytree(tiny_coco / "train", tmp_path / "images")
    for image in list(document["images"]):
        name = f"again_{image['file_name']}"
        shutil.copy(tmp_path / "images" / image["file_name"], tmp_path / "images" / name)
        document["images"].append({**image, "id": image["id"] + 1000, "file_name": name})
    (tmp_path / "instances.json").write_text(json.dumps(document))
    return tmp_path
