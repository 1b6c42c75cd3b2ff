"""The model on profiles whose times follow from rules that are known, or do not."""

import math
from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.latency_model import KindRule, ModelError, fit_model, predict
from nasfpn_lite.android_bench.profile_record import OperatorWork
from tests.fake_profiles import make_result

CONV, ADD = "CONV_2D 1x1 int8", "ADD int8"


def conv(multiply_adds, size, off=1.0):
    """2 ms per million multiply-adds, 1 ms per million bytes, 0.5 ms each."""
    return (CONV, multiply_adds, size, off * (2e-6 * multiply_adds + 1e-6 * size + 0.5))


def add(size):
    return (ADD, 0, size, 3e-6 * size)


def make_files(off=(1.0, 1.0, 1.0)):
    return [
        make_result("a", [conv(10**6, 10**6, off[0]), conv(4 * 10**6, 10**5, off[0]), add(10**6)], overhead_ms=0.0),
        make_result("b", [conv(2 * 10**6, 3 * 10**6, off[1]), conv(6 * 10**6, 10**6, off[1]), add(2 * 10**6)]),
        make_result("c", [conv(3 * 10**6, 2 * 10**6, off[2]), conv(10**6, 4 * 10**6, off[2]), add(10**5)]),
    ]


def work(kind, multiply_adds, size, position=0):
    return OperatorWork(position, kind, multiply_adds, size)


def test_rules_are_found_again():
    model = fit_model(make_files())
    rule = model.rules[CONV]
    assert (rule.ms_per_multiply_add, rule.ms_per_byte, rule.constant_ms) == pytest.approx((2e-6, 1e-6, 0.5))
    assert (rule.observations, rule.multiply_adds, rule.bytes_moved) == (6, (10**6, 6 * 10**6), (10**5, 4 * 10**6))
    assert model.rules[ADD].ms_per_byte == pytest.approx(3e-6)
    assert model.factor == pytest.approx(1.0)
    assert [item.file for item in model.left_out] == ["a", "b", "c"]
    assert model.errors == pytest.approx((0, 0, 0), abs=1e-9)


def test_a_prediction():
    found = predict(fit_model(make_files()), [work(CONV, 5 * 10**6, 10**6, 3), work(ADD, 0, 10**6, 7)])
    assert found.latency_ms == pytest.approx(11.5 + 3.0)
    assert found.operators_ms == pytest.approx({3: 11.5, 7: 3.0})
    assert found.interval_ms == pytest.approx((14.5, 14.5))
    assert (found.coverage, found.doubts) == (0.75, ())


def test_what_the_profile_leaves_out_counts():
    files = [replace(result, latency_ms=1.25 * result.profile.total_ms) for result in make_files()]
    model = fit_model(files)
    assert model.factor == pytest.approx(1.25)
    assert predict(model, [work(ADD, 0, 10**6)]).latency_ms == pytest.approx(3.75)


def test_the_error_bars_are_those_of_files_left_out():
    """The third file takes twice as long in all its convolutions: the others cannot know."""
    model = fit_model(make_files(off=(1.0, 1.0, 2.0)))
    third = model.left_out[2]
    # Of 2 * (8.5 + 6.5) + 0.3 ms they predict 8.5 + 6.5 + 0.3.
    assert (third.measured_ms, third.predicted_ms) == pytest.approx((30.3, 15.3))
    assert max(map(abs, model.errors)) >= math.log(30.3 / 15.3) - 1e-9
    found = predict(model, [work(ADD, 0, 10**6)])
    assert found.interval_ms[0] < found.latency_ms / 1.9
    assert found.interval_ms[1] > found.latency_ms * 1.9


def test_a_file_measured_twice_is_left_out_as_one():
    files = make_files()
    model = fit_model([*files, replace(files[0], latency_ms=files[0].latency_ms + 2)])
    assert [item.file for item in model.left_out] == ["a", "b", "c"]
    assert model.left_out[0].measured_ms == pytest.approx(files[0].latency_ms + 1)


@pytest.mark.parametrize(
    ("multiply_adds", "size", "doubts"),
    [
        (6_290_000, 4_000_000, []),
        (6_310_000, 4_000_000, ["more multiply-adds"]),
        (990_000, 4_000_000, []),
        (900_000, 4_000_000, ["fewer multiply-adds"]),
        (2_000_000, 5_000_000, ["more bytes"]),
        (2_000_000, 90_000, ["fewer bytes"]),
        (10**8, 10**8, ["more multiply-adds", "more bytes"]),
    ],
)
def test_beyond_what_was_measured(multiply_adds, size, doubts):
    found = predict(fit_model(make_files()), [work(CONV, multiply_adds, size), work(ADD, 0, 10**6, 1)])
    expected = [f"{CONV}: {text} than any that was measured (1 of 1 operators, " for text in doubts]
    assert len(found.doubts) == len(expected)
    assert all(doubt.startswith(text) for doubt, text in zip(found.doubts, expected, strict=True))


def test_kinds_that_were_never_measured():
    found = predict(
        fit_model(make_files()), [work("TANH int8", 0, 10, 0), work("TANH int8", 0, 10, 1), work(ADD, 0, 10**6, 2)]
    )
    assert found.doubts == (
        "kinds of operators that were never measured, so that their time is missing: TANH int8 (2)",
    )
    assert found.operators_ms == pytest.approx({2: 3.0})


def test_a_kind_of_one_file_alone_has_no_cross_validation():
    files = make_files()
    files[0] = make_result("a", [conv(10**6, 10**6), ("TANH int8", 0, 100, 1.0), ("PAD int8", 0, 100, None)])
    model = fit_model(files)
    assert [item.predicted_ms is None for item in model.left_out] == [True, False, False]
    assert predict(model, [work(ADD, 0, 10**6)]).coverage == pytest.approx(2 / 3)
    assert model.rules["PAD int8"].predict_ms(work("PAD int8", 0, 100)) == 0.0
    alone = [replace(result, sha256=str(place)) for place, result in enumerate(files[:1] * 2)]
    assert all(item.predicted_ms for item in fit_model(alone).left_out)


@pytest.mark.parametrize(("unmatched_ms", "observations"), [(0.0, 3), (0.1, 2)])
def test_an_operator_without_a_row_takes_no_time_unless_its_row_was_not_found(unmatched_ms, observations):
    files = [
        make_result("a", [add(10**6), (ADD, 0, 10**6, None)], unmatched_ms=unmatched_ms),
        make_result("b", [add(10**5)]),
    ]
    assert fit_model(files).rules[ADD].observations == observations


def test_without_any_cross_validation_there_are_no_error_bars():
    model = fit_model([make_result("a", [add(10)]), make_result("b", [conv(10, 10)])])
    found = predict(model, [work(ADD, 0, 10)])
    assert (found.interval_ms, found.coverage) == (None, None)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "at least 2 files, got 0"),
        (make_files()[:1] * 2, "at least 2 files, got 1"),
        ([make_files()[0], make_result("b", [add(10)], phone="Pixel 8")], r"of one phone and setting, got .*Pixel 8"),
        (
            [make_files()[0], make_result("b", [add(10)], mask="80")],
            "of one phone and setting, got .*cores 08.*cores 80",
        ),
        ([make_files()[0], make_result("b", [add(10)], reasons=("too hot",))], "trustworthy profiles, got b: too hot"),
        ([make_result("a", [(ADD, 0, 1, None)]), make_result("b", [(ADD, 0, 1, None)])], "with times of operators"),
    ],
)
def test_profiles_that_no_model_can_be_fitted_on(results, message):
    with pytest.raises(ModelError, match=message):
        fit_model(results)


def test_a_rule_in_numbers():
    rule = KindRule(ADD, 2e-6, 1e-6, 0.5, 3, (0, 10), (0, 10))
    assert rule.predict_ms(work(ADD, 10**6, 2 * 10**6)) == pytest.approx(4.5)
    assert rule.find_outside(work(ADD, 10, 10)) == ()


def test_rules_that_miss_the_sum_are_set_right_by_the_factor():
    def small(file):  # ten small operators that the large one's rule would make slower than they are
        return make_result(file, [(CONV, 10**8, 1, 10.0), *[(CONV, 10**6, 1, 0.01)] * 10])

    model = fit_model([small("a"), small("b")])
    works = [work(CONV, 10**8, 1), *[work(CONV, 10**6, 1, place) for place in range(1, 11)]]
    assert sum(model.rules[CONV].predict_ms(item) for item in works) > 10.5
    assert predict(model, works).latency_ms == pytest.approx(10.1)


def test_error_bars_hold_only_inside_what_was_measured():
    model = fit_model(make_files())
    beyond = predict(model, [work(CONV, 9 * 10**6, 10**6)])
    assert (beyond.interval_ms is None, beyond.coverage, len(beyond.doubts)) == (False, None, 1)
    lacking = predict(model, [work(CONV, 10**6, 10**6), work("TANH int8", 0, 10**6, 1)])
    assert (lacking.interval_ms, lacking.coverage) == (None, None)


@pytest.mark.parametrize(("large_ones", "doubts"), [(1, 1), (100, 0)])
def test_small_operators_that_take_next_to_nothing_are_no_doubt(large_ones, doubts):
    # 0.27 ms beside 13.5 ms each; the smallest ADD that was measured has 10**5 bytes.
    works = [work(ADD, 0, 90_000), *(work(CONV, 6 * 10**6, 10**6, place) for place in range(1, 1 + large_ones))]
    assert len(predict(fit_model(make_files()), works).doubts) == doubts
