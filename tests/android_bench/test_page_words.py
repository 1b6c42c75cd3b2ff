"""Words for phones, figures and how they came about."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.page_words import (
    describe_accepted,
    describe_how,
    describe_trust,
    describe_verdict,
    format_memory,
    format_ms,
    label_runner,
    name_phone,
    to_words,
)
from nasfpn_lite.android_bench.session import how_measured
from nasfpn_lite.android_bench.session_options import SessionOptions
from tests.fake_measured_phone import make_result

RESULT = make_result([10.0, 10.2, 9.9, 10.1, 10.0, 10.3])


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


def test_a_runner_on_a_simulated_phone():
    assert label_runner(RESULT.phone, "r") == "r, simulated"
    assert label_runner(replace(RESULT.phone, simulated=False), "r") == "r"


def test_accepted_doubts():
    assert describe_accepted(RESULT.how) == []
    assert describe_accepted(replace(RESULT.how, accepted=("busy", "spread")))[0].endswith("came up: busy, spread")


def test_a_verdict_tells_what_it_was_bought_with():
    bought = replace(RESULT.how, accepted=("spread", "busy"))
    words = "trustworthy but for what was accepted: spread, busy"
    assert describe_verdict("trustworthy", bought) == words
    assert describe_verdict("not trustworthy", bought) == "not trustworthy"
    assert describe_verdict("trustworthy", RESULT.how) == "trustworthy"
    assert describe_trust("trustworthy", bought) == [f"figures are {words}"]
    assert describe_trust("trustworthy", RESULT.how) == describe_trust("not trustworthy", bought) == []


def test_time():
    assert to_words("2026-01-31T12:00:00Z") == "2026-01-31 12:00:00 UTC"
