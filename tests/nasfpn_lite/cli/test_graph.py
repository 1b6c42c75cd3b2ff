import json

import pytest

from nasfpn_lite.cli import graph as verb
from nasfpn_lite.cli import main
from nasfpn_lite.genotype import PANET_P3P7


@pytest.fixture
def titles(monkeypatch):
    """Titles of what is drawn, instead of a picture."""
    seen = []
    monkeypatch.setattr("nasfpn_lite.pyramid_chart.write_chart", lambda graph, path, title: seen.append(title))
    return seen


def test_draws_and_names_the_file(tmp_path, capsys):
    path = tmp_path / "new" / "a.svg"
    assert main(["graph", "nasfpn_r50_7x256", "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert b"</svg>" in path.read_bytes()


def test_titles(titles, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(PANET_P3P7.to_dict()))
    lines = [
        ["nasfpnlite_3x48"],
        ["fpn_r50_256"],
        ["fpn_r50_3x256"],
        ["nasfpn_r50_7x256", "--genotype", "fpn_p3p6"],
        ["nasfpn_r50_7x256", "--genotype", str(file)],
    ]
    for line in lines:
        assert main(["graph", *line, "-o", str(tmp_path / "a.png")]) == 0
    assert titles == [
        "nasfpnlite_3x48: 15 cells, P3 to P6, stacked 3 times",
        "fpn_r50_256: FPN, P3 to P7",
        "fpn_r50_3x256: FPN, P3 to P7, the first of 3 pyramids",
        "fpn_p3p6: 4 cells, P3 to P6, stacked 7 times",
        "mine: 8 cells, P3 to P7, stacked 7 times",
    ]


@pytest.mark.parametrize("name", ["a.jpg", "a", ".svg", "folder.svg"])
def test_a_file_that_is_no_picture(name, tmp_path, capsys):
    (tmp_path / "folder.svg").mkdir()
    assert main(["graph", "nasfpn_r50_7x256", "-o", str(tmp_path / name)]) == 2
    assert f"FILE.svg or FILE.png, got {tmp_path / name}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.svg"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["ssdlite"], "SSDLite has no pyramid"),
        (["yolo"], "unknown variant 'yolo'"),
        (["nasfpn_r50_7x256", "--genotype", "fpn_p3p8"], "give a JSON file or one of nasfpn_7, "),
        (["fpn_r50_256", "--genotype", "fpn_p3p7"], "--genotype goes with a NAS-FPN"),
    ],
)
def test_what_cannot_be_drawn(line, message, tmp_path, capsys):
    assert main(["graph", *line, "-o", str(tmp_path / "a.svg")]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["graph", "nasfpn_r50_7x256", "-o", str(tmp_path / "file" / "a.svg")]) == 2
    assert "cannot use" in capsys.readouterr().err


def test_suffixes_are_those_that_the_chart_can_write():
    from nasfpn_lite.pyramid_chart import FORMATS

    assert verb.SUFFIXES == tuple(f".{form}" for form in FORMATS)
