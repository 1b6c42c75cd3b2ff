import hashlib
import json
from collections import Counter

import cv2
import numpy as np
import pytest

from nasfpn_lite.data.check import examine_dataset
from nasfpn_lite.data.coco import find_splits, load_split
from nasfpn_lite.data.problems import DatasetError
from tests.coco_folder import CocoFolder, jpeg_bytes


@pytest.fixture
def coco_folder(tmp_path):
    folder = tmp_path / "a set with späces"
    folder.mkdir()
    return CocoFolder(folder)


def found(folder):
    """(severity, code, file, image id, annotation id) of each problem."""
    return [(p.severity, p.code, p.file, p.image_id, p.annotation_id) for p in examine_dataset(folder).problems]


def test_a_sound_folder_has_no_problem(coco_folder):
    assert examine_dataset(coco_folder.folder).problems == ()


def test_problems_in_the_json_are_named(coco_folder):
    coco_folder.document["annotations"][1]["bbox"] = [50, 10, 30, 5]
    coco_folder.write()
    [problem] = examine_dataset(coco_folder.folder).problems
    assert str(problem) == (
        "error [box-outside] instances_train.json, annotation 12, image 2: "
        "box x=50 y=10 width=30 height=5 reaches 20 px outside the image of 60x40 (b.jpg)"
    )


def test_missing_image(coco_folder):
    (coco_folder.folder / "train" / "a.jpg").unlink()
    assert found(coco_folder.folder) == [("error", "image-missing", "train/a.jpg", 1, None)]


def test_truncated_image(coco_folder):
    coco_folder.add_image("train/a.jpg", jpeg_bytes(40, 60)[:-40])
    assert found(coco_folder.folder) == [("error", "image-truncated", "train/a.jpg", 1, None)]


def test_what_is_no_image(coco_folder):
    coco_folder.add_image("train/a.jpg", b"<html>not found</html>")
    [problem] = examine_dataset(coco_folder.folder).problems
    assert (problem.severity, problem.code, problem.file) == ("error", "image-unreadable", "train/a.jpg")
    assert "not an image that OpenCV can decode" in problem.message


def test_wrong_size_in_the_json(coco_folder):
    coco_folder.add_image("train/a.jpg", jpeg_bytes(40, 61))
    [problem] = examine_dataset(coco_folder.folder).problems
    assert (problem.severity, problem.code, problem.image_id) == ("error", "wrong-size", 1)
    assert problem.message == "the json says 60x40, the image has 61x40"


def test_sides_exchanged_without_exif(coco_folder):
    coco_folder.add_image("train/a.jpg", jpeg_bytes(60, 40))
    assert found(coco_folder.folder) == [("error", "wrong-size", "train/a.jpg", 1, None)]


@pytest.mark.parametrize("orientation", [6, 8])
def test_exif_with_the_upright_size_in_the_json(coco_folder, orientation):
    coco_folder.add_image("train/a.jpg", jpeg_bytes(60, 40, orientation=orientation))
    [problem] = examine_dataset(coco_folder.folder).problems
    assert (problem.severity, problem.code, problem.file) == ("warning", "exif-rotation", "train/a.jpg")
    assert problem.message == "its EXIF orientation is honoured: it is used upright, 60x40"


def test_exif_with_the_stored_size_in_the_json(coco_folder):
    coco_folder.add_image("train/a.jpg", jpeg_bytes(40, 60, orientation=6))
    assert found(coco_folder.folder) == [
        ("warning", "exif-rotation", "train/a.jpg", 1, None),
        ("error", "exif-size", "train/a.jpg", 1, None),
    ]
    assert examine_dataset(coco_folder.folder).problems[1].message == (
        "the json says 60x40, its size before EXIF rotation, not 40x60; turn the boxes too"
    )


def test_exif_upside_down_and_plain(coco_folder):
    coco_folder.add_image("train/a.jpg", jpeg_bytes(40, 60, orientation=3))
    coco_folder.add_image("train/b.jpg", jpeg_bytes(40, 60, orientation=1))
    assert found(coco_folder.folder) == [("warning", "exif-rotation", "train/a.jpg", 1, None)]


def test_the_same_image_in_two_splits(coco_folder):
    coco_folder.document["images"][0]["file_name"] = "copy of a.jpg"
    coco_folder.write(name="instances_val.json")
    coco_folder.add_image("val/copy of a.jpg", (coco_folder.folder / "train" / "a.jpg").read_bytes())
    coco_folder.add_image("val/b.jpg", cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tobytes())
    [problem] = examine_dataset(coco_folder.folder).problems
    assert (problem.severity, problem.code, problem.file) == ("warning", "image-in-two-splits", "val/copy of a.jpg")
    assert "the same image as train/a.jpg of split train" in problem.message


def test_the_same_image_twice_in_a_split(coco_folder):
    coco_folder.add_image("train/b.jpg", (coco_folder.folder / "train" / "a.jpg").read_bytes())
    assert found(coco_folder.folder) == [("warning", "duplicate-image", "train/b.jpg", 2, None)]


def test_categories_that_differ_between_splits(coco_folder):
    document = json.loads(json.dumps(coco_folder.document))
    document["categories"] = [{"id": 1, "name": "dog"}, {"id": 3, "name": "fox"}]
    document["annotations"] = [
        {"id": 1, "image_id": i, "category_id": c, "bbox": [0, 0, 9, 9]} for i, c in ((1, 1), (2, 3))
    ]
    document["annotations"][1]["id"] = 2
    coco_folder.write(document, "instances_val.json")
    for name, shade in (("a", 10), ("b", 20)):
        coco_folder.add_image(f"val/{name}.jpg", jpeg_bytes(40, 60, shade=shade))
    problems = [p for p in examine_dataset(coco_folder.folder).problems if p.code != "category-gaps"]
    assert [(p.severity, p.code, p.file, p.message) for p in problems] == [
        ("error", "categories-differ", "instances_val.json", "category 1 ('dog') is 'cat' in instances_train.json"),
        (
            "error",
            "categories-differ",
            "instances_val.json",
            "category 3 ('fox') is 'no category' in instances_train.json",
        ),
        ("warning", "category-missing", "instances_val.json", "category 2 ('dog') of instances_train.json is missing"),
    ]


def test_broken_json_and_missing_keys_do_not_stop_the_rest(coco_folder):
    (coco_folder.folder / "instances_test.json").write_text("{")
    coco_folder.write({"images": [], "annotations": [{}], "categories": []}, "instances_val.json")
    (coco_folder.folder / "train" / "b.jpg").unlink()
    codes = Counter((p.file, p.code) for p in examine_dataset(coco_folder.folder).problems)
    assert codes == {
        ("train/b.jpg", "image-missing"): 1,
        ("instances_val.json", "missing-key"): 4,
        ("instances_val.json", "no-images"): 1,
        ("instances_val.json", "no-categories"): 1,
        ("instances_test.json", "broken-json"): 1,
    }


def test_no_annotations_at_all(coco_folder):
    coco_folder.document["annotations"] = []
    coco_folder.write()
    codes = [(p.severity, p.code) for p in examine_dataset(coco_folder.folder).problems]
    assert codes == [
        ("error", "no-annotations"),
        ("warning", "category-unused"),
        ("warning", "empty-image"),
        ("warning", "empty-image"),
    ]


def test_a_single_json_with_too_few_images(coco_folder):
    (coco_folder.folder / "instances_train.json").rename(coco_folder.folder / "instances.json")
    (coco_folder.folder / "train").rename(coco_folder.folder / "images")
    assert [(p.code, p.message) for p in examine_dataset(coco_folder.folder).problems] == [
        ("too-few-images", "2 images cannot be divided into train, val and test")
    ]


def test_summary_and_progress(coco_folder):
    calls = []
    examination = examine_dataset(coco_folder.folder, lambda done, total: calls.append((done, total)))
    [file] = examination.files
    assert (file.split, file.file, file.images, file.boxes) == ("train", "instances_train.json", 2, 2)
    assert file.boxes_per_class == {"cat": 1, "dog": 1}
    assert file.sha256 == hashlib.sha256((coco_folder.folder / file.file).read_bytes()).hexdigest()
    assert calls == [(1, 2), (2, 2)]
    assert examination.errors == 0


def test_nothing_to_check(tmp_path):
    with pytest.raises(DatasetError, match="expected instances_train.json"):
        examine_dataset(tmp_path)


def test_loading_refuses_exactly_the_errors_of_the_json(coco_folder):
    coco_folder.document["annotations"][0].update(bbox=[-0.5, 0, 60.9, 40], iscrowd=1)
    coco_folder.document["annotations"].pop()
    coco_folder.document["categories"].append({"id": 40, "name": "rare"})
    coco_folder.write()
    warnings = {p.code for p in examine_dataset(coco_folder.folder).problems if p.severity == "warning"}
    assert warnings == {"box-clipped", "crowd", "category-gaps", "category-unused", "empty-image"}
    assert len(load_split(coco_folder.folder, "train").images) == 2


@pytest.mark.parametrize(
    "name, images, codes",
    [
        ("bccd", 364, set()),
        ("playing_cards", 363, set()),
        ("fruit_ms", 23, set()),
        ("coco_ccby", 80, {"crowd", "category-gaps", "category-unused", "empty-image"}),
    ],
)
def test_real_photos(shared_dir, name, images, codes):
    folder = shared_dir / "datasets" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not here")
    examination = examine_dataset(folder)
    assert {(p.severity, p.code) for p in examination.problems} == {("warning", code) for code in codes}
    assert sum(file.images for file in examination.files) == images
    assert sum(len(load_split(folder, split).images) for split in find_splits(folder)) == images
