import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from nasfpn_lite.cli import main


@pytest.fixture
def voc_folder(tmp_path):
    folder = tmp_path / "voc"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((40, 60, 3), np.uint8))
    box = "<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>35</ymax></bndbox>"
    (folder / "a.xml").write_text(f"<annotation><object><name>cat</name>{box}</object></annotation>")
    return folder


def test_check_of_a_sound_folder(tiny_coco, capsys):
    assert main(["data", "check", str(tiny_coco)]) == 0
    out = capsys.readouterr().out
    assert "instances_train.json: 6 images, 6 boxes, sha256 " in out
    assert "0 errors, 3 warnings" in out  # the gap in the category ids, in each file


def test_check_as_json(tiny_coco, capsys):
    assert main(["data", "check", str(tiny_coco), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["errors"], report["warnings"]) == (0, 3)
    assert report["problems"][0] == {
        "severity": "warning",
        "code": "category-gaps",
        "message": "2 ids from 1 to 7 leave gaps; mapped in this order to 0..1",
        "file": "instances_train.json",
        "image_id": None,
        "annotation_id": None,
    }
    assert report["files"][0]["boxes_per_class"] == {"blue": 3, "red": 3}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_errors_give_exit_code_1(tmp_path, voc_folder, capsys, options):
    folder = tmp_path / "coco"
    assert main(["data", "import", "--format", "voc", str(voc_folder), "-o", str(folder)]) == 0
    assert main(["data", "check", str(folder), *options]) == 1  # one image cannot be divided
    assert "too-few-images" in capsys.readouterr().out


def test_many_warnings_are_cut_and_counted(tmp_path, capsys):
    images = [{"id": i, "file_name": f"{i}.png", "width": 60, "height": 40} for i in range(8)]
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((40, 60, 3), i, np.uint8))
    annotations = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [0, 0, 9, 9]}]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "instances_train.json").write_text(json.dumps(document))
    assert main(["data", "check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.count("has no box") == 5
    assert "warning [empty-image] ... and 2 more; --json lists all" in out


def test_import_says_what_it_made(tmp_path, voc_folder, capsys):
    (voc_folder / "b.xml").write_text("<annotation/>")
    command = ["data", "import", "--format", "voc", str(voc_folder), "-o", str(tmp_path / "coco")]
    assert main(command) == 2
    assert "b.xml: there is no image of this name" in capsys.readouterr().err
    assert main([*command, "--skip-bad"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'coco'}: images: all 1; 1 boxes of 1 classes\n"
    assert "left out: " in captured.err
    assert main(command) == 2
    assert main([*command, "--skip-bad", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["categories"] == ["cat"]


def test_import_of_yolo(tmp_path, capsys):
    source = tmp_path / "yolo"
    source.mkdir()
    cv2.imwrite(str(source / "a.png"), np.zeros((40, 60, 3), np.uint8))
    (source / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (source / "classes.txt").write_text("cat\n")
    assert main(["data", "import", "--format", "yolo", str(source), "-o", str(tmp_path / "coco")]) == 0
    assert "1 boxes of 1 classes" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["data"], ["data", "import", "x", "-o", "y"], ["data", "check"]])
def test_incomplete_commands_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2


def test_the_options_load_nothing_heavy():
    code = (
        "import sys, argparse; from nasfpn_lite.cli import data; data.add_arguments(argparse.ArgumentParser()); "
        "print([name for name in ('cv2', 'numpy', 'keras', 'tensorflow') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
