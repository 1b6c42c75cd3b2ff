"""Winners only where they are shown."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.compare_files import (
    CompareError,
    compare_all,
    compare_rounds,
    compare_to_fastest,
    find_file,
    find_slow_int8,
)
from tests.fake_measured_phone import make_result

BASE = [10.0, 10.2, 9.9, 10.1, 10.0, 10.3]


def scaled(*factors: float) -> list[float]:
    """BASE, each round with its own factor: what slows both files in a round leaves the ratio alone."""
    return [value * factor for value, factor in zip(BASE, factors, strict=True)]


def test_a_clear_winner():
    result = make_result(scaled(0.80, 0.82, 0.81, 0.79, 0.80, 0.83), BASE)
    ratio = compare_rounds(result, 0, 1)
    assert ratio.winner == "first"
    assert ratio.latency_ratio == pytest.approx(0.805)
    assert ratio.latency_ratio_ci == pytest.approx((0.79, 0.83))
    assert ratio.coverage == pytest.approx(0.96875)
    assert ratio.text == "a.tflite is 1.24 times as fast as b.tflite (latency ratio 0.805, 0.790 to 0.830)"


def test_the_other_way_round():
    ratio = compare_rounds(make_result(scaled(0.80, 0.82, 0.81, 0.79, 0.80, 0.83), BASE), 1, 0)
    assert ratio.winner == "second"
    assert ratio.text.startswith("a.tflite is 1.24 times as fast as b.tflite (latency ratio 1.242")


def test_no_winner_inside_the_interval():
    ratio = compare_rounds(make_result(scaled(0.98, 0.97, 0.99, 0.98, 1.01, 0.96), BASE), 0, 1)
    assert ratio.winner is None
    assert ratio.text.startswith("no difference shown: a.tflite takes 0.980 of the time of b.tflite (0.960 to 1.010)")


def test_an_interval_that_touches_1_names_nobody():
    assert compare_rounds(make_result(scaled(0.98, 0.97, 0.99, 0.98, 1.0, 0.96), BASE), 0, 1).winner is None
    assert compare_rounds(make_result(scaled(0.98, 0.97, 0.99, 0.98, 0.999, 0.96), BASE), 0, 1).winner == "first"


def test_five_rounds_name_nobody():
    result = make_result(BASE[:5], [2 * value for value in BASE[:5]])
    ratio = compare_rounds(result, 0, 1)
    assert (ratio.winner, ratio.latency_ratio) == (None, 0.5)
    assert "94% is too little: take more --rounds" in ratio.text


def test_what_is_not_trustworthy_is_not_compared():
    ratio = compare_rounds(make_result(BASE, BASE, reasons=["it throttled"]), 0, 1)
    assert (ratio.latency_ratio, ratio.winner, ratio.text) == (None, None, "not trustworthy: it throttled")


def test_each_pair_once():
    pairs = [(ratio.first, ratio.second) for ratio in compare_all(make_result(BASE, BASE, BASE))]
    assert pairs == [("a.tflite", "b.tflite"), ("a.tflite", "c.tflite"), ("b.tflite", "c.tflite")]


def test_all_against_the_fastest():
    pairs = [(ratio.first, ratio.second) for ratio in compare_to_fastest(make_result(BASE, scaled(*[0.5] * 6), BASE))]
    assert pairs == [("b.tflite", "a.tflite"), ("b.tflite", "c.tflite")]
    assert compare_to_fastest(make_result(BASE)) == ()
    assert compare_to_fastest(make_result(BASE, BASE, reasons=["it throttled"])) == ()


def test_texts_leave_folders_out_where_names_tell_files_apart():
    result = make_result(BASE, [2 * value for value in BASE])
    one, other = result.files

    def text(first, second):
        files = (replace(one, file=first), replace(other, file=second))
        return compare_rounds(replace(result, files=files), 0, 1).text

    assert text("x/a.tflite", "y/b.tflite").startswith("a.tflite is 2.00 times as fast as b.tflite (")
    assert text("x/a.tflite", "y/a.tflite").startswith("x/a.tflite is 2.00 times as fast as y/a.tflite (")


@pytest.mark.parametrize(("gain", "warned"), [(1.1, True), (1.19, True), (1.21, False), (0.5, True)])
def test_int8_must_be_faster_than_float(gain, warned):
    result = make_result(BASE, [value / gain for value in BASE], arithmetics=["float", "int8"])
    warnings = find_slow_int8(result)
    assert bool(warnings) == warned
    if warned:
        assert (
            f"b.tflite (int8) is only {gain:.2f} times as fast as a.tflite (float), expected at least 1.2"
            in warnings[0]
        )
    assert find_slow_int8(replace(result, how=replace(result.how, gpu=True))) == ()  # which computes both in floats


@pytest.mark.parametrize("arithmetics", [["float", "hybrid"], ["int8", "int8"], [None, "int8"], ["float", "float"]])
def test_no_warning_without_a_float_and_an_int8_file(arithmetics):
    assert find_slow_int8(make_result(BASE, BASE, arithmetics=arithmetics)) == ()


@pytest.mark.parametrize(("multiply_adds", "warned"), [(1_000_000, 1), (1_010_000, 1), (1_011_000, 0), (None, 0)])
def test_only_files_of_one_network_are_set_against_each_other(multiply_adds, warned):
    result = make_result(BASE, BASE, arithmetics=["float", "int8"])
    files = (result.files[0], replace(result.files[1], multiply_adds=multiply_adds))
    assert len(find_slow_int8(replace(result, files=files))) == warned


def test_no_warning_of_figures_that_are_not_trustworthy():
    assert find_slow_int8(make_result(BASE, BASE, arithmetics=["float", "int8"], reasons=["hot"])) == ()


def test_files_by_name():
    result = make_result(BASE, BASE)
    files = (replace(result.files[0], file="out/a.tflite"), replace(result.files[1], file="a.tflite"))
    named = replace(result, files=files)
    assert (find_file(named, "a.tflite"), find_file(named, "out/a.tflite")) == (1, 0)
    assert find_file(replace(result, files=(files[0], result.files[1])), "a.tflite") == 0
    with pytest.raises(CompareError, match=r"expected one of out/a.tflite, a.tflite, got 'x', which fits 0"):
        find_file(named, "x")
    twice = replace(result, files=(files[0], replace(files[1], file="in/a.tflite")))
    with pytest.raises(CompareError, match="fits 2"):
        find_file(twice, "a.tflite")
