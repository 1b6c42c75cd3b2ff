"""`nasfpn-lite predict` as a user calls it: drawings, counts, and files that it must not touch."""

import json
import shutil
from pathlib import Path

import cv2
import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.converters.cli_predict import find_images, plan_drawings
from nasfpn_lite.errors import UserError


@pytest.fixture
def photos(tiny_coco, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(tiny_coco / "test" / "201.png", folder / "b.png")
    cv2.imwrite(str(folder / "a.JPG"), cv2.imread(str(tiny_coco / "test" / "202.png")))
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_a_folder_of_photos(tiny_run, photos, tmp_path, capsys):
    output = tmp_path / "new" / "drawings"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(output), "--min-score", "0", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [Path(entry["image"]).name for entry in figures["images"]] == ["a.JPG", "b.png"]
    assert sorted(path.name for path in output.iterdir()) == ["a.jpg", "b.png"]
    assert cv2.imread(str(output / "a.jpg")).shape == (480, 640, 3)  # 96 x 128, enlarged
    found = figures["images"][0]["detections"]
    assert set(found[0]) == {"category", "category_id", "score", "bbox_xywh"}
    assert {(entry["category"], entry["category_id"]) for entry in found} <= {("blue", 1), ("red", 7)}
    for x, y, width, height in (entry["bbox_xywh"] for entry in found):
        assert 0 <= x <= x + width <= 128.01
        assert 0 <= y <= y + height <= 96.01


def test_counts_for_people(tiny_run, photos, tmp_path, capsys):
    command = ["predict", str(tiny_run), str(photos / "a.JPG"), "-o", str(tmp_path / "out"), "--min-score", "1"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["photo", "found", "drawing"]
    assert lines[2].split() == [str(photos / "a.JPG"), "nothing", str(tmp_path / "out" / "a.jpg")]


def test_a_broken_photo_does_not_stop_the_others(tiny_run, photos, tmp_path, capsys):
    (photos / "c.jpg").write_text("no image")
    assert main(["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "out")]) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png"]
    error = capsys.readouterr().err
    assert "1 of 3 images were left out" in error
    assert "c.jpg" in error


def test_photos_are_never_replaced(photos):
    photo = photos / "c.jpg"
    shutil.copy(photos / "a.JPG", photo)
    for force in (False, True):
        with pytest.raises(UserError, match="would replace a photo"):
            plan_drawings([photo], photos, force=force)


def test_drawings_are_replaced_only_by_force(photos, tmp_path):
    (tmp_path / "a.jpg").write_text("an older drawing")
    with pytest.raises(UserError, match="--force"):
        plan_drawings([photos / "a.JPG"], tmp_path, force=False)
    assert plan_drawings([photos / "a.JPG"], tmp_path, force=True) == {photos / "a.JPG": tmp_path / "a.jpg"}


def test_two_photos_for_one_drawing(photos, tmp_path):
    with pytest.raises(UserError, match="would both be drawn to"):
        plan_drawings([Path("x/a.jpg"), Path("y/a.webp")], tmp_path, force=False)


def test_the_output_must_be_a_folder(photos):
    with pytest.raises(UserError, match="is a file"):
        plan_drawings([photos / "b.png"], photos / "notes.txt", force=False)


def test_images_are_found_once_and_in_order(photos):
    assert find_images([photos / "b.png", photos]) == [photos / "b.png", photos / "a.JPG"]


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="found none"):
        find_images([tmp_path])
    with pytest.raises(UserError, match="there is no"):
        find_images([tmp_path / "gone.jpg"])


@pytest.mark.parametrize("score", ["1.5", "-1", "half", "nan"])
def test_a_score_is_a_share(score, capsys):
    with pytest.raises(SystemExit):
        main(["predict", "run", "a.jpg", "-o", "out", "--min-score", score])
    assert "expected a number in 0..1" in capsys.readouterr().err
