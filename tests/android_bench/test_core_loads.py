"""Shares of a second, out of /proc/stat."""

import pytest

from nasfpn_lite.android_bench.core_loads import CoreLoad, parse_loads

STAT = """cpu2 100 0 50 1000 10 0 0 0 0 0
cpu3 500 10 90 9000 0 5 5 0 70 0
later
cpu2 110 0 55 1080 15 0 0 0 0 0
cpu3 560 10 100 9025 0 8 7 0 99 0"""


def test_loads_are_shares_of_the_ticks_that_passed():
    loads = parse_loads(STAT)  # core 2: 15 of 100 ticks; core 3: 60 + 10 + 3 + 2 of 100, guests are in user already
    assert loads == (CoreLoad(2, 0.15), CoreLoad(3, 0.75))
    assert parse_loads(STAT.replace("\n", "\r\n")) == loads


@pytest.mark.parametrize("text", ["", "later", STAT.partition("\nlater")[0], "cpu2 1 2 3 4\nlater\ncpu2 1 2 3 4"])
def test_loads_that_cannot_be_read(text):
    assert parse_loads(text) is None
