from pathlib import Path

import pytest

from nasfpn_lite.backbones.pretrained import SHIPPED
from nasfpn_lite.benchmarks.finetune_padding import ARMS, main, make_job
from nasfpn_lite.training_job import fitting_spec


def test_the_arms_differ_in_padding_alone():
    jobs = [make_job(arm, Path("photos"), "nasfpnlite_3x48", 3) for arm in ARMS]
    assert [fitting_spec(job, 3).backbone.symmetric_padding for job in jobs] == [True, False]
    first, second = (job.to_dict() for job in jobs)
    assert first == second
    assert first["backbone_weights"] == str(SHIPPED)
    assert (first["recipe"]["epochs"], first["recipe"]["augment"]["rotate_90"]) == (3, True)


@pytest.mark.parametrize("folder", ["absent", "."])
def test_a_wrong_folder_is_one_line(folder, tmp_path, capsys):
    assert main(["--data", str(tmp_path / folder), "-o", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
