"""The page of profiles."""

from dataclasses import replace

from nasfpn_lite.android_bench.profile_page import make_profile_page, write_profile_page
from nasfpn_lite.android_bench.profile_record import write_profile
from tests.fake_profiles import make_result

WORKS = [("CONV_2D int8", 2_000_000, 100, 3.0), ("ADD int8", 0, 100, 1.0), ("PAD int8", 0, 10, None)]


def test_what_stands_on_it():
    page = make_profile_page([make_result("folder/<a>.tflite", WORKS, overhead_ms=0.5)])
    assert "&lt;a&gt;.tflite on Pixel (S) [nasfpn_runner]" in page
    assert "A run takes 4.50 ms without the profiler; the rows of the profile add up to 4.00 ms, of which" in page
    assert "backbone block 0</text>" in page
    assert "4.000 ms, 100.0%" in page
    assert '<td class="words">CONV_2D int8</td><td>3.000</td><td>75.0%</td><td>2.00</td>' in page
    assert "PAD int8" not in page  # it has no time of its own
    assert "in no layer surely" not in page
    assert "simulated" not in page


def test_doubts_and_simulated_phones_show():
    result = make_result("a.tflite", WORKS, unmatched_ms=4.0, reasons=("too hot",))
    result = replace(
        result,
        phone=replace(result.phone, simulated=True, notes=("charging",)),
        how=replace(result.how, accepted=("busy",)),
    )
    page = make_profile_page([result, make_result("b.tflite", WORKS)])
    assert '<p class="note warning">Not trustworthy: too hot</p>' in page
    assert "in spite of these doubts, if they came up: busy" in page and "charging" in page
    assert "[nasfpn_runner, simulated]" in page
    assert "This is a simulated phone" in page
    assert "4.000 ms, 50.0%" in page and "in no layer surely" in page
    assert page.count("<section>") == 2


def test_a_file_that_does_not_tell_its_network():
    known = make_result("a.tflite", WORKS)
    layers = tuple(replace(layer, part="operators", name="CONV_2D") for layer in known.profile.layers)
    page = make_profile_page([replace(known, profile=replace(known.profile, layers=layers))])
    assert "<h3>Time by kind of operator</h3>" in page
    assert "by part of the network" not in page
    assert "<h3>Time by part of the network</h3>" in make_profile_page([known])


def test_the_page_shows_all_profiles_of_the_folder(tmp_path):
    for number, name in enumerate(("old", "new")):
        result = make_result(f"{name}.tflite", WORKS)
        origin = replace(result.origin, finished=f"2026-01-31T12:0{number}:00Z")
        write_profile(tmp_path / f"{name}.json", replace(result, origin=origin))
    page = write_profile_page(tmp_path).read_text()
    assert page.index("<h2>new.tflite") < page.index("<h2>old.tflite")
