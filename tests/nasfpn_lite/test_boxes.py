import numpy as np
import pytest

from nasfpn_lite import boxes


def random_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 300, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 200, (count, 2))], axis=-1)


def test_conversion_by_hand() -> None:
    assert boxes.to_yxyx_from_xywh(np.array([[10, 20, 30, 5]])).tolist() == [[20, 10, 25, 40]]
    assert boxes.to_xywh_from_yxyx(np.array([[20, 10, 25, 40]])).tolist() == [[10, 20, 30, 5]]


def test_conversions_are_inverse() -> None:
    b = random_boxes(50, seed=1)
    np.testing.assert_allclose(boxes.to_yxyx_from_xywh(boxes.to_xywh_from_yxyx(b)), b)


def test_iou_by_hand() -> None:
    a = np.array([[0.0, 0.0, 10.0, 20.0]])
    b = np.array([[0.0, 0.0, 10.0, 20.0], [5.0, 10.0, 15.0, 30.0], [20.0, 20.0, 30.0, 30.0], [5.0, 5.0, 5.0, 9.0]])
    # Overlap 5 x 10 = 50; union 200 + 200 - 50 = 350.
    np.testing.assert_allclose(boxes.iou(a, b), [[1.0, 50 / 350, 0.0, 0.0]])


def test_area_of_reversed_box_is_zero() -> None:
    assert boxes.area(np.array([[0.0, 0.0, 3.0, 5.0], [5.0, 0.0, 3.0, 5.0]])).tolist() == [15.0, 0.0]


def test_clip_tells_height_from_width() -> None:
    assert boxes.clip(np.array([[-5.0, -5.0, 500.0, 500.0]]), (100, 200)).tolist() == [[0.0, 0.0, 100.0, 200.0]]


def test_encode_by_hand() -> None:
    anchor = np.array([[0.0, 0.0, 10.0, 20.0]])  # centre (5, 10), size (10, 20)
    box = np.array([[5.0, 10.0, 15.0, 50.0]])  # centre (10, 30), size (10, 40)
    np.testing.assert_allclose(boxes.encode(box, anchor), [[0.5, 1.0, 0.0, np.log(2.0)]])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_decode_undoes_encode(seed: int) -> None:
    b, anchors = random_boxes(200, seed), random_boxes(200, seed + 100)
    np.testing.assert_allclose(boxes.decode(boxes.encode(b, anchors), anchors), b, atol=1e-9)


def test_decode_holds_huge_sizes() -> None:
    anchor = np.array([[0.0, 0.0, 16.0, 16.0]])
    assert boxes.decode(np.array([[0.0, 0.0, 99.0, 0.0]]), anchor)[0].tolist() == pytest.approx([-492, 0, 508, 16])
