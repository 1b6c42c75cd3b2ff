import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.cli.output import format_table, native_output_on_stderr, print_json, print_table


@dataclasses.dataclass(frozen=True)
class Figure:
    name: str
    values: tuple[float, ...]


def test_json_keeps_the_order_and_is_one_document(capsys):
    print_json({"b": 1, "a": [Figure("x", (0.5, 2.0))], "path": Path("a/b")})
    text = capsys.readouterr().out
    assert json.loads(text) == {"b": 1, "a": [{"name": "x", "values": [0.5, 2.0]}], "path": "a/b"}
    assert text.index('"b"') < text.index('"a"')


def test_json_holds_only_finite_numbers(capsys):
    print_json([float("nan"), float("inf"), np.float32("nan"), np.array([1.5, np.inf])])
    assert json.loads(capsys.readouterr().out) == [None, None, None, [1.5, None]]


def test_json_takes_numpy_values(capsys):
    print_json({"n": np.int64(3), "x": np.float32(0.25), "ok": np.bool_(True), "a": np.array([[1, 2]])})
    assert json.loads(capsys.readouterr().out) == {"n": 3, "x": 0.25, "ok": True, "a": [[1, 2]]}


def test_json_refuses_what_it_cannot_hold():
    with pytest.raises(TypeError):
        print_json({"x": object()})


def test_table_aligns_text_left_and_numbers_right(capsys):
    print_table(["file", "ms"], [["a.tflite", 1.5], ["longer.tflite", 12.25], ["b", None]])
    assert capsys.readouterr().out == (
        "file               ms\n"
        "-------------  ------\n"
        "a.tflite        1.500\n"
        "longer.tflite  12.250\n"
        "b                   -\n"
    )


def test_table_without_rows_still_has_its_header():
    assert format_table(["a", "bc"], []) == "a  bc\n-  --"


def test_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="2 cells"):
        format_table(["a", "b"], [["x"]])


def test_native_output_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with native_output_on_stderr():
        os.write(1, b"a library's greeting\n")
    print("a result")
    assert capfd.readouterr() == ("a result\n", "a library's greeting\n")
