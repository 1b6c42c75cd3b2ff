"""Drawings keep the photo, put boxes where they belong and labels where they can be read."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from nasfpn_lite.data.records import Category, Detections, ImageRecord
from nasfpn_lite.drawing import class_color, draw_detections, draw_ground_truth, save_image
from nasfpn_lite.errors import UserError

CATEGORIES = (Category(1, "cat"), Category(5, "a dog with a rather long name"))
GREY = (90, 90, 90)


def photo(height, width):
    return np.full((height, width, 3), GREY, np.uint8)


def make(boxes, scores, classes):
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int32)
    )


def is_grey(pixel):
    return tuple(int(value) for value in pixel) == GREY


def test_a_box_lies_where_it_was_found():
    # 60 high and 300 wide: swapped sides would put the lines elsewhere.
    drawn = draw_detections(photo(480, 800), make([[200, 100, 260, 400]], [0.9], [0]), CATEGORIES)
    assert drawn.shape == (480, 800, 3)
    for y, x in ((230, 100), (230, 400), (200, 350), (260, 250)):
        assert tuple(drawn[y, x]) == class_color(0)
    for y, x in ((230, 250), (300, 250), (100, 230), (280, 380)):
        assert is_grey(drawn[y, x])


def test_a_small_photo_is_enlarged_with_its_boxes():
    drawn = draw_detections(photo(60, 80), make([[30, 20, 45, 60]], [0.9], [1]), CATEGORIES)
    assert drawn.shape == (480, 640, 3)
    for y, x in ((300, 160), (300, 480), (360, 320)):
        assert tuple(drawn[y, x]) == class_color(1)


def test_the_photo_itself_stays():
    for size in ((64, 48), (700, 900)):
        image = photo(*size)
        draw_detections(image, make([[3, 3, 30, 30]], [1.0], [0]), CATEGORIES)
        assert (image == GREY).all()


def test_detections_below_the_score_are_left_out():
    found = make([[100, 100, 200, 300], [400, 100, 500, 300]], [0.31, 0.29], [0, 0])
    drawn = draw_detections(photo(700, 900), found, CATEGORIES)
    assert not is_grey(drawn[150, 100])
    assert (drawn[320:] == GREY).all()
    assert not (draw_detections(photo(700, 900), found, CATEGORIES, min_score=0.2)[320:] == GREY).all()


@pytest.mark.parametrize("size", [(50, 300), (300, 50), (1, 1), (480, 640), (2000, 3000)])
def test_any_size_and_boxes_over_the_edge(size):
    height, width = size
    found = make([[-5, -5, height + 5, width + 5], [0, 0, 1, 1], [height, width, height, width]], [0.9] * 3, [0, 1, 1])
    drawn = draw_detections(photo(*size), found, CATEGORIES)
    assert drawn.dtype == np.uint8
    assert max(drawn.shape) >= 640


def test_labels_do_not_cover_each_other():
    found = make([[200, 100, 300, 400]] * 3, [0.9, 0.8, 0.7], [0, 1, 1])
    one = draw_detections(photo(600, 800), make(found.boxes_yxyx[:1], [0.9], [0]), CATEGORIES)
    three = draw_detections(photo(600, 800), found, CATEGORIES)
    label = np.s_[180:198, 102:140]
    assert not (one[label] == GREY).all()
    np.testing.assert_array_equal(one[label], three[label])


def test_neighbouring_classes_have_clearly_different_colours():
    colors = [np.array(class_color(label), float) for label in range(20)]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(colors) for b in colors[i + 1 :]]
    assert min(distances) > 35
    assert min(np.linalg.norm(a - b) for a, b in zip(colors, colors[1:], strict=False)) > 150


def test_crowds_are_named():
    boxes, classes = np.array([[200, 100, 260, 400]], np.float32), np.zeros(1, np.int32)
    areas = np.array([18000.0])
    drawn = [
        draw_ground_truth(
            photo(480, 800), ImageRecord(1, Path("x"), 480, 800, boxes, classes, np.array([crowd]), areas), CATEGORIES
        )
        for crowd in (False, True)
    ]
    assert (drawn[0] != drawn[1]).any()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPG"])
def test_saved_pictures_keep_their_colours(tmp_path, name):
    image = np.zeros((40, 60, 3), np.uint8)
    image[..., 0] = 200  # red
    save_image(image, tmp_path / name)
    back = cv2.imread(str(tmp_path / name))
    np.testing.assert_allclose(back[20, 30], [0, 0, 200], atol=4)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.jpg or \.png"):
        save_image(photo(9, 9), tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []
