"""Verdicts inside and outside of the noise, on made-up scores; t(.975; 2) = 4.3027."""

import numpy as np
import pytest

from nasfpn_lite.compare_runs import RunComparison, ScoredRun, compare_scored
from nasfpn_lite.seed_chart import draw_seeds

PHOTOS = tuple(range(40))


def side(*aps: float, seeds: tuple[int, ...] = (), images: tuple[int, ...] = PHOTOS, noise: float = 0) -> list:
    """Runs whose AP over drawn photos is the mean of one number per photo."""
    made = []
    for seed, ap in zip(seeds or range(len(aps)), aps, strict=True):
        values = ap + noise * np.where(np.arange(len(images)) % 2, 1, -1)
        made.append(ScoredRun(seed, ap, images, lambda drawn, values=values: float(values[drawn].mean())))
    return made


def compared(first: list, second: list, **options: int) -> RunComparison:
    return compare_scored(first, second, bootstrap=options.pop("bootstrap", 200), **options)


def test_better_only_outside_of_the_noise() -> None:
    # Differences 4.9, 5.0, 5.1: 5 +- 4.3027 * .1 / sqrt(3) = 5 +- .248.
    result = compared(side(44.9, 46.0, 47.1), side(40, 41, 42))
    assert result.verdict == "A is better by 5.00 AP points (4.75..5.25)"
    assert compared(side(40, 41, 42), side(44.9, 46.0, 47.1)).verdict == "B is better by 5.00 AP points (4.75..5.25)"
    # Differences 1, 2, 3: 2 +- 2.484.
    noisy = compared(side(40, 42, 44), side(39, 40, 41))
    assert noisy.verdict == (
        "no difference shown: the seeds allow -0.48..+4.48; a true difference of 2.00 with this spread would need "
        "about 5 seeds on each side"
    )
    assert "better" not in noisy.verdict


def test_photos_must_agree_too() -> None:
    first, second = side(44.9, 46.0, 47.1), side(40, 41, 42, noise=60)
    result = compared(first, second)
    assert result.image_interval is not None and result.image_interval[0] < 0 < result.image_interval[1]
    assert result.verdict.startswith("no difference shown: on other photos")
    assert compared(first, second, bootstrap=0).verdict.startswith("A is better")


def test_the_same_photos_are_drawn_for_all() -> None:
    result = compared(side(44, 45, 46.1, noise=60), side(40, 41, 42, noise=60))
    assert result.image_interval == (pytest.approx(4.0333, abs=1e-3), pytest.approx(4.0333, abs=1e-3))


def test_what_never_varies_proves_nothing() -> None:
    assert compared(side(5, 5, 5), side(0, 0, 0)).verdict.startswith("no difference shown: not one digit")
    assert "more than 1000 seeds" in compared(side(5, 6), side(6, 5)).verdict


def test_a_divided_file_is_compared_seed_by_seed_or_not_over_photos() -> None:
    shares = [tuple(range(0, 20)), tuple(range(20, 40))]
    first, second = (
        [*side(a, seeds=(0,), images=shares[0]), *side(b, seeds=(1,), images=shares[1])]
        for a, b in ((44, 46.1), (40, 42))
    )
    paired = compared(first, second)
    assert paired.images == 40 and paired.image_interval == pytest.approx((4.05, 4.05))
    assert paired.notes[0].startswith("each seed has its own share")
    unpaired = compared(first, [*second[:1], *side(42, seeds=(7,), images=shares[1])])
    assert (unpaired.image_interval, unpaired.bootstrap) == (None, 0)
    assert unpaired.test.method == "Welch's t-test" and len(unpaired.notes) == 3


def test_plain_data_and_picture_hold_every_figure() -> None:
    result = compared(side(44.9, 46.0, 47.1), side(40, 41, 42))
    data = result.to_dict()
    assert data["A"]["ap_by_seed"] == {"0": 44.9, "1": 46.0, "2": 47.1} and data["B"]["mean"] == 41
    assert data["test"]["method"] == "paired t-test" and data["verdict"] == result.verdict
    picture = draw_seeds(result)
    assert picture.count("<circle") == 9  # three seeds a side, and three differences
    assert "A is better by 5.00" in picture and "over photos" in picture
    alone = draw_seeds(compared(side(40, 42, 44), side(39, 40, seeds=(8, 9)), bootstrap=0))
    assert alone.count("<circle") == 5 and "over photos" not in alone
