"""What a conversion tells of its steps, and who is shown it."""

import contextlib
import sys

import pytest

from nasfpn_lite.converters.progress import NETWORK, RANGES, START, Steps, open_display, plan_steps, read_line, shown


def target(recipe: str, *stages: str) -> dict:
    return {"recipe": recipe, "form": "raw", "path": "x", "float_stages": stages}


def test_steps_are_those_that_the_targets_need():
    float_steps = [START, NETWORK, "float32: export", "float32: convert", "float32: write"]
    assert list(plan_steps([target("float32")], 100)) == float_steps
    both = plan_steps([target("float32"), target("static_wi8_ai8")], 100)
    int8 = [f"static_wi8_ai8: {step}" for step in ("export", "convert", "write")]
    assert list(both) == [START, NETWORK, RANGES, *float_steps[2:], *int8]
    assert list(plan_steps([target("static_wi8_ai8")], 100, measured=True)) == [START, NETWORK, *int8]
    assert RANGES not in plan_steps([target("qat_wi8_ai8")], 0)
    assert RANGES not in plan_steps([target("static_wi8_ai16")], 100)  # TensorFlow's converter measures those


def test_images_and_sets_of_stages_cost():
    few, many = (plan_steps([target("static_wi8_ai8")], images)[RANGES] for images in (0, 100))
    assert many > 2 * few > 0
    sets = [target("selective_wi8_ai8", "a"), target("selective_wi8_ai8", "b"), target("selective_wi8_ai8", "b")]
    once, twice = plan_steps(sets[:1], 8), plan_steps(sets, 8)
    assert twice["selective_wi8_ai8: convert"] == 2 * once["selective_wi8_ai8: convert"]


def test_lines_carry_text_and_share(capsys):
    steps = Steps({"first": 1.0, "second": 2.0, "third": 1.0})
    steps.begin("first")
    steps.begin("second", 50, 100)
    steps.begin("unplanned")
    steps.begin("third")
    lines = capsys.readouterr().out.splitlines(keepends=True)
    told = [("first", 0.0), ("second, 50 of 100 images", 0.5), ("third", 0.75)]
    assert [read_line(line) for line in lines] == told
    assert read_line("2026 TensorFlow says\tsomething\n") is None


def test_only_who_asks_is_told():
    told: list[tuple[str, float]] = []

    def tell() -> None:
        with open_display() as report:
            report("first", 0.5)

    with shown(lambda: contextlib.nullcontext(lambda *step: told.append(step))):
        tell()
    tell()
    assert told == [("first", 0.5)]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_for_terminals(monkeypatch, capsys, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with shown(), open_display() as report:
        report("export", 0.5)
    said = capsys.readouterr()
    assert said.out == ""
    assert ("converting: export" in said.err) is terminal
