"""What a file lost against another, worked out by hand; a mean that hides a collapsed class; laws of the interval."""

from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.compare import Budget, Change, Comparison, check, compare
from nasfpn_lite.data.records import Category, ImageRecord, Split
from nasfpn_lite.errors import UserError

ANT, BEE = 3, 7  # category ids
SIDES = {"small": 20.0, "medium": 60.0, "large": 120.0}


def make_split(truth: dict[int, list[tuple[int, str]]], categories: tuple[str, ...] = ("ant", "bee")) -> Split:
    """One square object after the other, `truth[image_id] = [(class, size)]`, in images of 200 x 1000 pixels."""
    records = []
    for image_id, objects in truth.items():
        boxes = np.array([make_box(place, size) for place, (_, size) in enumerate(objects)], np.float32).reshape(-1, 4)
        areas = np.array([SIDES[size] ** 2 for _, size in objects])
        classes = np.array([label for label, _ in objects], np.int32)
        crowd = np.zeros(len(objects), bool)
        records.append(ImageRecord(image_id, Path("none.png"), 200, 1000, boxes, classes, crowd, areas))
    ids = (ANT, BEE)
    return Split("test", tuple(records), tuple(Category(ids[i], name) for i, name in enumerate(categories)))


def make_box(place: int, size: str) -> list[float]:
    return [10.0, 200.0 * place, 10.0 + SIDES[size], 200.0 * place + SIDES[size]]


def find(split: Split, *, without: tuple[tuple[int, int], ...] = (), score: float = 0.9) -> list[dict]:
    """Finds every object, but for (image id, place) in `without`."""
    ids = [category.id for category in split.categories]
    results = []
    for record in split.images:
        for place, (box, label) in enumerate(zip(record.boxes_yxyx.tolist(), record.classes, strict=True)):
            if (record.id, place) not in without:
                y0, x0, y1, x1 = box
                entry = {"image_id": record.id, "category_id": ids[label], "score": score}
                results.append({**entry, "bbox": [x0, y0, x1 - x0, y1 - y0]})
    return results


TRUTH = {image_id: [(0, "large"), (0, "medium"), (1, "small")] for image_id in range(1, 9)}


def test_a_missed_half_costs_half_the_recall_points():
    split = make_split(TRUTH)
    # Of 8 bees, the last four are missed: precision 1 at recall 0.00 to 0.50, so AP is 51 of 101 recall points.
    comparison = compare(find(split), find(split, without=tuple((i, 2) for i in (5, 6, 7, 8))), split, bootstrap=0)
    bee = 100 * 51 / 101
    assert comparison.per_class["ant"] == Change(100.0, 100.0)
    assert comparison.per_class["bee"].candidate == pytest.approx(bee)
    assert comparison.ap.reference == 100.0
    assert comparison.ap.difference == pytest.approx((bee - 100) / 2)
    assert {size: change.difference for size, change in comparison.per_size.items()} == {
        "small": pytest.approx(bee - 100),
        "medium": 0.0,
        "large": 0.0,
    }
    assert comparison.ap.interval is None
    assert (comparison.images, comparison.bootstrap, comparison.seed) == (8, 0, 0)


def test_what_a_split_lacks_has_no_figures():
    split = make_split({1: [(0, "large")], 2: [(0, "large")]})
    comparison = compare(find(split), find(split), split, bootstrap=20)
    assert comparison.per_class["bee"] == Change(None, None, None)
    assert comparison.per_class["bee"].drop == 0.0
    assert comparison.per_size["small"].difference is None
    assert check(comparison, Budget(0.0, 0.0)) == []


def test_a_split_without_objects_cannot_be_judged():
    with pytest.raises(UserError, match="split 'test' has no object"):
        compare([], [], make_split({1: [], 2: []}))


def test_negative_draws_are_refused():
    with pytest.raises(UserError, match="0 or more bootstrap draws, got -1"):
        compare([], [], make_split(TRUTH), bootstrap=-1)


def test_a_detector_against_itself_has_no_doubt():
    split = make_split(TRUTH)
    found = find(split, without=((1, 0), (2, 2), (6, 1)))
    comparison = compare(found, list(found), split, bootstrap=50)
    assert comparison.ap.difference == 0.0
    assert comparison.ap.interval == (0.0, 0.0)
    assert all(change.interval == (0.0, 0.0) for change in comparison.per_class.values())


def test_one_that_is_worse_everywhere_is_below_zero_and_its_inverse_above():
    split = make_split(TRUTH)
    worse = find(split, without=((1, 2), *((image_id, 0) for image_id in TRUTH)))
    loss = compare(find(split), worse, split, bootstrap=50).ap
    low, high = loss.interval
    assert low < loss.difference <= high < 0
    gain = compare(worse, find(split), split, bootstrap=50).ap
    assert gain.interval == pytest.approx((-high, -low))


def test_one_missed_object_in_eight_images_may_be_chance():
    split = make_split(TRUTH)
    change = compare(find(split), find(split, without=((3, 2),)), split, bootstrap=200).ap
    assert change.difference < 0
    # Image 3 is missing from a third of all draws: (7/8) ** 8 = 0.34.
    assert change.interval[0] < change.difference
    assert change.interval[1] == 0.0


def test_the_seed_decides_the_draws():
    split = make_split(TRUTH)
    pair = find(split), find(split, without=((3, 2), (5, 0), (5, 1)))
    intervals = [compare(*pair, split, bootstrap=40, seed=seed).ap.interval for seed in (0, 0, 1)]
    assert intervals[0] == intervals[1] != intervals[2]


def make_comparison(ap: Change, **per_class: Change) -> Comparison:
    per_size = {"small": Change(50.0, 47.5), "medium": Change(60.0, 61.0), "large": Change(None, None)}
    return Comparison(ap, per_class, per_size, images=72, bootstrap=1000, seed=0)


def test_a_collapsed_class_behind_a_sound_mean_is_named():
    # The mean lost 0.40 points; the cow lost 20.
    comparison = make_comparison(
        Change(60.0, 59.6, (-1.25, 0.5)), ant=Change(60.0, 70.0), bee=Change(60.0, 68.8), cow=Change(60.0, 40.0)
    )
    assert check(comparison, Budget(0.5, None)) == []
    assert check(comparison, Budget(0.5, 2.0)) == [
        "class cow fell by 20.00 points, from 60.00 to 40.00; at most 2 are allowed",
        "classes that lost: cow 20.00 points",
        "sizes that lost: small 2.50 points",
    ]


def test_a_class_collapses_while_the_mean_gains():
    # A real pair: the reference misses most ants, the candidate finds them all but hardly a bee.
    split = make_split(TRUTH)
    reference = find(split, without=tuple((image_id, place) for image_id in range(2, 9) for place in (0, 1)))
    candidate = find(split, without=tuple((image_id, 2) for image_id in range(2, 9)))
    comparison = compare(reference, candidate, split, bootstrap=0)
    assert comparison.ap.difference == pytest.approx(0.0)
    assert check(comparison, Budget(0.5, None)) == []
    assert check(comparison, Budget(0.5, 2.0))[0].startswith("class bee fell by 87.13 points, from 100.00 to 12.87")


def test_an_exceeded_mean_is_told_with_its_interval_and_the_losers_in_order():
    comparison = make_comparison(
        Change(60.0, 57.25, (-4.5, -1.25)), ant=Change(60.0, 59.25), bee=Change(60.0, 55.25), cow=Change(None, None)
    )
    assert check(comparison, Budget(0.5, None)) == [
        "AP fell by 2.75 points, from 60.00 to 57.25 (difference between -4.50 and -1.25); at most 0.5 are allowed",
        "classes that lost: bee 4.75 points, ant 0.75 points",
        "sizes that lost: small 2.50 points",
    ]
    assert [line.split(" fell")[0] for line in check(comparison, Budget(2.75, 1.0))] == [
        "class bee",
        "classes that lost: bee 4.75 points, ant 0.75 points",
        "sizes that lost: small 2.50 points",
    ]


@pytest.mark.parametrize(("candidate", "kept"), [(59.5, True), (59.499, False), (61.0, True)])
def test_a_drop_of_just_the_budget_is_allowed(candidate, kept):
    comparison = make_comparison(Change(60.0, candidate), ant=Change(60.0, candidate))
    assert (check(comparison, Budget(0.5, None)) == []) is kept
    assert (check(comparison, Budget(None, 0.5)) == []) is kept


@pytest.mark.parametrize(("reference", "passes"), [(0.0, False), (0.99, False), (1.0, True), (None, False)])
def test_beside_a_reference_that_finds_nothing_no_file_passes(reference, passes):
    comparison = make_comparison(Change(reference, reference))
    if passes:
        assert check(comparison, Budget(100, 100)) == []
    else:
        with pytest.raises(UserError, match="the reference itself has AP 0"):
            check(comparison, Budget(100, 100))


def test_rounding_is_no_loss():
    change = Change(100 * 0.7, 100 * (0.7 - 0.005))  # a drop of 0.5 and a bit of the last place
    assert check(make_comparison(change), Budget(0.5, None)) == []


@pytest.mark.parametrize("value", [-0.1, 100.5, float("nan"), float("inf")])
def test_budgets_are_points(value):
    with pytest.raises(UserError, match="max_ap_drop must be 0 to 100 AP points"):
        Budget(value, 1.0)
    with pytest.raises(UserError, match="max_class_drop must be 0 to 100 AP points"):
        Budget(1.0, value)


def test_a_budget_limits_something():
    with pytest.raises(UserError, match="got neither"):
        Budget(None, None)


def test_plain_data():
    data = make_comparison(Change(60.0, 57.25, (-4.5, -1.25)), ant=Change(None, None)).to_dict()
    assert data["ap"] == {"reference": 60.0, "candidate": 57.25, "difference": -2.75, "interval": [-4.5, -1.25]}
    assert data["per_class"]["ant"] == dict.fromkeys(("reference", "candidate", "difference", "interval"))
    assert data["bootstrap"] == {"draws": 1000, "seed": 0, "confidence": 0.95}
    assert data["unit"] == "AP points, 0..100"
