"""How many images are computed at once when a training ships its weights."""

from itertools import islice

import numpy as np
import pytest

from nasfpn_lite.shipping import ShippingPlan, regroup


@pytest.mark.parametrize(("trained", "shipped"), [(1, 2), (4, 8), (8, 16), (64, 16)])
def test_what_fits_in_a_training_fits_here(trained: int, shipped: int) -> None:
    assert ShippingPlan(total_steps=1, trained_at_once=trained).images_at_once == shipped


@pytest.mark.parametrize("size", [2, 3, 4, 10])
def test_batches_of_another_size_hold_the_same_images(size: int) -> None:
    numbers = np.arange(40, dtype=np.float32).reshape(10, 4)
    found = list(islice(regroup(iter(numbers), size), 40 // size - 1))
    assert {len(batch) for batch in found} == {size}
    np.testing.assert_array_equal(np.concatenate(found), np.arange(len(found) * size))
