from pathlib import Path

import pytest

from nasfpn_lite.backbones import pretrained
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.train import TrainingJob, _fitting_spec, _load_backbone, make_plan
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
