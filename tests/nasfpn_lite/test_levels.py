import pytest

from nasfpn_lite.levels import level_name, shape_at, size_at


@pytest.mark.parametrize(
    ("length", "level", "expected"), [(320, 3, 40), (320, 6, 5), (320, 7, 3), (320, 9, 1), (100, 3, 13), (96, 5, 3)]
)
def test_size_rounds_up(length: int, level: int, expected: int) -> None:
    assert size_at(length, level) == expected


def test_shape_keeps_height_and_width_apart() -> None:
    assert shape_at((192, 320), 4) == (12, 20)
    assert shape_at((100, 33), 3) == (13, 5)


def test_names() -> None:
    assert (level_name("C", 4), level_name("P", 10)) == ("C4", "P10")
