"""Which weights a training starts from."""

from pathlib import Path

import keras
import pytest

from nasfpn_lite import train as training
from nasfpn_lite.backbones import pretrained
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.train import TrainingJob, _load_backbone
from nasfpn_lite.variants import get_spec


def make_job(variant: str, weights: str | None) -> TrainingJob:
    return TrainingJob(Path("photos"), get_spec(variant), PRESETS["finetune"], backbone_weights=weights)


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


@pytest.mark.parametrize("tensorboard", [False, True])
def test_further_callbacks_come_last(
    tiny_coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorboard: bool
) -> None:
    seen = []
    job = TrainingJob(tiny_coco, get_spec("fpnlite_64", size="64", num_classes=2), PRESETS["finetune"])
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(training, "_fit", lambda job, folder, split, further, *others: seen.extend(further))
    monkeypatch.setattr(training, "load_run", lambda folder: folder)
    mine = keras.callbacks.Callback()
    training.train(job, tmp_path, tensorboard=tensorboard, callbacks=[mine])
    assert seen[-1] is mine
    assert [type(callback).__name__ for callback in seen[:-1]] == ["TensorBoard"] * tensorboard
