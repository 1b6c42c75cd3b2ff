"""Mosaics: four windows in their places, objects of their own size, boxes that are cut or cut away."""

from dataclasses import replace

import numpy as np
import pytest

from nasfpn_lite.data.augment import AugmentSpec
from nasfpn_lite.data.mosaic import make_mosaic

PLAIN = AugmentSpec(scale_min=1.0, scale_max=1.0, horizontal_flip=False)
NO_BOXES, NO_CLASSES = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)


def plain_photos(height=64, width=128, boxes=NO_BOXES, classes=NO_CLASSES):
    """Four photos of one grey each: 10, 20, 30, 40."""
    return [(np.full((height, width, 3), 10 * n, np.uint8), boxes, classes) for n in range(1, 5)]


def mosaic(photos, seed, spec=PLAIN, image_size=(64, 128), resize="stretch"):
    return make_mosaic(photos, spec, image_size, resize, np.random.default_rng(seed))


@pytest.mark.parametrize("image_size", [(64, 128), (128, 64)])
def test_four_windows_meet_at_one_point(image_size):
    height, width = image_size
    meetings = set()
    for seed in range(40):
        image, boxes, classes = mosaic(plain_photos(*image_size), seed, image_size=image_size)
        assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
        assert (boxes.shape, classes.shape) == ((0, 4), (0,))
        rows, columns = int((image[:, 0, 0] == 10).sum()), int((image[0, :, 0] == 10).sum())
        expected = np.full((height, width), 40)
        expected[:rows, :columns], expected[:rows, columns:], expected[rows:, :columns] = 10, 20, 30
        np.testing.assert_array_equal(image[:, :, 0], expected)
        meetings.add((rows, columns))
    assert height / 4 <= min(row for row, _ in meetings) < height * 0.35
    assert height * 0.65 < max(row for row, _ in meetings) <= height * 3 / 4
    assert len({column for _, column in meetings}) > 20


def test_objects_keep_their_size_and_their_boxes():
    photos = []
    for n in range(4):
        image = np.zeros((64, 128, 3), np.uint8)
        image[20:30, 40:60] = 255
        photos.append((image, np.array([[20, 40, 30, 60]], np.float32), np.array([n], np.int32)))
    whole = cut = away = 0
    for seed in range(60):
        image, boxes, classes = mosaic(photos, seed)
        assert boxes.dtype == np.float32
        assert (boxes >= 0).all() and (boxes <= [64, 128, 64, 128]).all()
        for top, left, bottom, right in boxes:
            # Corners move by fractions of a pixel; the inside of a box is white and nothing around it is.
            inside = image[int(np.ceil(top)) + 1 : int(bottom) - 1, int(np.ceil(left)) + 1 : int(right) - 1]
            assert (inside == 255).all()
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        assert (areas >= 0.3 * 200 - 0.01).all() and (areas <= 200.01).all()
        whole, cut, away = whole + (areas > 199.9).sum(), cut + (areas < 199.9).sum(), away + 4 - len(areas)
        assert len(set(classes.tolist())) == len(classes)
    assert whole > 20 and cut > 10 and away > 20


def test_crowds_stay_and_the_same_generator_gives_the_same():
    photos = plain_photos(96, 70, np.array([[0, 0, 96, 70]], np.float32), np.array([-2], np.int32))
    spec = replace(AugmentSpec(), rotate_90=True, vertical_flip=True)
    image, boxes, classes = mosaic(photos, 3, spec, resize="pad")
    assert classes.tolist() == [-2] * len(boxes) and len(boxes) >= 1
    again = mosaic(photos, 3, spec, resize="pad")
    np.testing.assert_array_equal(image, again[0])
    np.testing.assert_array_equal(boxes, again[1])
    assert not np.array_equal(image, mosaic(photos, 4, spec, resize="pad")[0])
