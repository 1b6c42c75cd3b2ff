"""The page of a session: what stands beside each figure, and what stands in place of one."""

import re
from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.record_files import write_record
from nasfpn_lite.android_bench.records import Coverage, DiscardedRound
from nasfpn_lite.android_bench.session_page import make_page, write_page
from tests.fake_measured_phone import make_result
from tests.fake_sustained import make_sustained

BASE = [10.0, 10.2, 9.9, 10.1, 10.0, 10.3]
RESULT = make_result(BASE, [value / 1.1 for value in BASE], arithmetics=["float", "int8"])


def test_figures_stand_beside_their_runner():
    page = make_page([RESULT])
    assert "Latency per file [benchmark_model, simulated]" in page
    assert ">10.05 ms<" in page
    assert '<td class="words">benchmark_model, simulated</td><td class="words">trustworthy</td>' in page
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
    assert '<th scope="row">battery, °C</th><td class="words">28.4</td><td class="words">28.4</td>' in page
    assert '<th scope="row">allowed MHz</th><td class="words">1593.6, 2150.4</td>' in page
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
    assert labels[0] == "y" * 10 + "…" + "y" * 6 + "_int8"
    assert len(labels[0]) == 22


def test_what_nobody_may_overlook():
    page = make_page([make_result(BASE, reasons=["too hot"])])
    assert '<p class="note warning">Not trustworthy: too hot</p>' in page
    assert "warning" not in make_page([make_result(BASE)]).split("</style>")[1]


def test_files_in_doubt_and_doubts_that_were_put_aside():
    doubtful = make_result(BASE, [10.0, 12.0, 14.0, 9.0, 8.0, 13.0])
    page = make_page([doubtful])
    assert '<p class="note warning">Not trustworthy: b.tflite; the verdicts below say why.</p>' in page
    assert "in spite of" not in page
    page = make_page([replace(RESULT, how=replace(RESULT.how, accepted=("spread", "busy")))])
    assert "Figures are given in spite of these doubts, if they came up: spread, busy" in page


def test_a_verdict_names_what_it_was_bought_with():
    words = '<td class="text">trustworthy but for what was accepted: spread</td>'
    assert words not in make_page([RESULT])
    assert words in make_page([replace(RESULT, how=replace(RESULT.how, accepted=("spread",)))])


def test_the_latest_comes_first(tmp_path):
    for number, serial in enumerate(("OLD", "NEW")):
        origin = replace(RESULT.origin, finished=f"2026-01-31T12:0{number}:00Z")
        write_record(
            tmp_path / f"{serial}.json", replace(RESULT, phone=replace(RESULT.phone, serial=serial), origin=origin)
        )
    page = write_page(tmp_path).read_text()
    assert page.index("<h2>Pixel (NEW") < page.index("<h2>Pixel (OLD")


def test_number_type_and_the_winner():
    page = make_page([RESULT])
    assert '<th scope="row">b.tflite</th><td class="words">int8</td>' in page
    assert '<td class="words">second, 1.10 times</td>' in page


def test_no_difference_is_told_in_words():
    page = make_page([make_result(BASE, BASE)])
    assert '<td>1.000</td><td>1.000 to 1.000</td><td class="words">no difference shown</td>' in page


def test_several_phones_and_kinds_on_one_page():
    page = make_page([RESULT, make_sustained(), replace(RESULT, phone=replace(RESULT.phone, serial="B"))])
    assert page.count("<section>") == 3
    assert 'class="subtitle">Pixel (FAKE0001, simulated), Pixel (B, simulated)<' in page
