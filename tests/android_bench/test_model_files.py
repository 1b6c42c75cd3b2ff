"""What is known of a file before a phone runs it."""

import hashlib
import sys
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.model_files import find_work, read_model_files
from nasfpn_lite.android_bench.session_options import SessionError
from tests.hand_made_tflite import HandMade
from tests.tiny_tflite import MULTIPLY_ADDS, make_tiny_tflite


def save_convs(path: Path, dtypes: list[tuple[str, int]]) -> Path:
    """A chain of no meaning: 1x1 convolutions of these types on so many pixels each."""
    graph = HandMade()
    ends = []
    for dtype, side in dtypes:
        source, target = graph.tensor((1, side, side, 4), dtype), graph.tensor((1, side, side, 4), dtype)
        graph.conv(source, target, weights=dtype)
        ends.append((source, target))
    path.write_bytes(graph.to_bytes([source for source, _ in ends], [target for _, target in ends]))
    return path


def test_float_file(tmp_path):
    path = tmp_path / "my model's.tflite"
    path.write_bytes(make_tiny_tflite())
    (file,) = read_model_files([path])
    assert (file.path, file.name) == (path, str(path))
    assert (file.arithmetic, file.multiply_adds) == ("float", MULTIPLY_ADDS)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.size_bytes == path.stat().st_size


@pytest.mark.parametrize(
    ("dtypes", "arithmetic"),
    [
        ([("int8", 4)], "int8"),
        ([("int8", 30), ("float32", 4)], "int8"),  # 900 of 916 parts of the work
        ([("int8", 4), ("float32", 4)], "mixed"),
    ],
)
def test_arithmetic_is_that_of_most_of_the_work(tmp_path, dtypes, arithmetic):
    work = sum(side * side * 4 * 4 for _, side in dtypes)
    assert find_work(save_convs(tmp_path / "a.tflite", dtypes)) == (arithmetic, work)


def test_a_damaged_file_is_left_to_the_phone(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(make_tiny_tflite()[:200])
    assert read_model_files([path])[0].arithmetic is None
    assert read_model_files([path])[0].multiply_adds is None


def test_without_the_schema_the_arithmetic_is_unknown(tmp_path, monkeypatch):
    path = tmp_path / "a.tflite"
    path.write_bytes(make_tiny_tflite())
    for name in [name for name in sys.modules if name.startswith("nasfpn_lite.converters.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert find_work(path) == (None, None)


def test_files_that_cannot_be_measured(tmp_path):
    good, text = tmp_path / "good.tflite", tmp_path / "text.tflite"
    good.write_bytes(make_tiny_tflite())
    text.write_text("no model")
    for paths, message in [
        ([], "at least one .tflite file"),
        ([tmp_path / "none.tflite"], "cannot read it: No such file"),
        ([tmp_path], "cannot read it: Is a directory"),
        ([good, text], r"bytes 4 to 8 are b'odel', not b'TFL3'"),
        ([good, good], "each file once, got twice: .*good.tflite"),
    ]:
        with pytest.raises(SessionError, match=message):
            read_model_files(paths)
