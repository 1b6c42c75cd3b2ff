import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasfpn_lite.data.problems import DatasetError, Problem, box_problem, check_document, read_document

FILE = "instances_train.json"
SOUND = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
    "annotations": [{"id": 11, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 30]}],
    "categories": [{"id": 1, "name": "cat"}],
}


def changed(**changes):
    """The sound document with changes to the first image, annotation and category, or `more_...` records appended."""
    document = copy.deepcopy(SOUND)
    for key, value in changes.items():
        if key.startswith("more_"):
            document[key.removeprefix("more_")].append(value)
        else:
            document[key][0].update(value)
    return document


def without(kind, key):
    document = copy.deepcopy(SOUND)
    del document[kind][0][key]
    return document


def test_a_sound_document_has_no_problem():
    assert check_document(SOUND, FILE) == []


CASES = {
    "box-not-finite": (changed(annotations={"bbox": [10, 5, float("nan"), 30]}), "error", 1, 11),
    "box-reversed": (changed(annotations={"bbox": [30, 5, -20, 30]}), "error", 1, 11),
    "box-zero-area": (changed(annotations={"bbox": [10, 5, 0, 30]}), "error", 1, 11),
    "box-outside": (changed(annotations={"bbox": [45, 5, 20, 30]}), "error", 1, 11),
    "box-clipped": (changed(annotations={"bbox": [40.5, 5, 20, 30]}), "warning", 1, 11),
    "bad-area": (changed(annotations={"area": -600.0}), "warning", 1, 11),
    "crowd": (changed(annotations={"iscrowd": 1}), "warning", 1, 11),
    "unknown-image-id": (
        changed(more_annotations={**SOUND["annotations"][0], "id": 12, "image_id": 9}),
        "error",
        9,
        12,
    ),
    "unknown-category-id": (
        changed(more_annotations={**SOUND["annotations"][0], "id": 12, "category_id": 9}),
        "error",
        1,
        12,
    ),
    "duplicate-annotation-id": (changed(more_annotations=SOUND["annotations"][0]), "error", None, 11),
    "duplicate-category-id": (changed(more_categories={"id": 1, "name": "dog"}), "error", None, None),
    "empty-image": (changed(more_images={**SOUND["images"][0], "id": 2, "file_name": "b.jpg"}), "warning", 2, None),
}


@pytest.mark.parametrize("code", CASES)
def test_each_problem_names_image_and_annotation(code):
    document, severity, image_id, annotation_id = CASES[code]
    problems = [p for p in check_document(document, FILE) if p.code != "category-unused"]
    assert [(p.code, p.severity, p.file, p.image_id, p.annotation_id) for p in problems] == [
        (code, severity, FILE, image_id, annotation_id)
    ]


@pytest.mark.parametrize("area", [600, 412.25, 0, None])
def test_an_area_may_be_any_number_or_absent(area):
    assert check_document(changed(annotations={"area": area}), FILE) == []


@pytest.mark.parametrize("area", ["600", float("inf"), True])
def test_other_areas_are_named(area):
    [problem] = check_document(changed(annotations={"area": area}), FILE)
    assert problem.message == f'"area" must be a number >= 0, got {area!r}; the area of the box is taken instead'


def test_duplicate_image_ids():
    problems = check_document(changed(more_images={**SOUND["images"][0], "file_name": "b.jpg"}), FILE)
    assert problems == [
        Problem(
            "error", "duplicate-image-id", "image number 2 of the list has the id 1, which an earlier one has", FILE, 1
        )
    ]


def test_one_file_listed_twice():
    problems = check_document(changed(more_images={**SOUND["images"][0], "id": 2}), FILE)
    assert [(p.code, p.severity, p.image_id) for p in problems] == [
        ("empty-image", "warning", 2),
        ("duplicate-file-name", "error", 2),
    ]


def test_category_gaps_unused_and_duplicate_names():
    document = changed(more_categories={"id": 3, "name": "cat"})
    assert [(p.code, p.severity, p.message) for p in check_document(document, FILE)] == [
        (
            "duplicate-category-name",
            "error",
            "2 categories are called 'cat'; a network cannot tell them apart, merge them",
        ),
        ("category-gaps", "warning", "2 ids from 1 to 3 leave gaps; mapped in this order to 0..1"),
        ("category-unused", "warning", "1 categories have no box: cat"),
    ]


@pytest.mark.parametrize("kind", ["images", "annotations", "categories"])
def test_empty_lists(kind):
    problems = check_document({**SOUND, kind: []}, FILE)
    assert ("error", f"no-{kind}") in [(p.severity, p.code) for p in problems]


@pytest.mark.parametrize(
    "kind, key, message",
    [
        ("images", "width", 'image number 1 of the list has no "width"'),
        ("images", "file_name", 'image number 1 of the list has no "file_name"'),
        ("annotations", "bbox", 'annotation number 1 of the list has no "bbox"'),
        ("annotations", "image_id", 'annotation number 1 of the list has no "image_id"'),
        ("categories", "name", 'category number 1 of the list has no "name"'),
    ],
)
def test_missing_keys(kind, key, message):
    problems = check_document(without(kind, key), FILE)
    assert [(p.code, p.message) for p in problems] == [("missing-key", message)]


def test_beside_a_malformed_annotation_the_whole_ones_are_checked():
    document = changed(annotations={"bbox": [1, 2, 3]})
    document["annotations"].append({"id": 12, "image_id": 7, "category_id": 9, "bbox": [0, 0, 5, 5]})
    assert [p.code for p in check_document(document, FILE)] == ["bad-value", "unknown-category-id", "unknown-image-id"]
    document["images"][0]["width"] = "wide"  # without the sizes nothing can be said of the boxes
    assert [p.code for p in check_document(document, FILE)] == ["bad-value", "bad-value"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"images": {"id": "1"}}, "must be an integer, got '1'"),
        ({"images": {"id": True}}, "must be an integer, got True"),
        ({"images": {"width": 60.5}}, "must be an integer, got 60.5"),
        ({"images": {"height": 0}}, "must be positive, got [60, 0]"),
        ({"images": {"file_name": 7}}, "must be a string, got 7"),
        ({"annotations": {"bbox": [1, 2, 3]}}, "must be four numbers (x, y, width, height), got [1, 2, 3]"),
        ({"annotations": {"bbox": [1, 2, 3, "4"]}}, "must be four numbers"),
        ({"annotations": {"bbox": [1, 2, 3, 10**400]}}, "must be four numbers"),
        ({"annotations": {"bbox": None}}, "must be a list, got None"),
        ({"more_annotations": "text"}, "annotation number 2 of the list is not an object"),
    ],
)
def test_bad_values(changes, message):
    problems = check_document(changed(**changes), FILE)
    assert {p.code for p in problems} == {"bad-value"}
    assert message in problems[0].message


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"images": [', "broken json"),
        ("[1, 2]", 'a list "images"'),
        ('{"images": [], "annotations": {}, "categories": []}', 'a list "annotations"'),
        ("\xff", "broken json"),
    ],
)
def test_what_is_no_coco_json_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "instances.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=message) as raised:
        read_document(path)
    assert str(path) in str(raised.value)


def test_nan_is_read_from_json(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(CASES["box-not-finite"][0]))
    assert [p.code for p in check_document(read_document(path), FILE)] == ["box-not-finite"]


# An image of 60x40 (width x height).
@pytest.mark.parametrize(
    "bbox, code",
    [
        ([0, 0, 60, 40], None),
        ([0, 0, 60.0005, 40], None),  # rounding
        ([-1, -1, 62, 42], "box-clipped"),
        ([0, 0, 60, 41], "box-clipped"),
        ([0, 0, 60, 41.5], "box-outside"),
        ([-1.5, 0, 10, 10], "box-outside"),
        ([60, 0, 1, 10], "box-outside"),  # only 1 px outside, but nothing is left of it
        ([0, 40.5, 10, 0.4], "box-outside"),
        ([5, 5, 0, 0], "box-zero-area"),
        ([5, 5, 3, -1], "box-reversed"),
        ([float("inf"), 5, 3, 1], "box-not-finite"),
    ],
)
def test_boxes_at_the_border(bbox, code):
    problem = box_problem(bbox, 60, 40)
    assert (problem and problem[1]) == code


@given(st.tuples(*[st.floats(-100, 200) | st.sampled_from([0.0, 60.0, 40.0])] * 4))
def test_a_box_that_passes_has_an_area_inside_the_image(bbox):
    problem = box_problem(bbox, 60, 40)
    if problem is None or problem[0] == "warning":
        x, y, w, h = bbox
        x0, x1 = np.clip([x, x + w], 0, 60)
        y0, y1 = np.clip([y, y + h], 0, 40)
        assert x1 > x0
        assert y1 > y0
        assert max(x0 - x, y0 - y, x + w - x1, y + h - y1) <= 1
