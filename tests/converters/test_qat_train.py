"""Training on int8 grids goes on with the run's losses; tf_keras is imported in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="quantization-aware training is not installed",
)

SCRIPT = """
import json
from dataclasses import replace

import numpy as np
import tf_keras

from nasfpn_lite.converters.qat_recipe import QatRecipe
from nasfpn_lite.converters.qat_train import _Trainer
from nasfpn_lite.recipes import PRESETS

ANCHORS = 24
labels = np.where(np.arange(ANCHORS) < 9, 1, -1)[None].repeat(2, axis=0).astype(np.int32)
rng = np.random.default_rng(0)
codes = rng.normal(0, 0.3, (2, ANCHORS, 4))
boxes = np.concatenate([codes, (labels >= 0)[..., None]], axis=-1).astype(np.float32)
images = rng.normal(size=(2, 4, 6, 3)).astype(np.float32)
for changes in ({}, {"box_loss": "giou"}):
    image = tf_keras.Input((4, 6, 3))
    outputs = {
        name: tf_keras.layers.Reshape((ANCHORS, values))(tf_keras.layers.Conv2D(values, 1)(image))
        for name, values in (("class_logits", 2), ("box_encodings", 4))
    }
    recipe = replace(PRESETS["finetune"], **changes)
    trainer = _Trainer(tf_keras.Model(image, outputs), QatRecipe(), recipe, total_steps=10)
    targets = {"class_logits": labels, "box_encodings": boxes}
    logs = [trainer.step(step, images, targets) for step in range(2)]
    names = [type(loss).__name__ for loss in trainer.losses.values()]
    print(json.dumps({"losses": names, "finite": all(0 < value < 100 for row in logs for value in row.values())}))
"""


def test_the_losses_are_those_of_the_run() -> None:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", SCRIPT]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stderr[-3000:]
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"losses": ["FocalLoss", "BoxLoss"], "finite": True},
        {"losses": ["FocalLoss", "GIoULoss"], "finite": True},
    ]
