"""Training: from a folder of photos to a run folder. Every piece also serves a plain `compile` and `fit`."""

import dataclasses
import importlib.util
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from nasfpn_lite.accumulation import accumulating
from nasfpn_lite.callbacks import NanGuard, Progress, RunLog, Validation
from nasfpn_lite.checkpoint import Checkpoint, restore_checkpoint
from nasfpn_lite.data.coco import find_splits, load_split
from nasfpn_lite.data.pipeline import TrainingData, make_training_data
from nasfpn_lite.data.records import Category, Split
from nasfpn_lite.detector import build_detector
from nasfpn_lite.errors import UserError
from nasfpn_lite.exits import exit_loss_weights, repeat_targets
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.fitting import compile_detector, freeze, make_regularization
from nasfpn_lite.runs import (
    CHECKPOINT_FILE,
    LOG_FILE,
    SKIPPED_FILE,
    WEIGHTS_FILE,
    Run,
    load_run,
)
from nasfpn_lite.shipping import SharedScore, Shipping, ShippingPlan
from nasfpn_lite.team import PeerLostError, Team, TeamOptions, assemble
from nasfpn_lite.training_job import (
    Plan,
    TrainingJob,
    describe,
    fitting_spec,
    make_plan,
    prepare_folder,
    require_equal_jobs,
)
from nasfpn_lite.weights import save_weights

logger = logging.getLogger(__name__)


def train(
    job: TrainingJob,
    folder: Path,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    team: TeamOptions = TeamOptions(),  # noqa: B008 - frozen
) -> Run:
    """Trains a detector and writes a run folder.

    On one machine and backend the result depends on the job alone: an interrupted and resumed run ends with the same
    weights. Several devices or processes give the same up to rounding, and may go on with a run of another number.

    Args:
        tensorboard: Also write TensorBoard's logs, to folder/tensorboard; needs the package tensorboard.
        callbacks: Called after those that a training has anyway; an epoch of theirs is a round of the training.
        team: Who computes it together. Each process of several calls this; the first one alone writes and reads
            `folder`, and all read `job.data`.

    Raises:
        UserError: The data, the spec or the folder does not allow it, the loss became NaN, or a process was lost.
    """
    folder = Path(folder)
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs TensorFlow and the package tensorboard; pip install them or leave it out")
    split = load_split(job.data, "train", seed=job.seed)
    job = dataclasses.replace(job, spec=fitting_spec(job, len(split.categories)))
    if job.recipe.exit_weights and not job.spec.exits:
        raise UserError("weights of exits (--exit-weights) go with exits: give --exits every, or leave them out")
    if len(job.recipe.exit_weights) not in (0, len(job.spec.exits)):
        raise UserError(
            f"expected a weight for each of the {len(job.spec.exits)} exits, got {list(job.recipe.exit_weights)}"
        )
    # All that can be wrong in one process alone has been found: from here on the others would wait for it.
    members = assemble(team)
    members.check_batch(job.recipe)
    description = describe(job, split)
    require_equal_jobs(members, job, description)
    resume = members.let_first_decide(lambda: prepare_folder(job, folder, split, resume))
    if members.let_first_decide(lambda: (folder / WEIGHTS_FILE).is_file()):
        logger.info("%s is finished; nothing to resume", folder)
    else:
        keras.utils.set_random_seed(job.seed)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(job.recipe.precision)
        try:
            with _telling_how_to_go_on(folder, members):
                own = [keras.callbacks.TensorBoard(folder / "tensorboard")] if tensorboard and members.is_first else []
                _fit(job, folder, split, [*own, *callbacks], resume, members)
        finally:
            keras.config.set_dtype_policy(policy)
    return load_run(folder) if members.is_first else Run(folder, job.spec, split.categories, description)


@contextmanager
def _telling_how_to_go_on(folder: Path, team: Team) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if (folder / CHECKPOINT_FILE).is_file():
            logger.warning("interrupted; the same command with --resume goes on from the last checkpoint in %s", folder)
        else:
            logger.warning("interrupted before the first checkpoint; the same command begins anew in %s", folder)
        raise
    except (RuntimeError, ValueError) as error:
        if not team.tells_of_lost_peer(error):
            raise
        raise PeerLostError(
            f"another of the {team.processes} processes has ended: {str(error).splitlines()[0]}\n"
            "see what it has said; then start all again with --resume"
        ) from error


def _fit(
    job: TrainingJob,
    folder: Path,
    split: Split,
    further: Sequence[keras.callbacks.Callback],
    resume: bool,
    team: Team,
) -> None:
    recipe = job.recipe
    data = make_training_data(
        split,
        job.spec,
        batch_size=recipe.batch_size // team.processes,
        seed=job.seed,
        augment=recipe.augment,
        shard=(team.index, team.processes),
    )
    plan = make_plan(recipe.epochs, data.steps_per_epoch)
    with team.scope():
        model = _build(job, plan)
        if job.backbone_weights is not None and not resume:
            _load_backbone(model, job)
        model = team.prepare(accumulating(model, recipe.accumulate))
        loss_weights = exit_loss_weights(job.spec, recipe.exit_weights) if job.spec.exits else None
        compile_detector(model, recipe, plan.total_steps, loss_weights)
        first_round = restore_checkpoint(model, folder / CHECKPOINT_FILE, team) if resume else 0
    at_once = recipe.batch_size // recipe.accumulate
    shipping = Shipping(team, data, ShippingPlan(plan.total_steps, at_once), lambda: _build(job, plan))
    start_step = first_round * plan.steps_per_round
    steps = {"start_step": start_step, "steps_per_round": plan.steps_per_round}
    log = RunLog(folder / LOG_FILE if team.is_first else None, **steps, steps_per_epoch=data.steps_per_epoch)
    callbacks = [
        NanGuard(data.unsharded().files, start_step),
        *_validation(job, plan, split.categories, team, shipping),
        log,
    ]
    progress = Progress(plan.total_steps, start_step)
    if team.is_first:
        callbacks += [progress, Checkpoint(folder / CHECKPOINT_FILE)]
    callbacks += further
    try:
        if first_round < plan.rounds:
            with team.fitting():
                model.fit(
                    team.feed(lambda: repeat_targets(data.iterate(start_step), job.spec)),
                    steps_per_epoch=plan.steps_per_round,
                    initial_epoch=first_round,
                    epochs=plan.rounds,
                    callbacks=callbacks,
                    verbose=0,
                    shuffle=False,
                )
    finally:
        progress.close()
    skipped = _gather_skipped(data, team)
    if skipped and team.is_first:
        logger.warning("%d of %d images were skipped in training:", len(skipped), len(split.images))
        for reason in skipped.values():
            logger.warning("  %s", reason)
        write_text_atomically(folder / SKIPPED_FILE, json.dumps(skipped, indent=1) + "\n")
    with shipping.shipped(model) as final:
        if team.is_first:
            save_weights(final, folder / WEIGHTS_FILE)
            (folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def _build(job: TrainingJob, plan: Plan) -> Any:
    """Builds the detector of a training, with random weights."""
    recipe = job.recipe
    dropped = make_regularization(recipe, plan.total_steps, job.seed)
    momentum = recipe.bn_momentum(plan.total_steps)
    model = build_detector(job.spec, bn_momentum=momentum, regularization=dropped, every_exit=True)
    if job.backbone_weights is not None:
        freeze(model, recipe.frozen_stride)
    return model


def _gather_skipped(data: TrainingData, team: Team) -> dict[str, str]:
    """Returns the images that any process could not read, and why."""
    found = team.gather({str(path): reason for path, reason in data.skipped.items()})
    return {path: reason for skipped in found for path, reason in skipped.items()}


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


def _validation(
    job: TrainingJob, plan: Plan, categories: tuple[Category, ...], team: Team, shipping: Shipping
) -> list[Validation]:
    if job.recipe.validations < 1 or "val" not in find_splits(job.data):
        return []
    score = SharedScore(team, load_split(job.data, "val", categories=categories, seed=job.seed), job.spec, categories)
    if not score.split.images:
        return []
    rounds = {round(plan.rounds * (i + 1) / job.recipe.validations) - 1 for i in range(job.recipe.validations)}
    return [Validation(rounds, shipping.shipped, score)]
