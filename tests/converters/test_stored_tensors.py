"""Outputs of two machines held against each other; every figure worked out by hand."""

import math

import numpy as np
import pytest

from nasfpn_lite.converters.interpreter import Tensor
from nasfpn_lite.converters.stored_tensors import (
    Difference,
    compare_stored,
    join_differences,
    read_stored,
    write_stored,
)
from nasfpn_lite.errors import UserError

FLOAT = Tensor("x", 0, (1, 2), np.dtype("float32"), 0.0, 0)
BYTES = Tensor("q", 0, (1, 4), np.dtype("int8"), 0.5, -3)


def compare(tensor, first, second):
    arrays = (np.array([values], tensor.dtype) for values in (first, second))
    return compare_stored({tensor.name: tensor}, *({tensor.name: array} for array in arrays))[tensor.name]


def test_floats_in_their_own_units():
    assert compare(FLOAT, [1.5, -2.0], [1.0, -2.0]) == Difference("x", "float32", 0.5, None, 0.5)
    assert compare(FLOAT, [1.5, -2.0], [1.5, -2.0]) == Difference("x", "float32", 0.0, None, 0.0)


def test_integers_in_steps_of_their_scale():
    # -128 to 127 is 255 steps: no byte holds that.
    assert compare(BYTES, [0, -128, 5, 7], [0, 127, 5, 4]) == Difference("q", "int8", 127.5, 255, 0.5)
    assert compare(BYTES, [1, 2, 3, 4], [1, 2, 3, 4]).largest_steps == 0


def test_integers_without_a_scale_are_no_steps():
    tensor = Tensor("n", 0, (1, 2), np.dtype("int32"), 0.0, 0)
    assert compare(tensor, [7, 1], [3, 1]) == Difference("n", "int32", 4.0, None, 0.5)


@pytest.mark.parametrize(
    ("first", "second", "largest"),
    [
        (math.nan, math.nan, 0.0),
        (math.inf, math.inf, 0.0),
        (math.nan, 1.0, math.inf),
        (1.0, math.nan, math.inf),
        (math.inf, -math.inf, math.inf),
        (math.inf, math.nan, math.inf),
    ],
)
def test_what_is_no_number_does_not_hide(first, second, largest):
    assert compare(FLOAT, [first, 0.0], [second, 0.0]).largest == largest


def test_a_scalar_and_nothing_at_all():
    for shape, share in (((), 1.0), ((0,), 0.0)):
        tensor = Tensor("s", 0, shape, np.dtype("float32"), 0.0, 0)
        found = compare_stored({"s": tensor}, {"s": np.ones(shape, "f4")}, {"s": np.zeros(shape, "f4")})["s"]
        assert (found.largest, found.share) == (share, share)


def test_the_largest_of_several_images():
    first, second = compare(BYTES, [0, 0, 0, 0], [0, 0, 0, 2]), compare(BYTES, [0, 0, 0, 0], [1, 1, 1, 1])
    joined = join_differences([{"q": first, "x": compare(FLOAT, [0, 0], [1, 0])}, {"q": second}])
    assert joined["q"] == Difference("q", "int8", 1.0, 2, 0.625)
    assert joined["x"] == Difference("x", "float32", 1.0, None, 0.5)
    assert join_differences([]) == {}


def test_bytes_there_and_back():
    array = np.array([[1.5, -2.25]], np.float32)
    assert write_stored(array) == bytes.fromhex("0000c03f000010c0")
    assert write_stored(array.astype(">f4")) == write_stored(array)
    np.testing.assert_array_equal(read_stored(FLOAT, write_stored(array)), array)
    with pytest.raises(UserError, match=r"expected 8 bytes for the output x, float32 \[1, 2\], got 7"):
        read_stored(FLOAT, write_stored(array)[:-1])
