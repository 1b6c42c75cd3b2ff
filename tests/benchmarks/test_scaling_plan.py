"""Hours and memory on paper, worked by hand."""

import dataclasses

import pytest

from nasfpn_lite.benchmarks.scaling_plan import GIGABYTE, Load, Network, compute_network, fit_network, plan
from nasfpn_lite.recipes import PRESETS

LOADS = [Load("net", 8, 20.0, 5 * GIGABYTE), Load("net", 4, 16.0, 3 * GIGABYTE)]


def test_the_line_through_two_batches() -> None:
    network = fit_network(LOADS)
    assert network == Network("net", 20.0, True, 1 * GIGABYTE, 0.5 * GIGABYTE)
    assert network.memory_bytes(64) == 33 * GIGABYTE
    alone = fit_network(LOADS[:1])
    assert (alone.images_per_s, alone.measured, alone.memory_bytes(64)) == (20.0, True, None)


def test_memory_that_falls_with_the_batch_is_noise() -> None:
    network = fit_network([Load("net", 4, 1.0, 3 * GIGABYTE), Load("net", 8, 1.0, 2 * GIGABYTE)])
    assert network.memory_bytes(64) == 2 * GIGABYTE


def test_an_unmeasured_network_is_as_fast_per_flop() -> None:
    guess = compute_network("large", 400, fit_network(LOADS), like_flops=100)
    assert (guess.images_per_s, guess.measured, guess.memory_bytes(1)) == (5.0, False, None)


def test_hours_and_parts() -> None:
    paper = plan("paper", PRESETS["paper"], fit_network(LOADS))
    assert paper.steps == 50 * 1848  # 118287 // 64
    assert paper.hours == pytest.approx(50 * 1848 * 64 / 20 / 3600)
    assert paper.memory_bytes == 33 * GIGABYTE
    assert paper.parts == (4, 1)  # of 16 GB, nine tenths: 64 / 4 images need 9 GB, 64 / 2 need 17; of 80 GB: 33
    huge = dataclasses.replace(fit_network(LOADS), base_bytes=20 * GIGABYTE)
    assert plan("paper", PRESETS["paper"], huge).parts == (None, 1)
    guessed = plan("paper", PRESETS["paper"], compute_network("large", 2, huge, 1))
    assert (guessed.memory_bytes, guessed.parts) == (None, (None, None))
