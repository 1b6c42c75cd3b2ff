"""When a training on int8 grids must not start."""

from pathlib import Path

import pytest

from nasfpn_lite.converters.qat_recipe import QatJob, QatRecipe
from nasfpn_lite.errors import UserError


@pytest.mark.parametrize(
    ("float_ap", "grid_ap"),
    [(0.57, 0.471), (0.57, 0.6), (0.15, 0.08), (0.03, 0.011), (0.0, 0.0)],
)
def test_a_network_near_float_may_be_trained(float_ap, grid_ap):
    QatRecipe().check_start(float_ap, grid_ap)


# A tenth of AP at most; half of what float has, where that is less; chance differences of .02 count for nothing.
@pytest.mark.parametrize(
    ("float_ap", "grid_ap", "allowed"), [(0.57, 0.469, "0.100"), (0.15, 0.07, "0.075"), (0.03, 0.009, "0.020")]
)
def test_a_network_far_below_float_is_refused(float_ap, grid_ap, allowed):
    with pytest.raises(UserError, match=f"{float_ap:.3f} in float; more than {allowed} apart means wrong calibration"):
        QatRecipe().check_start(float_ap, grid_ap)


def test_a_drop_twice_as_large_as_allowed_fails_and_half_as_large_passes():
    recipe = QatRecipe(max_start_drop=0.04)
    recipe.check_start(0.5, 0.48)
    with pytest.raises(UserError, match="more than 0.040 apart"):
        recipe.check_start(0.5, 0.42)


def test_a_job_survives_json():
    job = QatJob(Path("run"), Path("data"), QatRecipe(epochs=3), seed=7, force=True)
    assert QatJob.from_dict(job.to_dict()) == job
