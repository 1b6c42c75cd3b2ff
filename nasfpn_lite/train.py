"""Training: from a folder of photos to a run folder. Every piece also serves a plain `compile` and `fit`."""

import dataclasses
import hashlib
import importlib.util
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nasfpn_lite.accumulation import accumulating
from nasfpn_lite.callbacks import Checkpoint, NanGuard, Progress, RunLog, Validation, restore_checkpoint, take_averages
from nasfpn_lite.data.coco import find_splits, load_split, read_record
from nasfpn_lite.data.pipeline import TrainingData, make_training_data
from nasfpn_lite.data.records import Category, Split
from nasfpn_lite.detector import build_detector
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import evaluate
from nasfpn_lite.exits import exit_loss_weights, repeat_targets
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.fitting import compile_detector, freeze, make_regularization, recompute_statistics
from nasfpn_lite.keras_detector import KerasDetector
from nasfpn_lite.preprocess import ImageError
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.runs import (
    CHECKPOINT_FILE,
    LOG_FILE,
    RECIPE_FILE,
    SKIPPED_FILE,
    SPEC_FILE,
    WEIGHTS_FILE,
    Run,
    load_run,
    read_json,
    write_run_description,
)
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.weights import save_weights

logger = logging.getLogger(__name__)

_SHORTEST_ROUND, _LONGEST_ROUND = 25, 500  # steps between two checkpoints
_STATISTICS_BATCH, _STATISTICS_BATCHES = 16, 8


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


def train(
    job: TrainingJob,
    folder: Path,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Trains a detector and writes a run folder.

    On one machine and backend the result depends on the job alone: an interrupted and resumed run ends with the same
    weights.

    Args:
        tensorboard: Also write TensorBoard's logs, to folder/tensorboard; needs the package tensorboard.
        callbacks: Called after those that a training has anyway; an epoch of theirs is a round of the training.

    Raises:
        UserError: The data, the spec or the folder does not allow it, or the loss became NaN.
    """
    folder = Path(folder)
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs TensorFlow and the package tensorboard; pip install them or leave it out")
    split = load_split(job.data, "train", seed=job.seed)
    job = dataclasses.replace(job, spec=_fitting_spec(job, len(split.categories)))
    if len(job.recipe.exit_weights) not in (0, len(job.spec.exits)):
        raise UserError(
            f"expected a weight for each of the {len(job.spec.exits)} exits, got {list(job.recipe.exit_weights)}"
        )
    resume = _prepare_folder(job, folder, split, resume)
    if (folder / WEIGHTS_FILE).is_file():
        logger.info("%s is finished; nothing to resume", folder)
        return load_run(folder)
    keras.utils.set_random_seed(job.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(job.recipe.precision)
    try:
        own = [keras.callbacks.TensorBoard(folder / "tensorboard")] if tensorboard else []
        _fit(job, folder, split, resume, [*own, *callbacks])
    except KeyboardInterrupt:
        if (folder / CHECKPOINT_FILE).is_file():
            logger.warning("interrupted; the same command with --resume goes on from the last checkpoint in %s", folder)
        else:
            logger.warning("interrupted before the first checkpoint; the same command begins anew in %s", folder)
        raise
    finally:
        keras.config.set_dtype_policy(policy)
    return load_run(folder)


def _fitting_spec(job: TrainingJob, num_classes: int) -> DetectorSpec:
    """Sets the number of classes, and the padding that the backbone's weights were made for, where that is known."""
    backbone, weights = job.spec.backbone, str(job.backbone_weights)
    if weights == "imagenet":
        backbone = dataclasses.replace(backbone, symmetric_padding=True)
    elif weights == "keras" or weights.endswith(".h5"):
        backbone = dataclasses.replace(backbone, symmetric_padding=backbone.name != "mobilenet_v2")
    return dataclasses.replace(job.spec, backbone=backbone, num_classes=num_classes)


def _prepare_folder(job: TrainingJob, folder: Path, split: Split, resume: bool) -> bool:
    """Writes the description, or compares it where there is something to go on from; returns whether there is."""
    annotations = hashlib.sha256(find_splits(job.data)["train"].read_bytes()).hexdigest()
    description = {**job.to_dict(), "images": len(split.images), "data_sha256": annotations}
    description["backend"] = keras.backend.backend()
    if not any((folder / name).is_file() for name in (CHECKPOINT_FILE, WEIGHTS_FILE)):
        write_run_description(folder, job.spec, split.categories, description)
        return False
    if not resume:
        raise UserError(f"{folder} holds a run already; add --resume to go on with it, or choose another -o")
    description["spec"] = job.spec.to_dict()
    # What an older version did not write yet, it did not decide either.
    there = {"data_sha256": annotations, **read_json(folder / RECIPE_FILE), "spec": read_json(folder / SPEC_FILE)}
    there["recipe"] = json.loads(json.dumps(TrainingRecipe.from_dict(there["recipe"]).to_dict()))
    changed = [key for key in description if there.get(key) != json.loads(json.dumps(description[key]))]
    if changed:
        raise UserError(f"{folder} was started with another {', '.join(changed)}; resume with the same options")
    for stale in folder.glob(f".{CHECKPOINT_FILE}.*"):
        stale.unlink()  # a checkpoint that a kill cut short
    return (folder / CHECKPOINT_FILE).is_file()


def _fit(
    job: TrainingJob, folder: Path, split: Split, resume: bool, further: Sequence[keras.callbacks.Callback]
) -> None:
    recipe = job.recipe
    data = make_training_data(
        split,
        job.spec,
        batch_size=recipe.batch_size,
        seed=job.seed,
        augment=recipe.augment,
        assignment=recipe.assignment,
    )
    plan = make_plan(recipe.epochs, data.steps_per_epoch)
    dropped = make_regularization(recipe, plan.total_steps, job.seed)
    momentum = recipe.bn_momentum(plan.total_steps)
    model = build_detector(job.spec, bn_momentum=momentum, regularization=dropped, every_exit=True)
    if job.backbone_weights is not None and not resume:
        _load_backbone(model, job)
    if job.backbone_weights is not None:
        freeze(model, recipe.frozen_stride)
    model = accumulating(model, recipe.accumulate, rates=recipe.class_loss == "quality_focal")
    loss_weights = exit_loss_weights(job.spec, recipe.exit_weights) if job.spec.exits else None
    compile_detector(model, recipe, plan.total_steps, loss_weights)
    first_round = restore_checkpoint(model, folder / CHECKPOINT_FILE) if resume else 0
    start_step = first_round * plan.steps_per_round
    progress = Progress(plan.total_steps, start_step)
    steps = {"start_step": start_step, "steps_per_round": plan.steps_per_round}
    callbacks = [
        NanGuard(data.files, start_step),
        *_validation(job, data, plan, split.categories),
        RunLog(folder / LOG_FILE, **steps, steps_per_epoch=data.steps_per_epoch),
        progress,
        Checkpoint(folder / CHECKPOINT_FILE, plan.steps_per_round),
        *further,
    ]
    try:
        if first_round < plan.rounds:
            model.fit(
                repeat_targets(data.iterate(start_step), job.spec),
                steps_per_epoch=plan.steps_per_round,
                initial_epoch=first_round,
                epochs=plan.rounds,
                callbacks=callbacks,
                verbose=0,
                shuffle=False,
            )
    finally:
        progress.close()
    _finalize(model, job, data, plan)
    if data.skipped:
        logger.warning("%d of %d images were skipped in training:", len(data.skipped), len(split.images))
        for reason in data.skipped.values():
            logger.warning("  %s", reason)
        skipped = {str(path): reason for path, reason in data.skipped.items()}
        write_text_atomically(folder / SKIPPED_FILE, json.dumps(skipped, indent=1) + "\n")
    save_weights(model, folder / WEIGHTS_FILE)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def _finalize(model: Any, job: TrainingJob, data: TrainingData, plan: Plan) -> None:
    """Takes the averaged weights and gives them fitting batch-norm statistics."""
    if model.optimizer.use_ema:
        take_averages(model)
    # These steps run without a compiled graph, where a few large batches cost less than many small ones.
    joined = math.ceil(_STATISTICS_BATCH / job.recipe.batch_size)
    batches = (images for images, _ in data.iterate(plan.total_steps))
    joined_batches = (np.concatenate([next(batches) for _ in range(joined)]) for _ in range(_STATISTICS_BATCHES))
    recompute_statistics(model, joined_batches, _STATISTICS_BATCHES)


def readable(split: Split) -> Split:
    """Leaves out images that cannot be read, so that a validation cannot end a training halfway."""
    readable = []
    for record in split.images:
        try:
            read_record(record)
        except ImageError as error:
            logger.warning("left out of the validation: %s", error)
        else:
            readable.append(record)
    return dataclasses.replace(split, images=tuple(readable))


def _load_backbone(model: Any, job: TrainingJob) -> None:
    from nasfpn_lite.backbones.pretrained import load_keras_download, load_pretrained

    source, backbone = job.backbone_weights, job.spec.backbone.name
    if source == "imagenet" and backbone != "mobilenet_v2":
        raise UserError(
            f"there are no {backbone} weights in the package; give --backbone-weights PATH, for a ResNet of 50 or 101 "
            "layers also --backbone-weights keras, which downloads them, or --no-pretrained"
        )
    if source == "keras":
        names = load_keras_download(model, backbone=backbone)
    else:
        names = load_pretrained(model, path=None if source == "imagenet" else Path(str(source)), backbone=backbone)
    logger.info("backbone: %d layers from %s weights", len(names), source)


def _validation(job: TrainingJob, data: TrainingData, plan: Plan, categories: tuple[Category, ...]) -> list[Validation]:
    if job.recipe.validations < 1 or "val" not in find_splits(job.data):
        return []
    split = readable(load_split(job.data, "val", categories=categories, seed=job.seed))
    if not split.images:
        return []
    rounds = {round(plan.rounds * (i + 1) / job.recipe.validations) - 1 for i in range(job.recipe.validations)}

    def score(model: Any) -> float:
        return evaluate(KerasDetector(model, job.spec, categories), split).summary["AP"] or 0.0

    return [Validation(rounds, lambda model: _finalize(model, job, data, plan), score)]
