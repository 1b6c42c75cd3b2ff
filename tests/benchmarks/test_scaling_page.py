"""The page of figures: one row each, and what a base is."""

from nasfpn_lite.benchmarks.scaling import Result, Setup
from nasfpn_lite.benchmarks.scaling_page import render_page
from nasfpn_lite.benchmarks.scaling_plan import GIGABYTE, Load, compute_network, fit_network, plan
from nasfpn_lite.benchmarks.statistics import Estimate
from nasfpn_lite.recipes import PRESETS


def test_page() -> None:
    def result(speed: float, **changes: object) -> Result:
        return Result(Setup("net", 8, **changes), Estimate(speed, speed - 1, speed + 1, 0.95), 2 * GIGABYTE)

    scaling = [
        *(result(10.0), result(9.0, devices=2), result(8.0, processes=2)),
        *(result(20.0, backend="tensorflow"), result(15.0, backend="tensorflow", devices=2)),
        result(5.0, precision="mixed_bfloat16"),
    ]
    loads = [Load("net", 4, 8.0, GIGABYTE), Load("net", 8, 10.0, 2 * GIGABYTE)]
    network = fit_network(loads)
    guess = compute_network("big", 10, network, 1)
    plans = [plan("paper", PRESETS["paper"], network), plan("finetune", PRESETS["finetune"], guess)]
    page = render_page(scaling, loads, plans, "python -m it")
    for row in (
        "| JAX, 1 device | 10.00 (9.00 to 11.00) | 1.00 | 2.00 GB |",
        "| JAX, 2 devices | 9.00 (8.00 to 10.00) | 0.90 | 2.00 GB |",
        "| JAX, 2 processes | 8.00 (7.00 to 9.00) | 0.80 | 2.00 GB |",
        "| TensorFlow, 2 devices | 15.00 (14.00 to 16.00) | 0.75 | 2.00 GB |",
        "| JAX, 1 device, mixed_bfloat16 | 5.00 (4.00 to 6.00) | 0.50 | 2.00 GB |",
        "| net | 8 | 10.00 | 2.00 GB |",
        "| `paper` | net | 64 | 92400 | 10 | 164 | 16.00 GB | 2 / 1 |",
        "| `finetune` | big | 8 | 1774200 | (1) | 3 943 | – | – / – |",
        "## COCO's 118 287 images on paper, on one such device",
    ):
        assert row in page.splitlines()
    assert "`python -m it`" in page
