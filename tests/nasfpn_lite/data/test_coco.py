import json
import unicodedata

import numpy as np
import pytest

from nasfpn_lite.data.coco import (
    divide_images,
    find_image,
    find_splits,
    load_split,
    read_record,
    save_coco,
    to_coco_dict,
)
from nasfpn_lite.data.problems import DatasetError
from nasfpn_lite.data.records import Category
from nasfpn_lite.preprocess import ImageError
from tests.coco_folder import CocoFolder, jpeg_bytes


@pytest.fixture
def coco_folder(tmp_path):
    folder = tmp_path / "a set with späces"
    folder.mkdir()
    return CocoFolder(folder)


def test_records(coco_folder):
    split = load_split(coco_folder.folder, "train")
    assert split.name == "train"
    assert split.categories == (Category(1, "cat"), Category(2, "dog"))
    first, second = split.images
    assert (first.id, first.height, first.width) == (1, 40, 60)
    assert first.path == coco_folder.folder / "train" / "a.jpg"
    assert first.boxes_yxyx.tolist() == [[5, 10, 35, 30]]
    assert (first.boxes_yxyx.dtype, first.classes.dtype, first.crowd.dtype) == (np.float32, np.int32, bool)
    assert (first.areas.tolist(), first.areas.dtype) == ([600], np.float64)
    assert first.classes.tolist() == [0]
    assert second.classes.tolist() == [1]
    assert read_record(first).shape == (40, 60, 3)


def test_category_ids_with_gaps_and_out_of_order_become_dense(coco_folder):
    coco_folder.document["categories"] = [{"id": 90, "name": "ape"}, {"id": 0, "name": "fox"}, {"id": 7, "name": "cat"}]
    for annotation, category in zip(coco_folder.document["annotations"], (7, 90), strict=True):
        annotation["category_id"] = category
    coco_folder.write()
    split = load_split(coco_folder.folder, "train")
    assert split.categories == (Category(0, "fox"), Category(7, "cat"), Category(90, "ape"))
    assert [image.classes.tolist() for image in split.images] == [[1], [2]]


def test_given_categories_fix_the_order(coco_folder):
    categories = (Category(2, "dog"), Category(5, "fox"), Category(1, "cat"))
    split = load_split(coco_folder.folder, "train", categories=categories)
    assert split.categories == categories
    assert [image.classes.tolist() for image in split.images] == [[2], [0]]


def test_given_categories_must_know_all_that_have_boxes(coco_folder):
    with pytest.raises(DatasetError, match=r"category 2 \('dog'\) has boxes, but the network knows only 1 \(cat\)"):
        load_split(coco_folder.folder, "train", categories=(Category(1, "cat"),))
    coco_folder.document["categories"].append({"id": 3, "name": "without boxes"})
    coco_folder.write()
    load_split(coco_folder.folder, "train", categories=(Category(1, "cat"), Category(2, "dog")))


def test_given_categories_must_mean_the_same(coco_folder):
    with pytest.raises(DatasetError, match="category 2 is 'dog' here, but 'cow' in the network's category map"):
        load_split(coco_folder.folder, "train", categories=(Category(1, "cat"), Category(2, "cow")))


def test_crowds_and_empty_images_are_kept(coco_folder):
    coco_folder.document["annotations"][0]["iscrowd"] = 1
    del coco_folder.document["annotations"][1]
    coco_folder.write()
    first, second = load_split(coco_folder.folder, "train").images
    assert first.crowd.tolist() == [True]
    assert (second.boxes_yxyx.shape, second.classes.shape, second.crowd.shape) == ((0, 4), (0,), (0,))
    assert second.areas.shape == (0,)


def test_boxes_slightly_outside_are_cut(coco_folder):
    coco_folder.document["annotations"][0]["bbox"] = [-1, 0.5, 61.5, 40]
    coco_folder.write()
    coco_folder.document["annotations"][0]["area"] = 1234.5
    coco_folder.write()
    [image] = load_split(coco_folder.folder, "train").images[:1]
    assert image.boxes_yxyx.tolist() == [[0.5, 0, 40, 60]]
    assert image.areas.tolist() == [1234.5]


@pytest.mark.parametrize(
    "area, expected",
    [(412.25, 412.25), (0, 0), (None, 600), ("", 600), (-1, 600), (float("nan"), 600), (True, 600), ("absent", 600)],
)
def test_the_area_is_the_jsons_or_else_the_boxs(coco_folder, area, expected):
    coco_folder.document["annotations"][0]["area"] = area
    if area == "absent":
        del coco_folder.document["annotations"][0]["area"]
    coco_folder.write()
    split = load_split(coco_folder.folder, "train")
    assert split.images[0].areas.tolist() == [expected]
    assert [annotation["area"] for annotation in to_coco_dict(split)["annotations"]] == [expected, 2400]


def test_errors_in_the_json_stop_loading_and_are_named(coco_folder):
    coco_folder.document["annotations"][0]["bbox"] = [10, 5, 0, 30]
    coco_folder.write()
    with pytest.raises(DatasetError, match=r"1 errors.*data check(.|\n)*annotation 11, image 1: box .* has no area"):
        load_split(coco_folder.folder, "train")


def test_a_long_list_of_errors_is_cut(coco_folder):
    coco_folder.document["annotations"] = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": [0, 0, 0, 0]} for i in range(13)
    ]
    coco_folder.write()
    with pytest.raises(DatasetError, match=r"13 errors(.|\n)*and 3 more"):
        load_split(coco_folder.folder, "train")


def test_missing_and_misfit_images_do_not_stop_loading(coco_folder):
    (coco_folder.folder / "train" / "a.jpg").unlink()
    coco_folder.add_image("train/b.jpg", jpeg_bytes(40, 60, orientation=6))
    first, second = load_split(coco_folder.folder, "train").images
    assert first.path == coco_folder.folder / "train" / "a.jpg"
    with pytest.raises(ImageError, match="a.jpg"):
        read_record(first)
    with pytest.raises(ImageError, match="b.jpg: the annotations say 60x40 pixels, the upright image has 40x60"):
        read_record(second)


def test_no_image_at_all_is_an_error(coco_folder):
    for name in "ab":
        (coco_folder.folder / "train" / f"{name}.jpg").unlink()
    with pytest.raises(DatasetError, match=r"none of the 2 images of split 'train' was found; expected a.jpg"):
        load_split(coco_folder.folder, "train")


@pytest.mark.parametrize("place", ["train/", "images/", "", "images/deep er/ünter/"])
def test_images_are_found_in_all_places(coco_folder, place):
    for name in "ab":
        (coco_folder.folder / "train" / f"{name}.jpg").unlink()
    coco_folder.add_image(f"{place}Größe 1.jpg", jpeg_bytes(40, 60))
    below = place.removeprefix("images/") if place.count("/") > 1 else ""
    coco_folder.document["images"][0]["file_name"] = f"{below}Größe 1.jpg"
    coco_folder.write()
    path = load_split(coco_folder.folder, "train").images[0].path
    assert path == coco_folder.folder / f"{place}Größe 1.jpg"


def test_other_spellings_of_a_file_name_are_found(tmp_path):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    decomposed = unicodedata.normalize("NFD", "sub/Größe.jpg")
    (tmp_path / "images" / decomposed).write_bytes(b"")
    composed = unicodedata.normalize("NFC", "sub/Größe.jpg")
    assert find_image(tmp_path, "train", composed).is_file()
    assert find_image(tmp_path, "train", composed.replace("/", "\\")) == tmp_path / "images" / composed.replace(
        "/", "\\"
    )
    (tmp_path / "images" / composed).write_bytes(b"")
    assert find_image(tmp_path, "train", composed.replace("/", "\\")) == tmp_path / "images" / composed


def test_splits_are_found_in_order(coco_folder):
    for name in ("instances_test.json", "instances_night.json", "instances_val.json", "instances.json"):
        coco_folder.write(name=name)
    assert list(find_splits(coco_folder.folder)) == ["train", "val", "test", "night"]
    with pytest.raises(DatasetError, match="no split 'day'; found train, val, test, night"):
        load_split(coco_folder.folder, "day")


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"expected instances_train.json .* or instances.json"):
        find_splits(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        find_splits(tmp_path / "gone")


def single_json(coco_folder, count):
    (coco_folder.folder / "instances_train.json").unlink()
    coco_folder.document["images"] = [
        {"id": i, "file_name": f"{i}.jpg", "width": 60, "height": 40} for i in range(1, count + 1)
    ]
    coco_folder.write(name="instances.json")
    for i in range(1, count + 1):
        coco_folder.add_image(f"{i}.jpg", b"")


def test_one_json_is_divided_by_seed(coco_folder):
    single_json(coco_folder, 20)
    ids = {s: [image.id for image in load_split(coco_folder.folder, s).images] for s in ("train", "val", "test")}
    assert [len(ids[s]) for s in ("train", "val", "test")] == [14, 3, 3]
    assert sorted(ids["train"] + ids["val"] + ids["test"]) == list(range(1, 21))
    assert [image.id for image in load_split(coco_folder.folder, "val", seed=1).images] != ids["val"]
    coco_folder.document["images"].reverse()
    coco_folder.write(name="instances.json")
    assert [image.id for image in load_split(coco_folder.folder, "val").images] == ids["val"]


@pytest.mark.parametrize("place", ["", "images/"])
def test_one_json_of_one_class_with_images_in_either_place(coco_folder, place):
    single_json(coco_folder, 4)
    coco_folder.document["categories"] = [{"id": 5, "name": "cat"}]
    for annotation in coco_folder.document["annotations"]:
        annotation["category_id"] = 5
    coco_folder.write(name="instances.json")
    for path in coco_folder.folder.glob("*.jpg"):
        (coco_folder.folder / place).mkdir(exist_ok=True)
        path.rename(coco_folder.folder / place / path.name)
    records = {}
    for name in ("train", "val", "test"):
        split = load_split(coco_folder.folder, name)
        assert split.categories == (Category(5, "cat"),)
        assert all(image.path.parent == coco_folder.folder / place and image.path.is_file() for image in split.images)
        records |= {image.id: (image.boxes_yxyx.tolist(), image.classes.tolist()) for image in split.images}
    assert records == {1: ([[5, 10, 35, 30]], [0]), 2: ([[0, 0, 40, 60]], [0]), 3: ([], []), 4: ([], [])}


def test_the_division_is_pinned():
    images = [{"file_name": f"{i}.jpg"} for i in range(6)]
    names = {split: [image["file_name"][0] for image in members] for split, members in divide_images(images, 0).items()}
    # sha256("0/<name>") in rising order: 2, 1, 0, 3, 5, 4; round(6 * 0.15) = 1 image each for val and test.
    assert names == {"train": ["0", "3", "5", "4"], "val": ["2"], "test": ["1"]}


def test_too_few_images_to_divide(coco_folder):
    single_json(coco_folder, 2)
    with pytest.raises(DatasetError, match="at least 3 images to divide into train, val, test, got 2"):
        load_split(coco_folder.folder, "train")


def test_round_trip(coco_folder, tmp_path):
    coco_folder.document["annotations"][0].update(iscrowd=1, area=412.25)
    coco_folder.write()
    split = load_split(coco_folder.folder, "train")
    document = to_coco_dict(split)
    assert document["annotations"][0] == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 5, 20, 30],
        "area": 412.25,
        "iscrowd": 1,
    }
    save_coco(coco_folder.folder / "instances_val.json", document)
    (coco_folder.folder / "train").rename(coco_folder.folder / "images")
    again = load_split(coco_folder.folder, "val")
    for one, other in zip(split.images, again.images, strict=True):
        assert (one.id, one.height, one.width) == (other.id, other.height, other.width)
        for name in ("boxes_yxyx", "classes", "crowd", "areas"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert again.categories == split.categories


def test_no_nan_is_ever_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_coco(tmp_path / "instances.json", {"images": [float("nan")]})
    assert list(tmp_path.iterdir()) == []
    save_coco(tmp_path / "instances.json", {"images": ["ü"]})
    assert json.loads((tmp_path / "instances.json").read_text("utf-8")) == {"images": ["ü"]}
