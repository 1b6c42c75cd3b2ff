"""How a training is cut into rounds, and which run folders it goes on with."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.team import Team, TeamError
from nasfpn_lite.training_job import (
    TrainingJob,
    describe,
    fitting_spec,
    make_plan,
    prepare_folder,
    require_equal_jobs,
)
from nasfpn_lite.variants import get_spec


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "expected"),
    [(13, 6, (26, 3)), (60, 25, (25, 60)), (50, 1848, (500, 185)), (1, 4, (4, 1)), (100, 40, (40, 100))],
)
def test_plan(epochs: int, steps_per_epoch: int, expected: tuple[int, int]) -> None:
    plan = make_plan(epochs, steps_per_epoch)
    assert (plan.steps_per_round, plan.rounds) == expected
    assert 0 <= plan.total_steps - epochs * steps_per_epoch < plan.rounds


def make_job(variant: str, weights: str | None) -> TrainingJob:
    return TrainingJob(Path("photos"), get_spec(variant), PRESETS["finetune"], backbone_weights=weights)


@pytest.mark.parametrize(
    ("variant", "weights", "symmetric"),
    [
        ("fpnlite_64", "imagenet", True),
        ("fpnlite_64", "keras", False),
        ("fpnlite_64", "a.h5", False),
        ("fpn_r50_256", "keras", True),
        ("fpn_r50_256", "a.weights.h5", True),
        ("fpn_r50_256", None, True),
    ],
)
def test_the_padding_is_that_of_the_weights(variant: str, weights: str | None, symmetric: bool) -> None:
    spec = fitting_spec(make_job(variant, weights), 3)
    assert (spec.backbone.symmetric_padding, spec.num_classes) == (symmetric, 3)


@pytest.fixture
def job(tiny_coco: Path) -> TrainingJob:
    return TrainingJob(tiny_coco, get_spec("fpnlite_64", size="64", num_classes=2), PRESETS["finetune"])


def test_a_run_tells_which_annotations_it_saw(job: TrainingJob, tmp_path: Path) -> None:
    assert not prepare_folder(job, tmp_path, load_split(job.data, "train"), resume=False)
    described = json.loads((tmp_path / "recipe.json").read_text())
    file = job.data / "instances_train.json"
    assert described["data_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_run_of_an_older_version_goes_on_and_one_of_another_recipe_does_not(job: TrainingJob, tmp_path: Path) -> None:
    split = load_split(job.data, "train")
    prepare_folder(job, tmp_path, split, resume=False)
    (tmp_path / "checkpoint.npz").touch()
    path = tmp_path / "recipe.json"
    described = json.loads(path.read_text())
    del described["data_sha256"], described["recipe"]["accumulate"], described["recipe"]["drop_block_keep"]
    path.write_text(json.dumps(described))
    assert prepare_folder(job, tmp_path, split, resume=True)
    dropping = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, drop_block_keep=0.9))
    with pytest.raises(UserError, match="was started with another recipe;"):
        prepare_folder(dropping, tmp_path, split, resume=True)
    path.write_text(json.dumps({**described, "data_sha256": "of other annotations"}))
    with pytest.raises(UserError, match="was started with another data_sha256;"):
        prepare_folder(job, tmp_path, split, resume=True)


class Noting(Team):
    """Compares with what another process, of the same team, has said before."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def gather(self, value: Any) -> list[Any]:
        self.said.append(value)
        return self.said


@pytest.mark.parametrize("change", ["annotations", "no annotations", "place"])
def test_processes_of_one_team_have_the_same_annotations(change: str, job: TrainingJob, tmp_path: Path) -> None:
    """Their descriptions are the same: recipe.json knows of the training's annotations alone."""
    there = dataclasses.replace(job, data=shutil.copytree(job.data, tmp_path / "copy"))
    val = there.data / "instances_val.json"
    if change == "annotations":
        val.write_text(val.read_text() + " ")
    elif change == "no annotations":
        val.unlink()
    team, description = Noting(), describe(job, load_split(job.data, "train"))
    require_equal_jobs(team, job, description)
    if change == "place":
        require_equal_jobs(team, there, description)
        return
    with pytest.raises(TeamError, match="process 1 was started with another val_sha256 than process 0; "):
        require_equal_jobs(team, there, description)
    assert "val_sha256" not in description
