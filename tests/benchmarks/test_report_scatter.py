"""Points with labels that keep clear of each other."""

import re

import pytest

from nasfpn_lite.benchmarks.report_scatter import (
    PUBLISHED,
    Point,
    _place_in_order,
    draw_legend,
    draw_points,
    make_span,
    place_labels,
)


def draw(*points):
    return draw_points(points, title="t", x_label="ms", y_label="AP")


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([190, 285], [180, 200, 220, 240, 260, 280, 300]),
        ([5, 285], [0, 100, 200, 300]),  # begins low: from zero
        ([0.22, 0.263], [0.22, 0.23, 0.24, 0.25, 0.26, 0.27]),
        ([10, 10], [8.5, 9, 9.5, 10, 10.5, 11, 11.5]),
    ],
)
def test_axes_begin_and_end_at_round_numbers(values, ticks):
    found = make_span(values)
    assert found[0] <= min(values)
    assert found[-1] >= max(values)
    assert found == ticks


def test_a_point_lies_where_its_values_say():
    picture = draw(Point(0, 0, "a", 0), Point(100, 1, "b", 0))
    # The plot reaches from 60 to 624 across and from 334 up to 28, where it shows 1.2.
    assert '<circle cx="60.0" cy="334.0"' in picture
    assert '<circle cx="624.0" cy="79.0"' in picture


def test_heights_stay_off_the_edges_so_that_labels_have_room():
    assert make_span([0.221, 0.263], edge=0.3) == [0.21, 0.22, 0.23, 0.24, 0.25, 0.26, 0.27]
    assert make_span([0.221, 0.263], edge=0.05) == [0.22, 0.23, 0.24, 0.25, 0.26, 0.27]
    assert make_span([0.0, 1.0], edge=0.3) == [0, 0.2, 0.4, 0.6, 0.8, 1, 1.2]
    published = [Point(190, 0.223, "SSDLite MnasNet", PUBLISHED), Point(200, 0.221, "SSDLite MobileNetV2", PUBLISHED)]
    assert ">SSDLite MobileNetV2</text>" in draw(*published, Point(285, 0.263, "NAS-FPNLite 7@64", PUBLISHED))


def test_small_differences_do_not_look_large():
    assert make_span([0.5695, 0.5688], 0.02) == [0.555, 0.56, 0.565, 0.57, 0.575, 0.58]
    assert make_span([0.5, 0.5], 0.02) == [0.49, 0.495, 0.5, 0.505, 0.51]
    assert make_span([0.2, 0.3], 0.02) == make_span([0.2, 0.3])


def test_published_points_are_drawn_in_another_way():
    picture = draw(Point(1, 1, "ours", 0), Point(2, 2, "theirs", PUBLISHED))
    assert picture.count('class="published"') == 1
    assert picture.count('class="dot series0"') == 1
    assert 'class="tick halo middle">theirs' in picture
    assert 'class="name middle">ours' in picture


def test_nine_series_differ():
    legend = draw_legend([(series, "") for series in range(9)])
    kinds = [(re.search(r"<(circle|rect|path)", part)[1], re.search(r"series\d", part)[0]) for part in _items(legend)]
    assert len(set(kinds)) == 9


def _items(legend):
    return legend.split("<li>")[1:]


def test_whiskers():
    assert 'class="whisker"' in draw(Point(10, 1, "a", 0, (9, 11)), Point(12, 2, "b", 0))
    assert 'class="whisker"' not in draw(Point(10, 1, "a", 0), Point(12, 2, "b", 0))


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_labels_of_a_crowd_do_not_overlap():
    places = [(250 + 13 * i, 150 + 17 * (i % 4)) for i in range(12)]
    boxes = place_labels(places, [f"NAS-FPNLite {i}@64" for i in range(12)])
    assert all(box is not None for box in boxes)
    assert not any(overlap(boxes[i], boxes[j]) for i in range(12) for j in range(i))
    assert not any(box[0] < x < box[2] and box[1] < y < box[3] for box in boxes for x, y in places)


def test_another_order_is_tried_where_labels_take_each_others_room():
    places = [(550, 316), (530, 324), (590, 308), (530, 300)]  # near the lower right corner
    labels = ["x" * length for length in (21, 45, 55, 38)]
    assert None in _place_in_order(range(4), places, labels, ())
    assert None not in place_labels(places, labels)


def test_a_label_without_room_is_left_out():
    assert place_labels([(300, 180)], ["x" * 200]) == [None]


def test_a_label_keeps_clear_of_whiskers():
    (free,) = place_labels([(300, 180)], ["abc"])
    (moved,) = place_labels([(300, 180)], ["abc"], [(free[0] + 5, 180)])
    assert moved != free


def test_no_points_no_picture():
    assert draw() == ""


def test_hostile_labels_are_only_text():
    assert "<b>" not in draw(Point(1, 1, "<b>", 0), Point(2, 2, "<b>", PUBLISHED)) + draw_legend([(0, "<b>")])


def test_an_empty_label_takes_no_room():
    assert place_labels([(300, 180), (300, 180)], ["", "abc"])[0] is None


def test_no_label_lies_on_a_whisker():
    whisker = [(x, 180) for x in range(200, 400, 4)]
    (box,) = place_labels([(300, 180)], ["abc"], whisker)
    assert not any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in whisker)
