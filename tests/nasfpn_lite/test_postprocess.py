"""Thresholds, suppression and the way back to the original image, on cases counted by hand."""

import time

import numpy as np
import pytest

from nasfpn_lite import boxes
from nasfpn_lite.data.records import Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import PostprocessSpec, postprocess, suppress, to_original

IMAGE_SIZE = (128, 192)
FAR = -20.0  # logit of a score of nothing

# Two boxes of 40 x 20 that overlap by 40 x 15 (IoU 600 / 1000 = 0.6), and one far from both; yxyx.
FIRST, SHIFTED, ELSEWHERE = [10, 100, 50, 120], [10, 105, 50, 125], [80, 20, 120, 60]


def find(boxes_yxyx, logits, *, anchors=None, **thresholds):
    anchors = np.array(boxes_yxyx, np.float32) if anchors is None else anchors
    encodings = boxes.encode(np.array(boxes_yxyx, np.float32), anchors)
    return postprocess(encodings, np.array(logits, np.float32), anchors, PostprocessSpec(**thresholds), IMAGE_SIZE)


def test_of_two_overlapping_boxes_of_one_class_the_better_stays():
    found = find([FIRST, SHIFTED, ELSEWHERE], [[0.0, FAR], [2.0, FAR], [1.0, FAR]])
    np.testing.assert_allclose(found.boxes_yxyx, [SHIFTED, ELSEWHERE], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.880797, 0.731059], atol=1e-6)  # sigmoid of 2 and 1
    assert found.classes.tolist() == [0, 0]


def test_boxes_of_two_classes_do_not_suppress_each_other():
    found = find([FIRST, SHIFTED], [[0.0, FAR], [FAR, 2.0]])
    np.testing.assert_allclose(found.boxes_yxyx, [SHIFTED, FIRST], atol=1e-4)
    assert found.classes.tolist() == [1, 0]


def test_boxes_that_overlap_no_more_than_allowed_stay():
    assert len(find([FIRST, SHIFTED], [[0.0], [2.0]], nms_iou=0.61).scores) == 2
    assert len(find([FIRST, SHIFTED], [[0.0], [2.0]], nms_iou=0.59).scores) == 1


def test_a_suppressed_box_suppresses_nothing():
    third = [10, 110, 50, 130]  # 0.6 with SHIFTED, 1/3 with FIRST
    found = find([FIRST, SHIFTED, third], [[2.0], [1.0], [0.0]])
    np.testing.assert_allclose(found.boxes_yxyx, [FIRST, third], atol=1e-4)


def test_suppression_agrees_with_itself_across_blocks():
    # 600 equal boxes of 300 classes, more than one block: each class keeps its first.
    classes = np.arange(600) % 300
    equal = np.tile(np.array([FIRST], np.float32), (600, 1))
    assert suppress(equal, classes, 0.5, 1000).tolist() == list(range(300))
    assert suppress(equal, classes, 0.5, 7).tolist() == list(range(7))


def test_scores_below_the_threshold_do_not_count():
    logits = [[-2.9445], [-2.9443]]  # logit(0.05) = -2.94444
    found = find([FIRST, ELSEWHERE], logits, score_threshold=0.05)
    np.testing.assert_allclose(found.boxes_yxyx, [ELSEWHERE], atol=1e-4)


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 2), (0.5, 1), (1.0, 0)])
def test_the_ends_of_the_threshold(threshold, count):
    assert len(find([FIRST, ELSEWHERE], [[0.0], [FAR]], score_threshold=threshold).scores) == count


def test_only_the_best_pairs_enter_the_suppression():
    logits = [[3.0, 1.0], [2.0, FAR], [1.5, FAR]]
    found = find([FIRST, SHIFTED, ELSEWHERE], logits, pre_nms_top=2)
    np.testing.assert_allclose(found.boxes_yxyx, [FIRST], atol=1e-4)  # SHIFTED took the second place
    found = find([FIRST, SHIFTED, ELSEWHERE], logits, max_detections=2)
    np.testing.assert_allclose(found.boxes_yxyx, [FIRST, ELSEWHERE], atol=1e-4)


def test_equal_scores_keep_the_order_of_the_anchors():
    far_apart = [[0, 0, 10, 10], [0, 50, 10, 60], [0, 100, 10, 110]]
    for top in (2, 5000):
        found = find(far_apart, [[1.0, 1.0]] * 3, pre_nms_top=top)
        expected = [(0, 0), (0, 1)] if top == 2 else [(0, 0), (0, 1), (50, 0), (50, 1), (100, 0), (100, 1)]
        assert [(round(box[1]), c) for box, c in zip(found.boxes_yxyx, found.classes, strict=True)] == expected


def test_boxes_are_cut_at_the_border_and_those_beyond_are_dropped():
    found = find([[-10, 180, 30, 220], [130, 10, 150, 30]], [[1.0], [2.0]])
    np.testing.assert_allclose(found.boxes_yxyx, [[0, 180, 30, 192]], atol=1e-4)


def test_values_that_are_no_numbers_are_dropped():
    anchors = np.array([FIRST, ELSEWHERE, SHIFTED], np.float32)
    encodings = np.zeros((3, 4), np.float32)
    encodings[0, 1] = np.nan
    logits = np.array([[1.0], [np.nan], [0.0]], np.float32)
    found = postprocess(encodings, logits, anchors, PostprocessSpec(), IMAGE_SIZE)
    np.testing.assert_allclose(found.boxes_yxyx, [SHIFTED], atol=1e-4)


def test_nothing_found_has_the_right_shapes():
    found = find([FIRST], [[FAR, FAR]])
    assert (found.boxes_yxyx.shape, found.scores.shape, found.classes.shape) == ((0, 4), (0,), (0,))
    assert (found.boxes_yxyx.dtype, found.scores.dtype, found.classes.dtype) == (np.float32, np.float32, np.int32)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_anchors_plays_no_part(seed):
    rng = np.random.default_rng(seed)
    anchors = random_anchors(rng, 500)
    encodings = rng.normal(0, 0.2, (500, 4)).astype(np.float32)
    logits = rng.normal(-2, 1.5, (500, 3)).astype(np.float32)
    order = rng.permutation(500)
    thresholds = PostprocessSpec(pre_nms_top=400)
    plain = postprocess(encodings, logits, anchors, thresholds, IMAGE_SIZE)
    shuffled = postprocess(encodings[order], logits[order], anchors[order], thresholds, IMAGE_SIZE)
    assert len(plain.scores) > 50
    np.testing.assert_array_equal(plain.boxes_yxyx, shuffled.boxes_yxyx)
    np.testing.assert_array_equal(plain.classes, shuffled.classes)


def test_it_agrees_with_a_plain_loop():
    rng = np.random.default_rng(5)
    anchors = random_anchors(rng, 120)
    logits = rng.normal(-1, 1.5, (120, 4)).astype(np.float32)
    found = postprocess(np.zeros((120, 4), np.float32), logits, anchors, PostprocessSpec(), IMAGE_SIZE)
    clipped = boxes.clip(anchors, IMAGE_SIZE)
    kept: list[tuple[int, int]] = []
    for flat in np.argsort(-logits, axis=None, kind="stable"):
        row, label = divmod(int(flat), 4)
        overlaps = [boxes.iou(clipped[[row]], clipped[[r]])[0, 0] for r, c in kept if c == label]
        if logits[row, label] >= np.log(0.05 / 0.95) and all(overlap <= 0.5 for overlap in overlaps):
            kept.append((row, label))
    kept = kept[:100]
    assert 60 < len(kept)
    assert found.classes.tolist() == [label for _, label in kept]
    np.testing.assert_allclose(found.boxes_yxyx, clipped[[row for row, _ in kept]], atol=1e-4)


def test_back_to_the_original_image():
    # An original of 200 x 480 shrank to 100 x 240 and then fell into padding below row 100.
    found = Detections(
        np.array([[10, 20, 90, 230], [50, 10, 120, 30], [101, 0, 110, 30]], np.float32),
        np.array([0.9, 0.8, 0.7], np.float32),
        np.array([2, 0, 1], np.int32),
    )
    original = to_original(found, (0.5, 0.5), (200, 480))
    np.testing.assert_allclose(original.boxes_yxyx, [[20, 40, 180, 460], [100, 20, 200, 60]])
    assert original.classes.tolist() == [2, 0]


def test_back_to_an_original_that_was_stretched():
    found = Detections(np.array([[10, 20, 30, 40]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32))
    np.testing.assert_allclose(to_original(found, (0.5, 2.0), (200, 480)).boxes_yxyx, [[20, 10, 60, 20]])


@pytest.mark.parametrize(
    "wrong",
    [{"score_threshold": 5.0}, {"score_threshold": -0.1}, {"nms_iou": 1.5}, {"max_detections": 0}, {"pre_nms_top": 0}],
)
def test_a_spec_refuses_nonsense(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"{name} must .* got"):
        PostprocessSpec(**wrong)


def test_a_whole_image_takes_little_time():
    rng = np.random.default_rng(0)
    anchors = random_anchors(rng, 19125)
    logits = rng.normal(-5, 0.6, (19125, 80)).astype(np.float32)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        postprocess(np.zeros((19125, 4), np.float32), logits, anchors, PostprocessSpec(), IMAGE_SIZE)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010


def random_anchors(rng: np.random.Generator, count: int) -> np.ndarray:
    centres = rng.uniform((0, 0), IMAGE_SIZE, (count, 2))
    halves = rng.uniform(5, 30, (count, 2))
    return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
