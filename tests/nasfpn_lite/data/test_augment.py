"""Augmentation: literal boxes, and the law that a painted rectangle lies where its box says."""

from dataclasses import replace

import numpy as np
import pytest

from nasfpn_lite.data.augment import AugmentSpec, augment, keep_visible, reduce_image
from nasfpn_lite.errors import UserError

PLAIN = AugmentSpec(scale_min=1.0, scale_max=1.0, horizontal_flip=False)
NO_BOXES = np.zeros((0, 4), np.float32)
NO_CLASSES = np.zeros(0, np.int32)


def rng(seed):
    return np.random.default_rng(seed)


def boxes_of(*boxes):
    return np.array(boxes, np.float32)


def noise(height, width):
    return rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_plain_changes_nothing():
    image = noise(64, 128)
    boxes, classes = boxes_of([3, 5, 20, 50], [0, 0, 64, 128]), np.array([2, 1])
    out, out_boxes, out_classes = augment(image, boxes, classes, PLAIN, (64, 128), "stretch", rng(0))
    np.testing.assert_array_equal(out, image)
    np.testing.assert_array_equal(out_boxes, boxes)
    assert out_classes.tolist() == [2, 1]


def test_stretch_scales_each_axis():
    out, boxes, _ = augment(
        noise(100, 50), boxes_of([10, 5, 60, 25]), np.array([0]), PLAIN, (64, 128), "stretch", rng(0)
    )
    assert out.shape == (64, 128, 3)
    np.testing.assert_allclose(boxes, [[6.4, 12.8, 38.4, 64.0]], rtol=1e-6)


def test_pad_keeps_the_aspect_and_fills_with_grey():
    image = np.full((100, 50, 3), 200, np.uint8)
    lefts = set()
    for seed in range(5):
        out, boxes, _ = augment(image, boxes_of([0, 0, 100, 50]), np.array([0]), PLAIN, (64, 128), "pad", rng(seed))
        top, left, bottom, right = boxes[0]
        assert (top, bottom) == (0, 64)
        assert right - left == pytest.approx(32)  # 50 * .64
        white = (out == 200).all(axis=(0, 2))
        assert (out[:, ~white] == 127).all()
        assert abs(white.sum() - 32) <= 1
        assert abs(np.flatnonzero(white)[0] - left) <= 0.5
        lefts.add(round(float(left)))
    assert len(lefts) > 1


@pytest.mark.parametrize(
    ("name", "flipped", "axis"),
    [("horizontal_flip", [3, 78, 20, 123], 1), ("vertical_flip", [44, 5, 61, 50], 0)],
)
def test_flips(name, flipped, axis):
    image, box = noise(64, 128), [3, 5, 20, 50]
    seen = set()
    for seed in range(20):
        on = augment(
            image, boxes_of(box), np.array([0]), replace(PLAIN, **{name: True}), (64, 128), "stretch", rng(seed)
        )
        expected = {True: (np.flip(image, axis), flipped), False: (image, box)}[on[1][0].tolist() == flipped]
        np.testing.assert_array_equal(on[0], expected[0])
        assert on[1][0].tolist() == expected[1]
        seen.add(expected[1] == flipped)
        off = augment(image, boxes_of(box), np.array([0]), PLAIN, (64, 128), "stretch", rng(seed))
        assert off[1][0].tolist() == box
    assert seen == {True, False}


def test_quarter_turns():
    image = np.zeros((40, 80, 3), np.uint8)
    image[10:20, 5:30] = 255
    seen = set()
    for seed in range(30):
        out, boxes, _ = augment(
            image,
            boxes_of([10, 5, 20, 30]),
            np.array([0]),
            replace(PLAIN, rotate_90=True),
            (40, 80),
            "stretch",
            rng(seed),
        )
        seen.add(tuple(boxes[0].tolist()))
        assert_painted(out, boxes[0])
    # Turned upright, the image is (80, 40), stretched by (.5, 2) to (40, 80).
    assert seen == {(10, 5, 20, 30), (25, 20, 37.5, 40), (20, 50, 30, 75), (2.5, 40, 15, 60)}


def assert_painted(image, box):
    bright = image[:, :, 0] > 127
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    found = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
    np.testing.assert_allclose(found, box, atol=1.01)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("image_size", [(64, 128), (128, 64), (64, 64)])
def test_box_stays_on_its_object(resize, image_size):
    image = np.zeros((90, 130, 3), np.uint8)
    image[30:60, 40:90] = 255
    spec = AugmentSpec(scale_min=0.5, scale_max=1.5, vertical_flip=True, rotate_90=True)
    for seed in range(40):
        out, boxes, classes = augment(
            image, boxes_of([30, 40, 60, 90]), np.array([1]), spec, image_size, resize, rng(seed)
        )
        assert out.shape == (*image_size, 3)
        assert out.dtype == np.uint8
        assert boxes.dtype == np.float32
        for box in boxes:
            assert_painted(out, box)
        assert len(classes) == len(boxes)


def test_scale_is_within_its_bounds_and_both_sides_occur():
    spec = replace(PLAIN, scale_min=0.8, scale_max=1.2)
    box = boxes_of([45, 45, 55, 55])
    sides = [augment(noise(100, 100), box, np.array([0]), spec, (64, 64), "stretch", rng(s))[1] for s in range(60)]
    factors = [(b[0, 3] - b[0, 1]) / 6.4 for b in sides]
    assert 0.8 <= min(factors) < 0.85
    assert 1.15 < max(factors) <= 1.2001


def test_keep_visible_by_hand():
    boxes = boxes_of(
        [0, -69, 10, 31],  # 31 % left
        [0, -71, 10, 29],  # 29 % left
        [0, 0, 2, 10],
        [0, 0, 1.9, 10],
        [0, 90, 10, 190],  # a crowd, 10 % left
        [70, 0, 80, 10],  # outside
        [np.nan, 0, 10, 10],
        [10, 10, 5, 20],  # reversed
    )
    kept, classes = keep_visible(boxes, np.array([0, 1, 2, 3, -2, 5, 6, 7]), (64, 100))
    assert classes.tolist() == [0, 2, -2]
    assert kept.tolist() == [[0, 0, 10, 31], [0, 0, 2, 10], [0, 90, 10, 100]]


def test_no_boxes():
    out, boxes, classes = augment(noise(30, 70), NO_BOXES, NO_CLASSES, AugmentSpec(), (64, 128), "pad", rng(0))
    assert out.shape == (64, 128, 3)
    assert boxes.shape == (0, 4)
    assert classes.shape == (0,)


def test_same_generator_same_result_and_options_do_not_disturb_each_other():
    image, boxes, classes = noise(50, 90), boxes_of([10, 10, 40, 60]), np.array([0])
    spec = AugmentSpec()
    first = augment(image, boxes, classes, spec, (64, 128), "stretch", rng(3))
    again = augment(image, boxes, classes, spec, (64, 128), "stretch", rng(3))
    other = augment(image, boxes, classes, spec, (64, 128), "stretch", rng(4))
    coloured = augment(image, boxes, classes, replace(spec, saturation=0.5), (64, 128), "stretch", rng(3))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], coloured[0])
    np.testing.assert_array_equal(first[1], coloured[1])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colours(name):
    image = np.full((64, 64, 3), (180, 140, 60), np.uint8)
    results = [
        augment(image, NO_BOXES, NO_CLASSES, replace(PLAIN, **{name: 0.2}), (64, 64), "stretch", rng(s))[0][0, 0]
        for s in range(30)
    ]
    change = np.array(results, int) - (180, 140, 60)
    assert change[:, 0].min() < 0 < change[:, 0].max()
    grey = 143  # .299 * 180 + .587 * 140 + .114 * 60
    bound = {
        "brightness": [51, 51, 51],
        "contrast": [0.2 * 53, 0.2 * 13, 0.2 * 67],
        "saturation": [0.2 * (180 - grey), 0.2 * (grey - 140), 0.2 * (grey - 60)],
    }[name]
    assert (np.abs(change) <= np.array(bound) + 1).all()
    assert (np.abs(change).max(axis=0) > np.array(bound) * 0.8 - 1).all()


@pytest.mark.parametrize(
    ("height", "width", "resize", "rotate", "expected"),
    [
        (480, 640, "stretch", False, (77, 154)),  # ceil(64 * 1.2), ceil(128 * 1.2)
        (480, 640, "pad", False, (77, 103)),  # scale 64 / 480 * 1.2 = .16
        (480, 640, "stretch", True, (154, 154)),
        (480, 640, "pad", True, (77, 103)),
        (50, 640, "stretch", False, (50, 154)),
        (40, 60, "stretch", False, (40, 60)),
    ],
)
def test_reduce_image(height, width, resize, rotate, expected):
    reduced = reduce_image(noise(height, width), replace(AugmentSpec(), rotate_90=rotate), (64, 128), resize)
    assert reduced.shape == (*expected, 3)


@pytest.mark.parametrize(
    "values",
    [{"scale_min": 0.0}, {"scale_min": 1.3}, {"brightness": -0.1}, {"contrast": 1.5}, {"saturation": np.nan}],
)
def test_bad_specs_are_refused(values):
    with pytest.raises(UserError, match="got"):
        AugmentSpec(**values)
