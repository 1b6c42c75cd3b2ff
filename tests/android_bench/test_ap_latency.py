"""AP against latency per phone: which points are drawn, under which names, and what is said of the others."""

import json
from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.ap_claims import Claim
from nasfpn_lite.android_bench.ap_latency import match, read_sessions, render_ap_latency
from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.record_files import write_record
from nasfpn_lite.android_bench.session_options import SessionError
from tests.fake_measured_phone import make_result

BASE = [10.0, 10.2, 9.9, 10.1, 10.0, 10.3]
RESULT = make_result(BASE, [2 * value for value in BASE])
CLAIMS = [Claim(f"{name}.tflite", None, None, ap, "bccd test", "e.json") for name, ap in (("a", 0.25), ("b", 0.26))]


def on(serial, result=RESULT, **changes):
    return replace(result, phone=replace(result.phone, serial=serial, **changes))


def test_own_and_published_points():
    page = render_ap_latency([RESULT], CLAIMS)
    assert page.count("<svg viewBox") == 4  # all, the phone alone, two entries of the legend
    assert page.count('class="published"') == 11 + 1
    assert page.count('class="dot series0"') == 2 + 2 + 1
    assert "published: Pixel 1, COCO val2017" in page
    assert '<td>10.05</td><td>9.90 to 10.30</td><td class="words">bccd test: e.json (same name)</td>' in page


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_phones_are_called_so(simulated):
    page = render_ap_latency([on("A", simulated=simulated)], CLAIMS)
    assert ("a (simulated)</text>" in page) == simulated
    assert ("nothing about any phone" in page) == simulated


def test_doubts_that_were_put_aside_are_named_once_per_phone():
    accepted = replace(RESULT, how=replace(RESULT.how, accepted=("busy",)))
    assert (
        render_ap_latency([accepted], CLAIMS).count("Pixel (FAKE0001, simulated): Figures are given in spite of") == 1
    )
    assert "in spite of" not in render_ap_latency([RESULT], CLAIMS)
    assert "in spite of" not in render_ap_latency([accepted], [])  # nothing of it is drawn


def test_each_phone_has_a_series_and_a_chart():
    page = render_ap_latency([on("A"), on("B")], CLAIMS)
    assert page.count("<h3>") == 2
    assert page.count('class="dot series1"') == 2 + 2 + 1


def test_files_without_ap_and_without_latency_are_named():
    page = render_ap_latency([make_result(BASE, reasons=["hot"])], CLAIMS[:1])
    assert "not trustworthy: a.tflite on Pixel (FAKE0001, simulated)." in page
    assert page.count('class="dot') == 1  # in the legend
    page = render_ap_latency([RESULT], CLAIMS[:1])
    assert "no AP of them is recorded: b.tflite. `nasfpn-lite eval" in page


def test_a_name_that_two_files_have_tells_nothing():
    other = replace(RESULT, files=tuple(replace(file, sha256="f" * 64) for file in RESULT.files))
    assert "no AP of them is recorded: a.tflite, b.tflite." in render_ap_latency([RESULT, on("B", other)], CLAIMS)


def test_of_what_was_measured_again_only_the_latest_counts():
    old = replace(RESULT, origin=replace(RESULT.origin, finished="2025-01-01T00:00:00Z"))
    assert [item.result for item in match([old, RESULT], [])] == [RESULT, RESULT]  # two files
    assert len(match([old, on("B")], [])) == 4
    assert len(match([old, replace(RESULT, how=replace(RESULT.how, threads=2))], [])) == 4
    alone = make_result(BASE, reasons=["hot"])
    assert [item.result for item in match([old, alone], [])] == [alone, old]  # b was not measured again


def test_sessions_are_read_oldest_first(tmp_path):
    old = replace(RESULT, origin=replace(RESULT.origin, finished="2025-01-01T00:00:00Z"))
    write_record(tmp_path / "a.json", RESULT)
    write_record(tmp_path / "b.json", old)
    assert read_sessions([tmp_path]) == (old, RESULT)


def test_sessions_are_read_from_folders_with_other_files_in_them(tmp_path):
    write_record(tmp_path / "a.json", RESULT)
    (tmp_path / "ap.json").write_text(json.dumps({"AP": 0.5}))
    assert read_sessions([tmp_path]) == (RESULT,)
    assert read_sessions([tmp_path / "a.json"]) == (RESULT,)
    with pytest.raises(RecordError, match="expected nasfpn-lite/android-bench"):
        read_sessions([tmp_path / "ap.json"])
    (tmp_path / "cut.json").write_text('{"schema": ')
    with pytest.raises(RecordError, match="no JSON"):
        read_sessions([tmp_path])


def test_a_folder_without_sessions(tmp_path):
    with pytest.raises(SessionError, match="expected JSON of `android bench` without --sustained in .*, got none"):
        read_sessions([tmp_path])


def test_ap_far_from_the_published_one_leaves_labels_to_the_other_charts():
    near = render_ap_latency([RESULT], CLAIMS)
    far = render_ap_latency([RESULT], [replace(claim, ap=claim.ap + 0.3) for claim in CLAIMS])
    assert far.count("<h3>") == near.count("<h3>") + 1
    assert (near.count(">a (simulated)</text>"), far.count(">a (simulated)</text>")) == (2, 1)
    assert far.count(">NAS-FPNLite 7@64</text>") == 1
    assert far.count('class="published"') == 2 * 11 + 1
