"""The drift curve as a picture."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from nasfpn_lite.converters.parity import Parity, StageParity
from nasfpn_lite.converters.parity_chart import draw_drift
from nasfpn_lite.converters.parity_stages import Stage

SVG = "{http://www.w3.org/2000/svg}"


def make_parity(*values: float | None) -> Parity:
    parts = ("backbone", "pyramid 1", "head P3")
    stages = tuple(
        StageParity(Stage(f"s{i}", "cell", parts[i % 3], f"cell {i} <&>"), value, 0.1, None, 10.0)
        for i, value in enumerate(values)
    )
    return Parity("static_wi8_ai8", 8, stages)


def draw(parity: Parity) -> ET.Element:
    return ET.fromstring(draw_drift(parity, title="a <file> & a run"))


def points(svg: ET.Element, style: str) -> list[list[tuple[float, float]]]:
    paths = [path.get("d", "") for path in svg.iter(f"{SVG}path") if path.get("class") == style]
    return [[(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)] for path in paths if "L" in path]


def test_a_point_for_every_stage_at_its_height():
    svg = draw(make_parity(40.0, 20.0, 30.0))
    assert svg.tag == f"{SVG}svg"
    (curve,) = points(svg, "curve")
    assert len(curve) == len(list(svg.iter(f"{SVG}circle"))) == 3
    heights = [y for _, y in curve]
    # 0 dB stands at 350, 40 dB at 66: 7.1 pixels a decibel
    assert heights == pytest.approx([66.0, 208.0, 137.0], abs=0.1)
    (asked,) = points(svg, "asked")
    assert {y for _, y in asked} == {279.0}
    texts = ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]
    assert {"a <file> & a run", "backbone", "pyramid 1", "head P3", "0", "40"} <= set(texts)


def test_what_is_outside_is_red_and_the_first_is_named():
    svg = draw(make_parity(40.0, 9.0, 8.0))
    assert [circle.get("class") for circle in svg.iter(f"{SVG}circle")] == ["dot", "bad", "bad"]
    named = ["".join(text.itertext()) for text in svg.iter(f"{SVG}text") if text.get("class") == "badtext"]
    assert named == ["cell 1 <&>: 9.0 dB"]


def test_a_missing_stage_leaves_a_gap_and_a_question_mark():
    svg = draw(make_parity(40.0, 20.0, None, 30.0, 30.0))
    assert [len(path) for path in points(svg, "curve")] == [2, 2]
    marks = [text for text in svg.iter(f"{SVG}text") if (text.text or "") == "?"]
    assert len(marks) == 1


@pytest.mark.parametrize("value", [math.inf, -math.inf, -30.0])
def test_extremes_stay_inside_the_picture(value):
    svg = draw(make_parity(40.0, value, 20.0))
    (curve,) = points(svg, "curve")
    assert all(66.0 <= y <= 350.0 for _, y in curve)
