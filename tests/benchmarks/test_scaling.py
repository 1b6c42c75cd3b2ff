"""A measurement on a small network and input; and that every preset is planned."""

import pytest

from nasfpn_lite.benchmarks.scaling import PLANS, Setup, measure, plan_name
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.variants import VARIANTS


def test_every_preset_is_planned() -> None:
    assert {preset for preset, _ in PLANS} == set(PRESETS)
    assert {variant for _, variant in PLANS} <= set(VARIANTS)
    assert plan_name("paper", "net") == "net"
    assert plan_name("paper_dropblock", "net") == "net at 1280"


def test_a_small_network_is_measured() -> None:
    (result,) = measure([Setup("fpnlite_64", 2, "tensorflow", size="64")], rounds=2, steps=1)
    assert 0 < result.images_per_s.low <= result.images_per_s.median <= result.images_per_s.high
    assert 2**27 < result.memory_bytes < 2**34


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_what_a_worker_refuses_is_told(backend: str) -> None:
    with pytest.raises(UserError, match="a batch of 3 images cannot be shared equally by 2 devices"):
        measure([Setup("fpnlite_64", 3, backend, devices=2, size="64")], rounds=1, steps=1)
