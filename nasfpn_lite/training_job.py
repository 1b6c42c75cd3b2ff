"""What decides a training's result, its cut into rounds, and how a run folder is begun or gone on with."""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from nasfpn_lite.data.coco import find_splits
from nasfpn_lite.data.records import Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.runs import (
    CHECKPOINT_FILE,
    RECIPE_FILE,
    SPEC_FILE,
    WEIGHTS_FILE,
    collect_versions,
    read_json,
    write_run_description,
)
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.team import Team

_SHORTEST_ROUND, _LONGEST_ROUND = 25, 500  # steps between two checkpoints


@dataclass(frozen=True)
class Plan:
    """A training cut into rounds of equal length, each of which ends with a checkpoint."""

    steps_per_round: int
    rounds: int

    @property
    def total_steps(self) -> int:
        """All steps; up to a round's worth of rounding above epochs x steps per epoch."""
        return self.steps_per_round * self.rounds


def make_plan(epochs: int, steps_per_epoch: int) -> Plan:
    """Cuts a training into rounds of about an epoch, never under 25 or over 500 steps where it can be."""
    total = epochs * steps_per_epoch
    target = min(max(steps_per_epoch, _SHORTEST_ROUND), _LONGEST_ROUND)
    rounds = max(1, round(total / target))
    return Plan(math.ceil(total / rounds), rounds)


@dataclass(frozen=True)
class TrainingJob:
    """All that decides a training's result.

    Attributes:
        spec: `num_classes` is set from the data, `backbone.symmetric_padding` from known backbone weights.
        backbone_weights: "imagenet" for the weights inside the package, "keras" for Keras's download, a path, or
            None for random ones.
    """

    data: Path
    spec: DetectorSpec
    recipe: TrainingRecipe
    preset: str = "finetune"
    variant: str = ""
    seed: int = 0
    backbone_weights: str | None = "imagenet"

    def to_dict(self) -> dict[str, Any]:
        """Returns what recipe.json holds."""
        return {
            "variant": self.variant,
            "preset": self.preset,
            "seed": self.seed,
            "data": str(Path(self.data).resolve()),
            "backbone_weights": self.backbone_weights,
            "recipe": self.recipe.to_dict(),
        }


def fitting_spec(job: TrainingJob, num_classes: int) -> DetectorSpec:
    """Sets the number of classes, and the padding that the backbone's weights were made for, where that is known."""
    backbone, weights = job.spec.backbone, str(job.backbone_weights)
    if weights == "imagenet":
        backbone = dataclasses.replace(backbone, symmetric_padding=True)
    elif weights == "keras" or weights.endswith(".h5"):
        backbone = dataclasses.replace(backbone, symmetric_padding=backbone.name != "mobilenet_v2")
    return dataclasses.replace(job.spec, backbone=backbone, num_classes=num_classes)


def describe(job: TrainingJob, split: Split) -> dict[str, Any]:
    """Returns what recipe.json holds of a run, as plain data."""
    annotations = _annotations_sha256(job, "train")
    description = {**job.to_dict(), "images": len(split.images), "data_sha256": annotations}
    return json.loads(json.dumps({**description, "backend": keras.backend.backend()}))


def _annotations_sha256(job: TrainingJob, split: str) -> str | None:
    file = find_splits(job.data).get(split)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else None


def require_equal_jobs(team: Team, job: TrainingJob, description: dict[str, Any]) -> None:
    """Refuses processes of one team that would train different things; their data may lie at different places."""
    versions = collect_versions()
    shared = {package: versions.get(package) for package in ("nasfpn-lite", "keras", "jax", "numpy", "grain")}
    spec = json.loads(json.dumps(job.spec.to_dict()))
    val = _annotations_sha256(job, "val")
    team.require_equal({**description, "data": None, "val_sha256": val, "spec": spec, "versions": shared})


def prepare_folder(job: TrainingJob, folder: Path, split: Split, resume: bool) -> bool:
    """Writes the description, or compares it where there is something to go on from; returns whether there is."""
    description = describe(job, split)
    if not any((folder / name).is_file() for name in (CHECKPOINT_FILE, WEIGHTS_FILE)):
        write_run_description(folder, job.spec, split.categories, description)
        return False
    if not resume:
        raise UserError(f"{folder} holds a run already; add --resume to go on with it, or choose another -o")
    description["spec"] = json.loads(json.dumps(job.spec.to_dict()))
    # What an older version did not write yet, it did not decide either.
    there = {"data_sha256": description["data_sha256"], **read_json(folder / RECIPE_FILE)}
    there["spec"] = read_json(folder / SPEC_FILE)
    there["recipe"] = json.loads(json.dumps(TrainingRecipe.from_dict(there["recipe"]).to_dict()))
    changed = [key for key in description if there.get(key) != description[key]]
    if changed:
        raise UserError(f"{folder} was started with another {', '.join(changed)}; resume with the same options")
    for stale in folder.glob(f".{CHECKPOINT_FILE}.*"):
        stale.unlink()  # a checkpoint that a kill cut short
    return (folder / CHECKPOINT_FILE).is_file()
