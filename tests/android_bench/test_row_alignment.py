"""Rows and operators held against each other; letters stand for kinds of rows."""

import re

import pytest

from nasfpn_lite.android_bench.row_alignment import align


def patterns(*texts):
    """ "a|ab|" is an operator that shows as a row a, as rows a and b, or not at all."""
    return [tuple(tuple(map(re.compile, way)) for way in text.split("|")) for text in texts]


def found(texts, rows, most_misfits=2):
    result = align(patterns(*texts.split()), [(row,) for row in rows], most_misfits=most_misfits)
    return None if result is None else [sorted(items) for items in result.operators]


@pytest.mark.parametrize(
    ("texts", "rows", "expected"),
    [
        ("a b c", "abc", [[0], [1], [2]]),
        ("a|ab b c", "abbc", [[0], [0], [1], [2]]),  # two rows of one operator
        ("a|ab b c", "abc", [[0], [1], [2]]),
        ("a| b a|", "ba", [[1], [2]]),  # the first one left no row
        ("x| y|", "", []),
        ("a| a|", "a", [[0, 1]]),  # either of them
        ("a b a| a| c", "abac", [[0], [1], [2, 3], [4]]),
    ],
)
def test_without_misfits(texts, rows, expected):
    assert found(texts, rows) == expected
    assert found(texts, rows, most_misfits=0) == expected


@pytest.mark.parametrize(
    ("texts", "rows", "expected"),
    [
        ("a b c", "abxc", [[0], [1], [], [2]]),  # a row of no operator
        ("a b c", "ac", [[0], [2]]),  # an operator without its row
        ("a a b", "ab", [[0, 1], [2]]),  # one of two is missing, and nothing tells which
        ("a b", "aab", [[], [], [1]]),  # one of two rows is too many, and nothing tells which
    ],
)
def test_with_one_misfit(texts, rows, expected):
    assert found(texts, rows, most_misfits=1) == expected
    assert found(texts, rows, most_misfits=0) is None


def test_something_else_altogether():
    assert found("a b c d", "wxyz", most_misfits=7) is None
    assert found("a b c d", "wxyz", most_misfits=8) == [[], [], [], []]


def test_rows_of_which_only_the_choice_is_known():
    result = align(patterns("a", "b", "c"), [("a", "x"), ("c", "b"), ("c",)], most_misfits=0)
    assert result.operators == (frozenset({0}), frozenset({1}), frozenset({2}))
    assert align(patterns("a", "b"), [("a", "b"), ("x", "y")], most_misfits=2).misfits == 2


def test_a_long_network_takes_no_long_time():
    texts = "c d|dk c p|" * 120
    rows = "cdkcp" * 60 + "cdc" * 60
    result = found(" ".join(texts.replace("p|", "p| ").split()), rows, most_misfits=10)
    assert len(result) == 480
    assert all(len(items) == 1 for items in result[:290])
