"""Tables, notes and short names."""

import pytest

from nasfpn_lite.android_bench.page_parts import base_names, paragraphs, shorten, table, warnings


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["p/net_3x48_float32.tflite", "p/net_3x48_wi8_ai8.tflite"], ["float32", "wi8_ai8"]),
        (["p/net_3x48.tflite"], ["net_3x48"]),
        (["p/net_3x48.tflite", "q/net_3x48.tflite"], ["net_3x48", "net_3x48"]),
        (["float16.tflite", "float32.tflite"], ["float16", "float32"]),
    ],
)
def test_names_lose_what_all_of_them_begin_with(names, labels):
    assert shorten(names) == labels


@pytest.mark.parametrize(
    ("names", "bare"),
    [
        (["p/a.tflite", "q/b.tflite"], ["a.tflite", "b.tflite"]),
        (["p/a.tflite", "q/a.tflite"], ["p/a.tflite", "q/a.tflite"]),
        (["p/a.tflite", "p/a.tflite"], ["a.tflite", "a.tflite"]),  # one file on two phones
        ([], []),
    ],
)
def test_names_lose_their_folder_where_that_tells_them_apart(names, bare):
    assert base_names(names) == bare


def test_columns_of_figures_and_of_words():
    found = table(("file", "ms", "runner", "long"), [["a_b", "1.5", "own", "1" * 31], ["c", "–", "–", "+2.0"]])
    assert '<th scope="col" class="words">file</th><th scope="col">ms</th><th scope="col" class="words">runner' in found
    assert '<td>1.5</td><td class="words">own</td><td class="text">1111' in found
    assert '<td>–</td><td class="words">–</td><td class="words">+2.0</td>' in found
    assert '<th scope="row">a_<wbr>b</th>' in found


def test_a_table_without_rows():
    assert "<tbody></tbody>" in table(("file", "ms"), [])


def test_notes_are_text_and_empty_ones_are_left_out():
    assert paragraphs(["", "<b>"]) == '<p class="note">&lt;b&gt;</p>'
    assert warnings(["", "<b>"]) == '<p class="note warning">&lt;b&gt;</p>'
