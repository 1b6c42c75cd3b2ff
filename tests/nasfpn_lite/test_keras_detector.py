"""From whole images through a model and back to the images' own pixels."""

import dataclasses

import numpy as np
import pytest

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.keras_detector import KerasDetector
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.variants import get_spec

SPEC = get_spec("nasfpnlite_3x48", size="128x192", num_classes=2)
CATEGORIES = (Category(1, "cat"), Category(7, "dog"))
ANCHORS = make_anchors(SPEC)
# The anchor of 48 x 48 at (y 72, x 136) on P4: level offset 16 * 24 * 9, row 4 of 12 columns, column 8, first of 9.
PLACE = 16 * 24 * 9 + (4 * 12 + 8) * 9


class FakeModel:
    """Finds a dog at one anchor of every image that is not black, with the image's brightness as logit."""

    def __init__(self):
        self.batches = []

    def predict_on_batch(self, batch):
        self.batches.append(batch)
        logits = np.full((len(batch), len(ANCHORS), 2), -20, np.float32)
        logits[:, PLACE, 1] = np.where(batch[:, 0, 0, 0] > -1, batch[:, 0, 0, 0] * 4, -20)
        return {"box_encodings": np.zeros((len(batch), len(ANCHORS), 4), np.float32), "class_logits": logits}


def grey(height, width, value=255):
    return np.full((height, width, 3), value, np.uint8)


def test_the_anchor_of_this_file_is_where_it_says():
    np.testing.assert_allclose(ANCHORS[PLACE], [48, 112, 96, 160])


def test_boxes_come_back_in_the_pixels_of_the_image():
    found = KerasDetector(FakeModel(), SPEC, CATEGORIES).detect(grey(256, 960))
    # 256 x 960 was stretched to 128 x 192: y by 1/2, x by 1/5.
    np.testing.assert_allclose(found.boxes_yxyx, [[96, 560, 192, 800]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.982014], atol=1e-5)  # sigmoid of 4
    assert found.classes.tolist() == [1]


def test_boxes_come_back_from_a_padded_image():
    spec = dataclasses.replace(SPEC, resize="pad")
    found = KerasDetector(FakeModel(), spec, CATEGORIES).detect(grey(160, 384))
    # 160 x 384 shrank by 1/2 to 80 x 192; the box reaches beyond row 80, into the padding, and is cut at row 160.
    np.testing.assert_allclose(found.boxes_yxyx, [[96, 224, 160, 320]], atol=1e-3)


def test_the_network_sees_normalised_pixels():
    model = FakeModel()
    KerasDetector(model, SPEC, CATEGORIES).detect(grey(50, 70, 51))
    assert model.batches[0].shape == (1, 128, 192, 3)
    assert model.batches[0].dtype == np.float32
    np.testing.assert_allclose(model.batches[0], -0.6)  # 51 / 127.5 - 1


@pytest.mark.parametrize("count", [0, 1, 8, 11])
def test_many_images_give_what_each_gives_alone(count):
    model = FakeModel()
    detector = KerasDetector(model, SPEC, CATEGORIES)
    images = [grey(100 + 10 * index, 300, 130 + 10 * index) for index in range(count)]
    together = detector.detect_many(images)
    assert {len(batch) for batch in model.batches} <= {8}  # never another size, which would be traced again
    assert len(together) == count
    for image, found in zip(images, together, strict=True):
        alone = detector.detect(image)
        np.testing.assert_array_equal(found.boxes_yxyx, alone.boxes_yxyx)
        np.testing.assert_array_equal(found.scores, alone.scores)


def test_thresholds_are_taken():
    image = grey(128, 192, 140)  # logit 0.39, score 0.596
    assert len(KerasDetector(FakeModel(), SPEC, CATEGORIES).detect(image).scores) == 1
    strict = KerasDetector(FakeModel(), SPEC, CATEGORIES, thresholds=PostprocessSpec(score_threshold=0.6))
    assert len(strict.detect(image).scores) == 0


def test_categories_must_fit_the_spec():
    with pytest.raises(UserError, match="expected 2 categories, one per class of the spec, got 1"):
        KerasDetector(FakeModel(), SPEC, CATEGORIES[:1])
