"""Three programs on one file: what agrees, what does not, and that each of them really measures."""

import json
import os

import pytest

from nasfpn_lite.android_bench import cross_check
from nasfpn_lite.android_bench.cross_check import (
    Agreement,
    Amount,
    CrossCheckError,
    by_bench,
    by_litert,
    by_own_runner,
    check,
    choose_amount,
    pin_to_core,
)
from tests.own_runner import build_own_runner
from tests.tiny_tflite import make_tiny_tflite

AMOUNT = Amount(5, 1, 0.01)


def constant(*times):
    left = list(times)
    return lambda file, amount: left.pop(0)


def test_ratios_are_paired_by_round(tmp_path):
    # A slow second round, 2 x for both, leaves the ratio alone.
    found = check(tmp_path / "a.tflite", 3, {"a": constant(9.0, 1.0, 2.0, 1.0), "b": constant(1.04, 2.08, 1.04)})
    # The first is only to see how long a run takes.
    assert found.rounds_ms == {"a": [1.0, 2.0, 1.0], "b": [1.04, 2.08, 1.04]}
    (pair,) = found.agreements
    assert (pair.first, pair.second) == ("a", "b")
    assert pair.ratio == pytest.approx(1 / 1.04)
    assert pair.verdict == "yes"


def test_all_get_the_same_amount_on_one_core_and_each_is_first_in_its_turn(tmp_path):
    seen = []

    def make(name):
        return lambda file, amount: seen.append((name, amount, os.sched_getaffinity(0))) or 10.0

    found = check(tmp_path / "a.tflite", 4, {name: make(name) for name in "abc"})
    assert "".join(name for name, *_ in seen) == "a" + "abc" + "bca" + "cab" + "abc"
    assert {amount for _, amount, _ in seen[1:]} == {Amount(50, 30, 0.5)} == {found.amount}
    assert {frozenset(cores) for *_, cores in seen} == {frozenset([found.core])}


@pytest.mark.parametrize(("latency_ms", "amount"), [(10.0, Amount(50, 30, 0.5)), (100.0, Amount(11, 3, 1.1))])
def test_amounts(latency_ms, amount):
    assert choose_amount(latency_ms) == amount  # 0.5 s, but at least 11 runs; the warm-up 0.3 s


def test_the_core_is_given_back():
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError), pin_to_core() as core:
        assert os.sched_getaffinity(0) == {core} == {max(before)}
        raise RuntimeError
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((1.0, 1.0), "yes"),
        ((0.953, 1.049), "yes"),
        ((0.953, 1.051), "unclear"),
        ((0.951, 1.0), "unclear"),
        ((0.9, 1.1), "unclear"),
        ((1.051, 1.2), "NO"),
        ((0.8, 0.951), "NO"),
    ],
)
def test_five_percent_either_way(interval, verdict):
    assert Agreement("a", "b", 1.0, interval).verdict == verdict


def test_exit_code_and_file(tmp_path, monkeypatch, capsys):
    model = tmp_path / "a.tflite"
    model.write_bytes(b"x")
    for name, ms in (("by_own_runner", 1.0), ("by_litert", 1.01), ("by_bench", 1.2)):
        monkeypatch.setattr(cross_check, name, lambda file, amount, ms=ms: ms)
    output = tmp_path / "r.json"
    assert cross_check.main([str(model), "--rounds", "2", "-o", str(output)]) == 1
    assert "NO" in capsys.readouterr().out
    data = json.loads(output.read_text())
    assert data["rounds_ms"]["nasfpn-lite bench"] == [1.2, 1.2]
    monkeypatch.setattr(cross_check, "by_bench", lambda file, amount: 1.03)
    assert cross_check.main([str(model), "--rounds", "2"]) == 0


def test_a_missing_file_is_named(tmp_path, capsys):
    assert cross_check.main([str(tmp_path / "none.tflite")]) == 2
    assert "none.tflite" in capsys.readouterr().err


def test_each_program_measures(tmp_path):
    build_own_runner("x86_64")
    file = tmp_path / "tiny.tflite"
    file.write_bytes(make_tiny_tflite())
    assert all(0 < way(file, AMOUNT) < 1000 for way in (by_own_runner, by_bench))
    with pytest.raises(CrossCheckError, match="rounds to 0.01"):  # its own measurement went well: the file is too small
        by_litert(file, AMOUNT)


def test_a_program_that_fails_is_an_error(tmp_path):
    file = tmp_path / "broken.tflite"
    file.write_bytes(b"no model")
    with pytest.raises(CrossCheckError, match="exit code"):
        by_litert(file, AMOUNT)
