"""The page of a session: what stands beside each figure, and what stands in place of one."""

import re
from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.records import Coverage, DiscardedRound
from nasfpn_lite.android_bench.session import how_measured
from nasfpn_lite.android_bench.session_options import SessionOptions
from nasfpn_lite.android_bench.session_page import (
    describe_how,
    describe_ranking,
    format_memory,
    format_ms,
    make_page,
    name_phone,
    shorten,
)
from nasfpn_lite.android_bench.sustained_record import Cycle, Drift, Ranking, SustainedResult
from tests.fake_measured_phone import make_conditions, make_result

BASE = [10.0, 10.2, 9.9, 10.1, 10.0, 10.3]
RESULT = make_result(BASE, [value / 1.1 for value in BASE], arithmetics=["float", "int8"])


def make_sustained(order="changed", files=2) -> SustainedResult:
    names = tuple(f"{name}.tflite" for name in "abcdef"[:files])
    return SustainedResult(
        schema="nasfpn-lite/android-sustained",
        version=1,
        origin=RESULT.origin,
        phone=RESULT.phone,
        how=RESULT.how,
        minutes=2.0,
        verdict="trustworthy",
        reasons=(),
        files=tuple(Drift(name, "00", "benchmark_model", 10.0, 15.0, 1.5) for name in names),
        cycles=tuple(Cycle(float(i), (10.0 + i,) * files, i, 30.0) for i in (1, 2)),
        ranking=Ranking(order, names, names[::-1], ((names[-1], names[0]),) if order == "changed" else (), (6, 6)),
        before=make_conditions(),
        after=make_conditions(thermal_status=2),
    )


def test_figures_stand_beside_their_runner():
    page = make_page([RESULT])
    assert "10.05 ms, benchmark_model, simulated" in page
    assert "<td>benchmark_model, simulated</td><td>trustworthy</td>" in page
    assert "<td>9.90 to 10.30 (96.9%)</td><td>10.25 (of rounds)</td>" in page
    assert "[benchmark_model, simulated]" in page  # beside the ratio
    assert "b.tflite (int8) is only 1.10 times as fast" in page


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_phone_is_called_so(simulated):
    page = make_page([make_result(BASE, simulated=simulated)])
    assert ("simulated phone: its figures show that the harness works" in page) == simulated
    assert ("simulated" in page) == simulated


def test_reasons_stand_where_figures_would():
    page = make_page([make_result(BASE, reasons=["it throttled < often"])])
    assert "Not trustworthy: it throttled &lt; often" in page
    assert "10.05" not in page
    assert "<rect" not in page


def test_discarded_rounds_conditions_and_versions():
    result = replace(RESULT, discarded=(DiscardedRound(3, 1, ("the governor changed",)),))
    page = make_page([result])
    assert "Round 3, attempt 1, was discarded: the governor changed" in page
    assert '<th scope="row">battery, °C</th><td>28.4</td><td>28.4</td>' in page
    assert '<th scope="row">allowed MHz</th><td>1593.6, 2150.4</td>' in page
    assert "adb 29.0.6-debian" in page
    assert "the phone was charging" in page


def test_coverage_is_shown():
    covered = replace(RESULT.files[0], coverage=Coverage(("XNNPACK",), 10, 9, 1, 0.9, "90.0% (9 of 10) in XNNPACK"))
    assert "90.0% (9 of 10) in XNNPACK" in make_page([replace(RESULT, files=(covered, RESULT.files[1]))])


def test_hostile_texts_are_only_text():
    evil = "<script>alert('x')</script>"
    result = replace(
        RESULT,
        phone=replace(RESULT.phone, serial=evil, model=evil, fingerprint=evil, notes=(evil,)),
        files=tuple(replace(file, file=f"{evil}.tflite", runner=evil) for file in RESULT.files),
    )
    assert "<script>" not in make_page([result, replace(make_sustained(), phone=result.phone)])


def test_long_names_are_cut_in_the_middle():
    result = replace(RESULT, files=(replace(RESULT.files[0], file=f"x/{'y' * 40}_int8.tflite"), RESULT.files[1]))
    labels = re.findall(r'class="label end">([^<]*)<', make_page([result]))
    assert labels[0] == "y" * 12 + "…" + "y" * 8 + "_int8"
    assert len(labels[0]) == 26


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["p/net_3x48_float32.tflite", "p/net_3x48_wi8_ai8.tflite"], ["float32", "wi8_ai8"]),
        (["p/net_3x48.tflite"], ["net_3x48"]),
        (["p/net_3x48.tflite", "q/net_3x48.tflite"], ["net_3x48", "net_3x48"]),
        (["float16.tflite", "float32.tflite"], ["float16", "float32"]),
    ],
)
def test_names_lose_what_all_of_them_begin_with(names, labels):
    assert shorten(names) == labels


def test_what_nobody_may_overlook():
    page = make_page([make_result(BASE, reasons=["too hot"])])
    assert '<p class="note warning">Not trustworthy: too hot</p>' in page
    assert "warning" not in make_page([make_result(BASE)]).split("</style>")[1]


def test_no_difference_is_told_in_words():
    page = make_page([make_result(BASE, BASE)])
    assert "<td>1.000</td><td>1.000 to 1.000</td><td>no difference shown</td>" in page


def test_several_phones_and_kinds_on_one_page():
    page = make_page([RESULT, make_sustained(), replace(RESULT, phone=replace(RESULT.phone, serial="B"))])
    assert page.count("<section>") == 3
    assert 'class="subtitle">Pixel (FAKE0001, simulated), Pixel (B, simulated)<' in page


def test_sustained_curve_and_ranking():
    page = make_page([make_sustained()])
    assert "Latency in ms over time [benchmark_model, simulated]" in page
    assert page.count('class="line series') == 4  # two curves, two entries of the legend
    assert "<td>10.00</td><td>15.00</td><td>1.50</td>" in page
    assert (
        "The ranking at the end is not the ranking at the start: b.tflite is faster than a.tflite only in the end."
        in page
    )


def test_more_curves_than_one_chart_can_tell_apart():
    assert make_page([make_sustained(files=5)]).count("<svg") == 2


@pytest.mark.parametrize(
    ("order", "text"),
    [("the same", "is the ranking at the start: b.tflite, a.tflite."), ("not shown", "is not shown: too few turns")],
)
def test_other_rankings(order, text):
    assert text in describe_ranking(make_sustained(order))[0]


def test_one_file_has_no_ranking():
    assert describe_ranking(make_sustained("the same", files=1)) == []


@pytest.mark.parametrize(
    ("value_ms", "text"), [(123.456, "123.46"), (1.0, "1.00"), (0.98765, "0.988"), (0.2, "0.200"), (0.00412, "0.00412")]
)
def test_milliseconds(value_ms, text):
    assert format_ms(value_ms) == text


@pytest.mark.parametrize(
    ("peak", "growth", "text"), [(20_000_000, 18_000_000, "20.0"), (None, 18_000_000, "+18.0"), (None, None, "–")]
)
def test_memory(peak, growth, text):
    assert format_memory(replace(RESULT.files[0], peak_memory_bytes=peak, memory_growth_bytes=growth)) == text


def test_names():
    assert name_phone(replace(RESULT.phone, simulated=False)) == "Pixel (FAKE0001)"
    assert name_phone(replace(RESULT.phone, model=None)) == "unknown phone (FAKE0001, simulated)"
    how = how_measured("nasfpn_runner", SessionOptions(threads=4, cores="all", xnnpack=None))
    assert describe_how(replace(RESULT.phone, cores="all", mask="0f"), how) == (
        "nasfpn_runner, 4 threads on cores all (mask 0f), XNNPACK as the runner has it, 50 runs a turn"
    )
