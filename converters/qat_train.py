"""Quantization-aware training of a run's detector. Runs in its own process: it imports tf_keras beside Keras."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from nasfpn_lite.callbacks import NanGuard, Progress, RunLog
from nasfpn_lite.converters.calibration import as_batches, load_calibration
from nasfpn_lite.converters.convert import RANGES
from nasfpn_lite.converters.qat_layers import PREFIX, build_twin, quantize_twin, read_ranges, write_ranges
from nasfpn_lite.converters.qat_plan import LayerPlan, plan_quantization
from nasfpn_lite.converters.qat_recipe import TRAINED_FILE, QatJob, QatRecipe
from nasfpn_lite.converters.ranges import Ranges, measure_ranges, on_grid
from nasfpn_lite.data.coco import find_splits, load_split
from nasfpn_lite.data.pipeline import make_training_data
from nasfpn_lite.data.records import Split
from nasfpn_lite.detector import build_detector
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import evaluate
from nasfpn_lite.fitting import make_losses
from nasfpn_lite.folding import folded_detector
from nasfpn_lite.keras_detector import KerasDetector
from nasfpn_lite.recipes import TrainingRecipe
from nasfpn_lite.runs import CHECKPOINT_FILE, LOG_FILE, WEIGHTS_FILE, Run, load_run
from nasfpn_lite.shipping import readable
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.training_job import make_plan
from nasfpn_lite.weights import load_arrays, save_arrays, set_arrays, to_arrays

logger = logging.getLogger(__name__)

_WARMUP_SHARE = 0.1
_START_PHOTOS = 200  # enough to see a broken network


class QuantizedDetector:
    """The network in training: float weights that are put on int8 grids in every pass.

    Attributes:
        spec: Of the folded network: every level has its own towers.
        model: The tf_keras model.
    """

    def __init__(self, run: Run) -> None:
        self.spec: DetectorSpec
        self.spec, arrays = folded_detector(run.spec, load_arrays(run.folder / WEIGHTS_FILE))
        self.folded = build_detector(self.spec, folded=True)
        set_arrays(self.folded, arrays)
        self.plan: tuple[LayerPlan, ...] = plan_quantization(self.folded)
        twin = build_twin(self.spec)
        set_arrays(twin, arrays)
        self.model: Any = quantize_twin(twin, self.plan)
        self._infer = tf.function(lambda images: self.model(on_grid(images), training=False))

    def predict_on_batch(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes as an int8 file does; lets `KerasDetector` take this for a model."""
        return {name: value.numpy() for name, value in self._infer(tf.constant(images)).items()}

    def measure(self, images: list[np.ndarray]) -> Ranges:
        """Sets the ranges to those of the float network over network inputs, (1, H, W, 3) each."""
        ranges = measure_ranges(self.folded, self.plan, images)
        write_ranges(self.model, ranges)
        return ranges

    def result(self) -> dict[str, np.ndarray]:
        """Returns what the converter takes: folded weights under the layers' names, and the ranges."""
        weights = {key.removeprefix(PREFIX): array for key, array in to_arrays(self.model).items()}
        result = {key: array for key, array in weights.items() if key.endswith(("/kernel", "/bias"))}
        return result | {f"{RANGES}{name}": np.array(ends) for name, ends in read_ranges(self.model).items()}


def train_quantized(job: QatJob, folder: Path) -> None:
    """Trains and writes folder/trained.npz; goes on from folder/checkpoint.npz where there is one.

    Raises:
        UserError: The network on its grids is far worse than float before the first step, or the loss became NaN.
    """
    run = load_run(job.run)
    keras.utils.set_random_seed(job.seed)
    split = load_split(job.data, "train", categories=run.categories, seed=int(run.recipe.get("seed", 0)))
    detector = QuantizedDetector(run)
    taught = TrainingRecipe.from_dict(run.recipe["recipe"])  # what the float network learned is still to be right
    data = make_training_data(
        split,
        run.spec,
        batch_size=job.recipe.batch_size,
        seed=job.seed,
        augment=taught.augment,
    )
    plan = make_plan(job.recipe.epochs, data.steps_per_epoch)
    checkpoint, start = folder / CHECKPOINT_FILE, 0
    if not checkpoint.is_file():
        calibration = load_calibration(split, run.spec, source=str(job.data), force=job.force)
        detector.measure(list(as_batches(calibration.images)))
        _check_start(detector, run, job)
    trainer = _Trainer(detector.model, job.recipe, taught, plan.total_steps)
    if checkpoint.is_file():
        start = trainer.restore(checkpoint)
    guard, progress = NanGuard(data.files, start), Progress(plan.total_steps, start)
    log = RunLog(
        folder / LOG_FILE,
        start_step=start,
        steps_per_round=plan.steps_per_round,
        steps_per_epoch=data.steps_per_epoch,
    )
    log.set_model(SimpleNamespace(optimizer=trainer.optimizer))
    batches = data.iterate(start)
    progress.on_train_begin()
    try:
        for done in range(start // plan.steps_per_round, plan.rounds):
            log.on_epoch_begin(done)
            rows = []
            for step in range(done * plan.steps_per_round, (done + 1) * plan.steps_per_round):
                rows.append(trainer.step(step, *next(batches)))
                guard.on_train_batch_end(step, rows[-1])
                progress.on_train_batch_end(step, rows[-1])
            logs = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
            log.on_epoch_end(done, logs)
            progress.on_epoch_end(done, logs)
            trainer.save(checkpoint, (done + 1) * plan.steps_per_round)
    finally:
        progress.close()
    for reason in data.skipped.values():
        logger.warning("skipped in training: %s", reason)
    trainer.optimizer.finalize_variable_values(detector.model.trainable_variables)
    save_arrays(detector.result(), folder / TRAINED_FILE)
    checkpoint.unlink(missing_ok=True)


class _Trainer:
    def __init__(self, model: Any, recipe: QatRecipe, taught: TrainingRecipe, total_steps: int) -> None:
        self.model, self.recipe, self.total_steps = model, recipe, total_steps
        self.optimizer = tf_keras.optimizers.Adam(
            learning_rate=recipe.learning_rate,
            global_clipnorm=recipe.clip_norm,
            use_ema=True,
            ema_momentum=recipe.ema_decay,
            jit_compile=False,
        )
        self.optimizer.build(model.trainable_variables)
        self.losses = make_losses(taught)
        self._step = tf.function(self._compute)

    def step(self, step: int, images: np.ndarray, targets: dict[str, np.ndarray]) -> dict[str, float]:
        """Trains on one batch; returns its losses."""
        warmup = max(1.0, _WARMUP_SHARE * self.total_steps)
        rate = 0.5 * (1 + math.cos(math.pi * step / self.total_steps)) * min(1.0, (step + 1) / warmup)
        self.optimizer.learning_rate.assign(self.recipe.learning_rate * rate)
        losses = self._step(tf.constant(images), {name: tf.constant(value) for name, value in targets.items()})
        logs = {f"{name}_loss": float(value) for name, value in losses.items()}
        return {"loss": sum(logs.values()), **logs}

    def _compute(self, images: Any, targets: dict[str, Any]) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            outputs = self.model(on_grid(images), training=True)
            losses = {name: loss(targets[name], outputs[name]) for name, loss in self.losses.items()}
            total = tf.add_n(list(losses.values()))
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
        return losses

    def _state(self) -> list[Any]:
        return [*self.model.weights, *self.optimizer.variables]

    def save(self, path: Path, step: int) -> None:
        """Writes weights, ranges, the optimizer's state and its averages."""
        arrays = {f"state/{i}": variable.numpy() for i, variable in enumerate(self._state())}
        save_arrays({**arrays, "step": np.array(step)}, path)

    def restore(self, path: Path) -> int:
        """Puts a state back; returns the step to go on with."""
        arrays, state = load_arrays(path), self._state()
        saved = [arrays[f"state/{i}"] for i in range(len(arrays) - 1)]
        if [array.shape for array in saved] != [tuple(variable.shape) for variable in state]:
            raise UserError(f"{path} belongs to another network or recipe; start afresh in another folder")
        for variable, array in zip(state, saved, strict=True):
            variable.assign(array)
        return int(arrays["step"])


def _check_start(detector: QuantizedDetector, run: Run, job: QatJob) -> None:
    split = _start_photos(run, job)
    before, after = (
        evaluate(KerasDetector(model, run.spec, run.categories), split).summary["AP"] or 0.0
        for model in (run.build_model(), detector)
    )
    logger.info("before training: AP %.4f in float, %.4f on int8 grids (%s)", before, after, split.name)
    job.recipe.check_start(before, after)


def _start_photos(run: Run, job: QatJob) -> Split:
    """Returns photos to compare on, held out if there are any; nothing is chosen by them."""
    splits = find_splits(job.data)
    for name in ("val", "test", "train"):
        if name in splits:
            split = load_split(job.data, name, categories=run.categories, seed=int(run.recipe.get("seed", 0)))
            split = readable(replace(split, images=split.images[:_START_PHOTOS]))
            if split.images:
                return split
    raise UserError(f"{job.data}: expected photos that can be read, found none")
