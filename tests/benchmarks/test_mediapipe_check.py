"""MediaPipe's answers beside ours; MediaPipe itself runs in tests/converters/test_tflite_metadata.py."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.benchmarks.mediapipe_check import (
    OWN_RESIZING,
    SAME_PIXELS,
    Comparison,
    Pair,
    main,
    pair_up,
    print_comparisons,
    run_mediapipe,
)
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from tests.tiny_tflite import make_tiny_tflite

ANT, BEE = Category(4, "ant"), Category(9, "bee\tqueen")
PHOTO = np.zeros((6, 8, 3), np.uint8)


def detections(*rows: tuple[tuple[float, ...], float, int]) -> Detections:
    boxes, scores, classes = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int32)
    )


def test_partners_are_of_one_class_and_every_good_box_of_either_side_is_listed():
    ours = detections(((0, 0, 10, 20), 0.9, 0), ((50, 50, 60, 60), 0.5, 1), ((0, 0, 10, 20), 0.2, 1))
    theirs = detections(((0, 0, 10, 10), 0.25, 0), ((0, 0, 10, 20), 0.75, 1))
    assert pair_up(ours, theirs, (ANT, BEE), 0.3) == (
        Pair("ant", pytest.approx(0.9), 0.25, 0.5),
        Pair("bee\tqueen", 0.5, None, 0.0),
        Pair("bee\tqueen", pytest.approx(0.2), 0.75, 1.0),
    )


@pytest.mark.parametrize("ours_are_empty", [True, False])
def test_one_side_may_find_nothing(ours_are_empty):
    found, nothing = detections(((0, 0, 10, 20), 0.5, 0)), detections()
    ours, theirs = (nothing, found) if ours_are_empty else (found, nothing)
    [pair] = pair_up(ours, theirs, (ANT, BEE), 0.3)
    assert (pair.iou, pair.score, pair.mediapipe_score) == (0.0, *((None, 0.5) if ours_are_empty else (0.5, None)))
    assert pair_up(nothing, nothing, (ANT, BEE), 0.3) == ()
    assert Comparison("a.jpg", SAME_PIXELS, ()).lowest_iou == 1.0


def make_program(folder: Path, answer: str, code: int = 0) -> str:
    """A stand-in for a Python with mediapipe."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho last words >&2\ncat <<'END'\n{answer}\nEND\nexit {code}\n", encoding="utf-8")
    os.chmod(program, 0o755)
    return str(program)


def test_mediapipes_whole_repeated_pixels_become_pixels_of_the_photo(tmp_path):
    found = [[{"name": "bee queen", "score": 0.5, "box_xywh": [16, 8, 4, 12]}], []]
    python = make_program(tmp_path, json.dumps(found))
    first, second = run_mediapipe(python, tmp_path / "m.tflite", [(PHOTO, 4), (PHOTO, 1)], (ANT, BEE))
    # x 16.5 / 4, y 8.5 / 4, then 4.5 and 12.5 repeated pixels further
    np.testing.assert_allclose(first.boxes_yxyx, [[2.125, 4.125, 5.25, 5.25]])
    assert (first.classes.tolist(), first.scores.tolist()) == ([1], [0.5])
    assert second.boxes_yxyx.shape == (0, 4)


def test_a_python_without_mediapipe_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot start /nowhere/python"):
        run_mediapipe("/nowhere/python", tmp_path / "m.tflite", [(PHOTO, 1)], (ANT,))
    with pytest.raises(UserError, match="MediaPipe failed.*\nlast words"):
        run_mediapipe(make_program(tmp_path, "", code=1), tmp_path / "m.tflite", [(PHOTO, 1)], (ANT,))
    with pytest.raises(UserError, match="MediaPipe failed"):
        run_mediapipe(sys.executable, tmp_path / "m.tflite", [(PHOTO, 1)], (ANT,))


def test_the_summary_shows_the_worst_of_each_way(capsys):
    pairs = (Pair("ant", 0.5, 0.25, 0.75), Pair("ant", 0.5, 0.5, 1.0), Pair("bee", None, 0.5, 0.0))
    print_comparisons([Comparison("a.jpg", OWN_RESIZING, pairs)], as_json=True)
    same, own = json.loads(capsys.readouterr().out)["summary"]
    assert same == {**same, "fed": SAME_PIXELS, "boxes": 0, "lowest_iou": 1.0}
    assert own == {
        **{"fed": OWN_RESIZING, "boxes": 3, "lowest_iou": 0.0, "median_iou": 0.75},
        "largest_score_difference": 0.25,
    }
    print_comparisons([Comparison("a.jpg", OWN_RESIZING, pairs)], as_json=False)
    assert "0.7500" in capsys.readouterr().out


def test_a_file_of_another_project_ends_with_two(tmp_path, capsys):
    path = tmp_path / "other.tflite"
    path.write_bytes(make_tiny_tflite())
    assert main([str(path), "photo.jpg", "--python", sys.executable, "-o", str(tmp_path)]) == 2
    assert "this one has none" in capsys.readouterr().err
