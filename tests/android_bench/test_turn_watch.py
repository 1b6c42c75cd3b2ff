"""What samples of a turn say, by hand; the sampling itself, in this machine's sh, on a tree of files."""

import subprocess

import pytest

from nasfpn_lite.android_bench import turn_watch
from nasfpn_lite.android_bench.topology import CPU_FOLDER
from nasfpn_lite.android_bench.turn_watch import (
    TurnWatch,
    find_gaps,
    find_watch_doubts,
    make_watch_command,
    parse_watch,
)

TEXT = """hardware 6 2000000
hardware 7 2000000
sample
clock 6 500000 2000000
clock 7 1000000 2000000
mask ff
sample
clock 6 500000 2000000
clock 7 2000000 1500000
mask 00000000,000000c0
sample
clock 6 - -
clock 7 1900000 2000000
mask c0
sample
clock 6 1
"""
FINE = TurnWatch(6, 0.3, 1.0, 1.0, ("80",))


def doubts_of(watch, *, simulated=False):
    return [(doubt.code, doubt.text) for doubt in find_watch_doubts("a", watch, (7,), simulated=simulated)]


def test_shares_are_of_the_fastest_chosen_core():
    assert parse_watch(TEXT) == TurnWatch(4, 0.5, 0.95, 0.75, ("ff", "c0"))


@pytest.mark.parametrize(
    "text",
    ["sample\nclock 7 1000 1000\n", "hardware 7 -\nsample\nclock 7 1 1\n", "hardware 7 9\nsample\nclock 7 - -\n"],
)
def test_what_is_unreadable_is_unknown(text):
    watch = parse_watch(text)
    assert watch == TurnWatch(1, None, None, None, ())
    assert doubts_of(watch) == []
    assert len(find_gaps([FINE, watch])) == 2


def test_nothing_at_all_is_unknown():
    assert parse_watch("").samples == 0
    assert doubts_of(None) == []
    assert len(find_gaps([None])) == 2
    assert find_gaps([FINE]) == ()


def test_a_fine_turn_has_no_doubts():
    assert doubts_of(FINE) == []


def test_a_lowered_cap():
    ((code, text),) = doubts_of(TurnWatch(6, 0.5, 0.5, 0.5, ("80",)))
    assert (code, text) == ("capped", "a: throttled during the run: the cores might run at 50% of their clock only")


def test_a_low_clock_under_a_high_cap():
    assert [code for code, _ in doubts_of(TurnWatch(3, 0.3, 0.79, 1.0, ("80",)))] == ["slow_clock"]
    assert doubts_of(TurnWatch(3, 0.3, 0.81, 1.0, ("80",))) == []
    assert doubts_of(TurnWatch(2, 0.3, 0.3, 1.0, ("80",))) == []  # the clock may be on its way up
    assert [code for code, _ in doubts_of(TurnWatch(3, 0.3, 0.5, None, ("80",)))] == ["slow_clock"]


def test_other_cores_than_asked_for():
    moved = TurnWatch(6, 1.0, 1.0, 1.0, ("80", "0f"))
    assert doubts_of(moved) == [("moved", "a: the runner might use the cores 0f, not 80 as was asked")]
    assert doubts_of(moved, simulated=True) == []


def test_sampling_goes_to_a_core_that_is_not_measured():
    assert make_watch_command((6, 7), range(8), "out")[:2] == ["taskset", "01"]
    assert make_watch_command((0, 1), (0, 1, 3), "out")[:2] == ["taskset", "08"]
    assert make_watch_command((0, 1), (0, 1), "out")[0] == "sh"


def test_the_sampling_itself(tmp_path, monkeypatch):
    clock = tmp_path / "cpu7/cpufreq"
    clock.mkdir(parents=True)
    for name, khz in {"cpuinfo_max_freq": 2000, "scaling_cur_freq": 1000, "scaling_max_freq": 1500}.items():
        (clock / name).write_text(f"{khz}\n")
    monkeypatch.setattr(turn_watch, "_LOOP", turn_watch._LOOP.replace(CPU_FOLDER, str(tmp_path)))
    words = make_watch_command((7, 9), (7, 9), str(tmp_path / "out"))
    with subprocess.Popen(["sleep", "0.4"]) as runner:
        sampling = subprocess.Popen([*words, str(runner.pid)], stderr=subprocess.DEVNULL)
        runner.wait()
    assert sampling.wait(timeout=5) == 0  # ends by itself
    watch = parse_watch((tmp_path / "out").read_text())
    assert (watch.clock_share_lowest, watch.allowed_share_lowest) == (0.5, 0.75)
    assert 1 <= watch.samples <= 3
    assert len(watch.masks) == 1
