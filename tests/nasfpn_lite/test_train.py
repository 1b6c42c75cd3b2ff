"""How a training is cut into rounds, and which run folders it goes on with."""

import dataclasses
import hashlib
import json
from pathlib import Path

import keras
import pytest

from nasfpn_lite import train as training
from nasfpn_lite.backbones import pretrained
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.train import TrainingJob, _fitting_spec, _load_backbone, _prepare_folder, make_plan
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
    spec = _fitting_spec(make_job(variant, weights), 3)
    assert (spec.backbone.symmetric_padding, spec.num_classes) == (symmetric, 3)


def test_weights_are_read_as_the_backbone_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for name in ("load_pretrained", "load_keras_download"):
        monkeypatch.setattr(pretrained, name, lambda model, name=name, **options: seen.append((name, options)) or [])
    for variant, weights in (("fpnlite_64", "imagenet"), ("fpn_r50_256", "keras"), ("fpn_r101_256", "a.h5")):
        _load_backbone(None, make_job(variant, weights))
    assert seen == [
        ("load_pretrained", {"path": None, "backbone": "mobilenet_v2"}),
        ("load_keras_download", {"backbone": "resnet50"}),
        ("load_pretrained", {"path": Path("a.h5"), "backbone": "resnet101"}),
    ]
    with pytest.raises(UserError, match="no resnet50 weights in the package; .*--backbone-weights keras"):
        _load_backbone(None, make_job("fpn_r50_256", "imagenet"))


@pytest.fixture
def job(tiny_coco: Path) -> TrainingJob:
    return TrainingJob(tiny_coco, get_spec("fpnlite_64", size="64", num_classes=2), PRESETS["finetune"])


def test_a_run_tells_which_annotations_it_saw(job: TrainingJob, tmp_path: Path) -> None:
    assert not _prepare_folder(job, tmp_path, load_split(job.data, "train"), resume=False)
    described = json.loads((tmp_path / "recipe.json").read_text())
    file = job.data / "instances_train.json"
    assert described["data_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_run_of_an_older_version_goes_on_and_one_of_another_recipe_does_not(job: TrainingJob, tmp_path: Path) -> None:
    split = load_split(job.data, "train")
    _prepare_folder(job, tmp_path, split, resume=False)
    (tmp_path / "checkpoint.npz").touch()
    path = tmp_path / "recipe.json"
    described = json.loads(path.read_text())
    del described["data_sha256"], described["recipe"]["accumulate"], described["recipe"]["drop_block_keep"]
    path.write_text(json.dumps(described))
    assert _prepare_folder(job, tmp_path, split, resume=True)
    dropping = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, drop_block_keep=0.9))
    with pytest.raises(UserError, match="was started with another recipe;"):
        _prepare_folder(dropping, tmp_path, split, resume=True)
    path.write_text(json.dumps({**described, "data_sha256": "of other annotations"}))
    with pytest.raises(UserError, match="was started with another data_sha256;"):
        _prepare_folder(job, tmp_path, split, resume=True)


@pytest.mark.parametrize("tensorboard", [False, True])
def test_further_callbacks_come_last(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorboard: bool
) -> None:
    seen = []
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(training, "_fit", lambda job, folder, split, resume, further: seen.extend(further))
    monkeypatch.setattr(training, "load_run", lambda folder: folder)
    mine = keras.callbacks.Callback()
    training.train(job, tmp_path, tensorboard=tensorboard, callbacks=[mine])
    assert seen[-1] is mine
    assert [type(callback).__name__ for callback in seen[:-1]] == ["TensorBoard"] * tensorboard
