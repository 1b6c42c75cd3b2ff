"""Figures of a file, and the reasons not to give them."""

from dataclasses import replace
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.figures import find_spread, summarize
from nasfpn_lite.android_bench.model_files import ModelFile
from tests.fake_measured_phone import make_turn

FILE = ModelFile(Path("a.tflite"), "a.tflite", "00ff", 3_000_000, "int8", 1_000_000)
STEADY = [make_turn(value) for value in (10.0, 10.1, 10.2, 10.3, 10.4, 10.5)]
WILD = [make_turn(value) for value in (10.0, 10.0, 10.0, 10.0, 10.0, 11.1)]


def figures(turns, reasons=(), accepted=()):
    return summarize(FILE, turns, runner="nasfpn_runner", reasons=reasons, coverage=None, accepted=accepted)


def test_steady_rounds():
    result = figures(STEADY)
    assert (result.verdict, result.reasons, result.runner) == ("trustworthy", (), "nasfpn_runner")
    assert result.latency_ms_p50 == pytest.approx(10.25)
    assert result.latency_ms_ci == (10.0, 10.5)
    assert result.ci_coverage == pytest.approx(0.96875)  # 1 - 2 / 2**6
    assert result.latency_ms_p90 == pytest.approx(10.45)  # halfway between the 5th and the 6th
    assert (result.init_ms, result.peak_memory_bytes, result.memory_growth_bytes) == (3.0, 20_000_000, 18_000_000)


def test_p90_of_the_runs_where_they_are_known():
    assert figures(STEADY).p90_of == "rounds"
    known = [replace(turn, latency_ms_p90=12.0 + i) for i, turn in enumerate(STEADY)]
    assert (figures(known).latency_ms_p90, figures(known).p90_of) == (14.5, "runs")
    assert figures([STEADY[0], *known[1:]]).p90_of == "rounds"


def test_five_rounds_cover_less_than_95_percent():
    assert figures(STEADY[:5]).ci_coverage == pytest.approx(0.9375)


def test_too_few_rounds_are_no_figure():
    result = figures(STEADY[:4])
    assert result.latency_ms_p50 is None
    assert result.reasons == ("only 4 of at least 5 rounds were measured",)


def test_rounds_that_differ_are_no_figure_unless_accepted():
    result = figures(WILD)
    assert (result.verdict, result.latency_ms_p50, result.latency_ms_ci) == ("not trustworthy", None, None)
    assert "11% of the median wide, more than 10%" in result.reasons[0]
    assert figures(WILD, accepted=("spread",)).latency_ms_p50 == 10.0
    assert figures(WILD, accepted=("busy",)).latency_ms_p50 is None


def test_a_session_that_is_not_trustworthy_has_no_figures():
    result = figures(STEADY, reasons=("it throttled",))
    assert result.latency_ms_p50 is result.latency_ms_p90 is result.init_ms is result.peak_memory_bytes is None
    assert result.reasons == ("it throttled",)


def test_the_bound_of_the_spread():
    assert find_spread([make_turn(value) for value in (10.0, 10.0, 10.0, 10.0, 10.0, 11.0)]) == []
    assert find_spread([]) == ["only 0 of at least 5 rounds were measured"]


def test_memory_is_the_largest_that_is_known():
    turns = [make_turn(10.0, peak_memory_bytes=None, init_ms=None) for _ in range(5)]
    assert figures(turns).peak_memory_bytes is figures(turns).init_ms is None
    assert figures([*turns, make_turn(10.0, peak_memory_bytes=7, init_ms=2.0)]).peak_memory_bytes == 7
