"""Curves, heat and ranking of sustained runs."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.session_page import make_page
from nasfpn_lite.android_bench.sustained_page import describe_ranking, render_curves
from nasfpn_lite.android_bench.sustained_record import Cycle
from tests.fake_sustained import make_sustained


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
    [
        ("the same", "is the ranking at the start: b.tflite, a.tflite (fastest first)."),
        ("not shown", "is not shown: too few turns"),
    ],
)
def test_other_rankings(order, text):
    assert text in describe_ranking(make_sustained(order))[0]


def test_one_file_has_no_ranking():
    assert describe_ranking(make_sustained("the same", files=1)) == []


def test_curves_of_a_run_that_was_cut_short():
    cut = replace(
        make_sustained(), verdict="not trustworthy", reasons=("cut",), files=(), ranking=None, names=("a.tflite", "b")
    )
    page = make_page([cut])
    assert "Not trustworthy: cut" in page
    assert "Latency in ms over time, not trustworthy [benchmark_model, simulated]" in page
    assert page.count('class="line series') == 4
    assert ">a</text>" in page
    assert render_curves(replace(cut, names=())).count('class="line series') == 4  # older records
    assert render_curves(replace(cut, cycles=())) == ""


def test_all_charts_have_the_same_scale():
    result = make_sustained(files=4)
    cycles = (Cycle(1.0, (1.0, 1.0, 1.0, 100.0), 0, 30.0), Cycle(2.0, (1.0, 1.0, 1.0, 100.0), 0, 30.0))
    page = render_curves(replace(result, cycles=cycles))
    assert page.count(">100</text>") == 2


@pytest.mark.parametrize(
    ("cycles", "text"),
    [
        (
            [(0, 30.0), (2, 41.5), (1, 40.0)],
            "at first, 41.5 °C at most; thermal status: 2 at",
        ),
        ([(None, 30.0), (None, None)], "Skin or battery: 30 °C at first, 30 °C at most</p>"),
        ([(None, None)], "</svg>"),
    ],
)
def test_heat(cycles, text):
    result = make_sustained(files=1)
    page = render_curves(replace(result, cycles=tuple(Cycle(1.0, (5.0,), *item) for item in cycles)))
    assert text in page
    assert page.endswith("</p>") == ("at first" in text)
