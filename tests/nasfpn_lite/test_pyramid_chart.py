import xml.etree.ElementTree as ElementTree

import pytest

from nasfpn_lite.genotype import NASFPN_7, PANET_P3P6
from nasfpn_lite.pyramid_chart import write_chart
from nasfpn_lite.pyramid_graph import graph_of_genotype


@pytest.mark.parametrize("suffix", [".svg", ".png", ".SVG"])
def test_the_same_graph_gives_the_same_bytes(tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        write_chart(graph_of_genotype(NASFPN_7), path, title="seven")
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith(b"<?xml" if suffix.lower() == ".svg" else b"\x89PNG")
    write_chart(graph_of_genotype(PANET_P3P6), paths[1], title="panet")
    assert paths[1].read_bytes() != first


def test_svg_has_dots_in_their_colours_and_dashes(tmp_path):
    path = tmp_path / "a.svg"
    write_chart(graph_of_genotype(NASFPN_7), path, title="seven")
    text = path.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    dots = {colour: text.count(f"fill: {colour}; stroke: #ffffff") for colour in ("#2f9e5b", "#4a6fa5", "#d2382c")}
    assert dots == {"#2f9e5b": 5, "#4a6fa5": 2, "#d2382c": 5}
    assert text.count("stroke-dasharray") == 3  # two dangling inputs and the legend


def test_nothing_is_left_of_a_picture_that_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.svg"
    path.write_text("before")
    monkeypatch.setattr("nasfpn_lite.pyramid_chart._draw", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_chart(graph_of_genotype(NASFPN_7), path, title="seven")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
