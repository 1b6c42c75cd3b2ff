"""What a few seeds may be said to show."""

import pytest

from nasfpn_lite.benchmarks.seeds_report import ArmFigures, judge, render_page, render_picture

BASE = ArmFigures(
    "FPNLite", 2_016_000, 1_508_000_000, {0: 40.0, 1: 42.0, 2: 41.0}, {0: 39.0, 1: 41.0, 2: 40.0}, (4, 3.9, 4.1)
)
BETTER = ArmFigures("3x48", 2_151_000, 1_523_000_000, {0: 45.0}, {0: 44.0, 1: 46.5, 2: 45.0}, (5, 4.5, 5.5))


def test_better_only_where_the_interval_leaves_out_zero():
    # Differences 5, 5.5, 5: mean 5.17, deviation .289, t(.975; 2) 4.303: half an interval .717.
    assert judge(BETTER.ap_int8, BASE.ap_int8) == "better: +5.2 (+4.4…+5.9)"
    assert judge(BASE.ap_int8, BETTER.ap_int8) == "worse: -5.2 (-5.9…-4.4)"
    # Differences 1, -1, 1: mean .33, deviation 1.15: half an interval 2.87.
    assert judge({0: 40, 1: 40, 2: 41}, BASE.ap_int8) == "no difference shown: +0.3 (-2.5…+3.2)"


def test_one_seed_shows_nothing():
    assert judge({0: 90.0}, BASE.ap_int8) == "too few seeds"


def test_table():
    machine = {"cpu": "Eight-core", "cores": 8, "versions": {"keras": "3.1"}}
    lines = render_page([BASE, BETTER], "the command", machine).splitlines()
    # 41 +- 4.303 * 1 / sqrt 3
    assert lines[2] == (
        "| FPNLite | 2.02 | 1.51 | 41.0 (38.5–43.5) | 40.0, 42.0, 41.0 | 40.0 (37.5–42.5) | 4.00 (3.90–4.10) | – |"
    )
    assert lines[3].startswith("| 3x48 | 2.15 | 1.52 | 45.0 (one seed) | 45.0 | 45.2 (")
    assert lines[-1] == "    the command" and lines[-3] == "Eight-core, 8 cores; keras 3.1"
    assert lines[-5].startswith("nothing, in up to 5% of such tables")
    assert "in up to 10% of such tables" in render_page([BASE, BETTER, BETTER], "", {})  # 1 - .95^2 = .0975


@pytest.mark.parametrize("latency", [None, (5, 4.5, 5.5)])
def test_picture_has_what_was_timed(latency):
    arm = ArmFigures("name & more", 1, 1, {0: 1.0}, {0: 1.0, 1: 2.0}, latency)
    page = render_picture([BASE, arm], title="AP", subtitle="by seeds")
    assert ("name &amp; more</text>" in page) == (latency is not None)
    assert page.count('class="whisker"') == (2 if latency is None else 4)
