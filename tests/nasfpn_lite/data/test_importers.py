import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nasfpn_lite.data.check import examine_dataset
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.data.importers import import_voc, import_yolo
from nasfpn_lite.data.problems import DatasetError
from tests.coco_folder import jpeg_bytes

# --- Pascal VOC


def voc_xml(objects, width=60, height=40):
    items = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, x0, y0, x1, y1, difficult in objects
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>stale name.jpg</filename>{size}{items}</annotation>"


@pytest.fixture
def put(tmp_path):
    """Writes a file below `source/`: text, bytes, or a 60x40 JPEG (None)."""

    def write(name, content=None):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            content = jpeg_bytes(40, 60, shade=sum(name.encode()) % 200)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "source", tmp_path / "my out"


def put_voc(put, image_folder="JPEGImages", xml_folder="Annotations"):
    put(f"{image_folder}/a b.jpg")
    put(f"{image_folder}/ü.jpg")
    put(f"{image_folder}/c.jpg")
    put(f"{xml_folder}/a b.xml", voc_xml([("dog", 11, 6, 30, 35, 0), ("cat", 1, 1, 60, 40, 1)]))
    put(f"{xml_folder}/ü.xml", voc_xml([("cat", "2.0", 3, 4, 5, 0)]))
    put(f"{xml_folder}/c.xml", voc_xml([]))


def test_voc_boxes_are_one_based_and_inclusive(put, paths):
    put_voc(put)
    result = import_voc(*paths)
    assert result.images == {"all": 3}
    assert (result.boxes, result.categories, result.skipped, result.notes) == (3, ("cat", "dog"), (), ())
    document = json.loads((paths[1] / "instances.json").read_text("utf-8"))
    assert [image["file_name"] for image in document["images"]] == ["a b.jpg", "c.jpg", "ü.jpg"]
    assert document["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    # xmin 11 .. xmax 30 are the 20 columns 10..29; ymin 6 .. ymax 35 the 30 rows 5..34.
    assert document["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 5, 20, 30], "area": 600, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 60, 40], "area": 2400, "iscrowd": 1},
        {"id": 3, "image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 3], "area": 9, "iscrowd": 0},
    ]
    assert {p.code for p in examine_dataset(paths[1]).problems} == {"crowd", "empty-image"}


def test_voc_image_sets_give_the_splits(put, paths):
    put_voc(put)
    put("ImageSets/Main/train.txt", "a b\n\n")
    put("ImageSets/Main/test.txt", "\ufeffü\n")
    put("ImageSets/Main/trainval.txt", "c\n")
    result = import_voc(*paths)
    assert result.images == {"train": 1, "test": 1}
    assert result.notes == ("1 images that stand in no list of ImageSets/Main",)
    test = load_split(paths[1], "test")
    assert test.images[0].path == paths[1] / "test" / "ü.jpg"
    assert test.images[0].boxes_yxyx.tolist() == [[2, 1, 5, 4]]


@pytest.mark.parametrize("folders", [("images", "annotations"), ("", "")])
def test_other_voc_layouts(put, paths, folders):
    put_voc(put, *(folder or "." for folder in folders))
    assert import_voc(*paths).images == {"all": 3}


def test_voc_beside_the_images_in_split_folders(put, paths):
    put("train/a.jpg")
    put("train/a.xml", voc_xml([("cat", 1, 1, 5, 5, 0)]))
    put("validation/a.jpg")
    put("validation/a.xml", voc_xml([("cat", 0, 0, 5, 5, 0)]))
    put("train/not labelled.jpg")
    result = import_voc(*paths)
    assert (result.images, result.notes) == ({"train": 1, "val": 1}, ("1 images without an XML",))
    # A label that counts from 0 reaches a pixel outside and is cut.
    assert load_split(paths[1], "val").images[0].boxes_yxyx.tolist() == [[0, 0, 5, 5]]


@pytest.mark.parametrize(
    "xml, message",
    [
        ("<annotation>\n<object>\n</annotation>", r"a\.xml, line 3: broken XML"),
        (voc_xml([("cat", 1, 1, 5, 5, 0), ("cat", 1, "x", 5, 5, 0)]), r"a\.xml, object 2: \('cat'\) expected numbers"),
        (voc_xml([("cat", 9, 1, 8, 5, 0)]), r"object 1 \('cat'\): box x=8 y=0 width=0 height=5 has no area"),
        (voc_xml([("cat", 9, 1, 80, 5, 0)]), r"object 1 \('cat'\): .* reaches 20 px outside"),
        (voc_xml([("cat", 9, 1, "nan", 5, 0)]), r"object 1 \('cat'\): .* is not finite"),
        (voc_xml([("", 1, 1, 5, 5, 0)]), "object 1: has no <name>"),
        (voc_xml([], width=40, height=60), r"a\.xml: says 40x60 pixels, the upright image a\.jpg has 60x40"),
    ],
)
def test_faulty_voc_labels_are_named(put, paths, xml, message):
    put("a.jpg")
    put("a.xml", xml)
    with pytest.raises(DatasetError, match=rf"1 faulty labels.*--skip-bad(.|\n)*{message}"):
        import_voc(*paths)
    assert not paths[1].exists()


@pytest.mark.parametrize(
    "encoding, problem", [("gb2312", "multi-byte encodings are not supported"), ("nope", "unknown encoding: nope")]
)
def test_voc_labels_in_an_encoding_that_cannot_be_read(put, paths, encoding, problem):
    put_voc(put)
    put("Annotations/c.xml", f'<?xml version="1.0" encoding="{encoding}"?><annotation/>')
    with pytest.raises(DatasetError, match=rf"1 faulty labels(.|\n)*c\.xml: expected UTF-8 text: {problem}"):
        import_voc(*paths)
    assert import_voc(*paths, skip_bad=True).images == {"all": 2}


def test_voc_labels_that_cannot_be_opened(put, paths, monkeypatch):
    put_voc(put)
    parse = ElementTree.parse

    def refuse(path):
        if path.name == "c.xml":
            raise PermissionError(13, "Permission denied", str(path))
        return parse(path)

    monkeypatch.setattr(ElementTree, "parse", refuse)
    with pytest.raises(DatasetError, match=r"1 faulty labels(.|\n)*c\.xml: expected UTF-8 text: .*Permission denied"):
        import_voc(*paths)


def test_voc_without_a_size_is_believed(put, paths):
    put("a.jpg")
    put("a.xml", voc_xml([("cat", 1, 1, 5, 5, 0)], width=0, height=0))
    assert import_voc(*paths).boxes == 1


def test_skip_bad_leaves_out_and_names(put, paths):
    put_voc(put)
    put("JPEGImages/broken.jpg", b"no image")
    put("Annotations/broken.xml", voc_xml([]))
    put("Annotations/orphan.xml", voc_xml([]))
    put("Annotations/c.xml", voc_xml([("cat", 9, 1, 8, 5, 0)]))
    result = import_voc(*paths, skip_bad=True)
    assert (result.images, result.boxes) == ({"all": 3}, 3)
    assert [line.split("/")[-1].split(":")[0] for line in result.skipped] == [
        "orphan.xml",
        "broken.jpg",
        "c.xml, object 1 ('cat')",
    ]


def test_image_sets_that_do_not_fit(put, paths):
    put_voc(put)
    put("ImageSets/Main/train.txt", "c\nnobody\n")
    put("ImageSets/Main/val.txt", "c\n")
    with pytest.raises(DatasetError) as raised:
        import_voc(*paths)
    assert "train.txt, line 2: there is no labelled image 'nobody'" in str(raised.value)
    assert "val.txt, line 1: 'c' is already in train.txt" in str(raised.value)


def test_image_sets_must_be_utf8(put, paths):
    put_voc(put)
    put("ImageSets/Main/train.txt", "ü\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"train\.txt: expected UTF-8 text: .* byte 0xfc"):
        import_voc(*paths, skip_bad=True)


# --- YOLO


def put_yolo(put):
    put("data.yaml", "train: ../train/images\nnc: 2\nnames: ['cat', 'big dog']\n")
    put("images/a.jpg")
    put("images/sub/b.jpg")
    put("images/c.jpg")
    # Of 60x40: centre (20, 20), 20 wide, 30 high.
    put("labels/a.txt", "1 0.3333333333 0.5 0.3333333333 0.75\n\n0 0.5 0.5 1 1\n")
    put("labels/sub/b.txt", "0 0.1 0.2 0.5 0.2 0.3 0.9\n")


def test_yolo_boxes(put, paths):
    put_yolo(put)
    result = import_yolo(*paths)
    assert (result.images, result.boxes, result.categories) == ({"all": 3}, 3, ("cat", "big dog"))
    document = json.loads((paths[1] / "instances.json").read_text("utf-8"))
    assert [image["file_name"] for image in document["images"]] == ["a.jpg", "c.jpg", "sub/b.jpg"]
    assert document["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "big dog"}]
    boxes = [(a["image_id"], a["category_id"], [round(v, 6) for v in a["bbox"]]) for a in document["annotations"]]
    # The polygon (6, 8), (30, 8), (18, 36) lies in the box 6..30 x 8..36.
    assert boxes == [(1, 2, [10, 5, 20, 30]), (1, 1, [0, 0, 60, 40]), (3, 1, [6, 8, 24, 28])]
    assert [p.code for p in examine_dataset(paths[1]).problems] == ["empty-image"]


@pytest.mark.parametrize(
    "image, label",
    [
        ("images/{}/a.jpg", "labels/{}/a.txt"),
        ("{}/images/a.jpg", "{}/labels/a.txt"),
        ("{}/a.jpg", "{}/a.txt"),
    ],
)
def test_yolo_layouts_with_splits(put, paths, image, label):
    put("classes.txt", "cat\ndog\n")
    for split, number in (("train", 0), ("valid", 1), ("test", 1)):
        put(image.format(split))
        put(label.format(split), f"{number} 0.5 0.5 0.5 0.5\n")
    assert import_yolo(*paths).images == {"train": 1, "val": 1, "test": 1}
    val = load_split(paths[1], "val")
    assert val.images[0].path == paths[1] / "val" / "a.jpg"
    assert (val.images[0].boxes_yxyx.tolist(), val.images[0].classes.tolist()) == ([[10, 15, 30, 45]], [1])


def test_yolo_labels_beside_the_images(put, paths):
    put("obj.names", "cat\n")
    put("a.jpg")
    put("a.txt", "0 0.5 0.5 0.5 0.5\r\n")
    assert import_yolo(*paths).boxes == 1


def test_yolo_boxes_of_a_rotated_photo_refer_to_the_upright_image(put, paths):
    put("classes.txt", "cat\n")
    put("a.jpg", jpeg_bytes(60, 40, orientation=6))
    put("a.txt", "0 0.5 0.5 0.5 0.5\n")
    import_yolo(*paths)
    [image] = json.loads((paths[1] / "instances.json").read_text())["images"]
    assert (image["width"], image["height"]) == (60, 40)


@pytest.mark.parametrize(
    "line, message",
    [
        ("2 0.5 0.5 0.5 0.5", "expected a class number from 0 to 1, got '2'"),
        ("-1 0.5 0.5 0.5 0.5", "expected a class number from 0 to 1, got '-1'"),
        ("cat 0.5 0.5 0.5 0.5", "expected a class number from 0 to 1, got 'cat'"),
        ("0 0.5 0.5 0.5", "expected `class centre_x centre_y width height`, got '0 0.5 0.5 0.5'"),
        ("0 0.5 0.5 0.5 0.5 0.9", "expected `class centre_x"),
        ("0 0.5 0.5 a 0.5", "expected `class centre_x"),
        ("0 nan 0.5 0.5 0.5", "expected `class centre_x"),
        ("0 0.5 0.5 0 0.5", "has no area"),
        ("0 0.5 0.5 -0.2 0.5", "has a negative side"),
        ("0 30 20 10 10", "outside the image of 60x40"),
    ],
)
def test_faulty_yolo_lines_are_named(put, paths, line, message):
    put_yolo(put)
    put("labels/c.txt", f"0 0.5 0.5 0.1 0.1\n\n{line}\n")
    with pytest.raises(DatasetError) as raised:
        import_yolo(*paths)
    assert f"{paths[0] / 'labels' / 'c.txt'}, line 3: " in str(raised.value)
    assert message in str(raised.value)
    assert import_yolo(*paths, skip_bad=True).boxes == 4


def test_yolo_labels_must_be_utf8(put, paths):
    put_yolo(put)
    put("labels/c.txt", "0 0.5 0.5 0.1 0.1\n".encode("utf-16"))
    with pytest.raises(DatasetError, match=r"1 faulty labels(.|\n)*c\.txt: expected UTF-8 text: .* byte 0xff"):
        import_yolo(*paths)
    # Without its labels the image would pass for background.
    result = import_yolo(*paths, skip_bad=True)
    assert (result.images, len(result.skipped)) == ({"all": 2}, 1)


def test_yolo_labels_without_an_image(put, paths):
    put_yolo(put)
    put("labels/gone.txt", "0 0.5 0.5 0.1 0.1")
    put("labels/classes.txt", "cat\n")
    with pytest.raises(DatasetError, match=r"1 faulty(.|\n)*gone.txt: there is no image of this name"):
        import_yolo(*paths)


# --- Both: what is written, and where


def test_images_are_hard_links_and_copies_where_that_fails(put, paths, monkeypatch):
    put_yolo(put)
    import_yolo(*paths)
    assert os.path.samefile(paths[0] / "images" / "a.jpg", paths[1] / "images" / "a.jpg")

    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    import_yolo(*paths, force=True)
    copy = paths[1] / "images" / "a.jpg"
    assert not os.path.samefile(paths[0] / "images" / "a.jpg", copy)
    assert copy.read_bytes() == (paths[0] / "images" / "a.jpg").read_bytes()


def test_an_existing_output_is_replaced_only_by_force(put, paths):
    put_yolo(put)
    import_yolo(*paths)
    with pytest.raises(DatasetError, match="exists already; choose another folder, or replace it with --force"):
        import_yolo(*paths)
    (paths[1] / "old.txt").write_text("old")
    import_yolo(*paths, force=True)
    assert sorted(path.name for path in paths[1].iterdir()) == ["images", "instances.json"]
    assert sorted(path.name for path in paths[1].parent.iterdir()) == ["my out", "source"]


def test_the_old_output_stays_if_the_new_one_cannot_take_its_place(put, paths, monkeypatch):
    put_yolo(put)
    import_yolo(*paths)
    (paths[1] / "old.txt").write_text("old")
    rename = Path.rename

    def refuse(self, target):
        if self.name == "new":
            raise OSError("disk on strike")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="disk on strike"):
        import_yolo(*paths, force=True)
    assert (paths[1] / "old.txt").read_text() == "old"


def test_force_replaces_nothing_but_coco_folders(put, paths):
    put_yolo(put)
    paths[1].mkdir()
    (paths[1] / "precious.txt").write_text("x")
    with pytest.raises(DatasetError, match="is not a COCO folder; --force replaces nothing else"):
        import_yolo(*paths, force=True)
    assert (paths[1] / "precious.txt").read_text() == "x"


def test_output_and_source_must_be_apart(put, paths):
    put_yolo(put)
    for output in (paths[0], paths[0] / "coco", paths[0].parent):
        with pytest.raises(DatasetError, match="must be a folder apart from the source"):
            import_yolo(paths[0], output, force=True)
    with pytest.raises(DatasetError, match="no such folder"):
        import_yolo(paths[0] / "gone", paths[1])


@pytest.mark.parametrize("importer", [import_voc, import_yolo])
def test_nothing_to_import(put, paths, importer):
    put("classes.txt", "cat\n")
    put("a.jpg")
    with pytest.raises(DatasetError, match=r"found no image with a (Pascal VOC XML|YOLO label file); expected"):
        importer(*paths)


def test_images_outside_all_splits_are_refused(put, paths):
    put_yolo(put)
    put("train/x.jpg")
    with pytest.raises(DatasetError, match=r"a.jpg and 2 more belong to no split, while others belong to train"):
        import_yolo(*paths)


def test_two_images_of_one_name_are_refused(put, paths):
    put_yolo(put)
    put("a.jpg")
    with pytest.raises(DatasetError, match=r"a.jpg and .*a.jpg would get the same name in split all"):
        import_yolo(*paths)


def test_real_photos_survive_a_round_trip_through_voc(shared_dir, put, paths):
    folder = shared_dir / "datasets" / "fruit_ms"
    if not folder.is_dir():
        pytest.skip("fruit_ms is not here")
    split = load_split(folder, "val")
    for image in split.images:
        put(f"JPEGImages/{image.path.name}", image.path.read_bytes())
        objects = [
            (split.categories[label].name, box[1] + 1, box[0] + 1, box[3], box[2], 0)
            for box, label in zip(image.boxes_yxyx.tolist(), image.classes.tolist(), strict=True)
        ]
        put(f"Annotations/{image.path.stem}.xml", voc_xml(objects, image.width, image.height))
    put("ImageSets/Main/val.txt", "\n".join(image.path.stem for image in split.images))
    import_voc(*paths)
    again = {image.path.name: image for image in load_split(paths[1], "val").images}
    assert len(again) == 3
    for image in split.images:
        assert again[image.path.name].boxes_yxyx == pytest.approx(image.boxes_yxyx)
