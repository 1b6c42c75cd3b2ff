"""One process of a team that trains a few steps of a network small enough to compile in seconds; run by tests.

    python -m tests.team_worker OUT.npz '{"devices": 2}' sgd adamw

Writes all numbers of each training, "SCENARIO/0" and so on. The batches are the same whoever computes them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

BATCH, ANCHORS, STEPS = 8, 24, 4
SCENARIOS: dict[str, dict[str, Any]] = {
    "sgd": {"clip_norm": 0.05},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.002},
    "drop_block": {"drop_block_keep": 0.7},
    "parts": {"accumulate": 2},
    "bfloat16": {"precision": "mixed_bfloat16", "clip_norm": 0.05},
    # What must not give the same:
    "wrong_shares": {"clip_norm": 0.05},
    "own_norms": {"clip_norm": 0.05},
    "keras_step": {"clip_norm": 0.05},
}


def batches() -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Images grow brighter and have more positives from first to last: halves of a batch are as unlike as can be."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(STEPS):
        positive = np.arange(ANCHORS) < 3 * np.arange(BATCH)[:, None]
        labels = np.where(positive, rng.integers(0, 2, (BATCH, ANCHORS)), -1).astype(np.int32)
        boxes = np.concatenate([rng.normal(size=(BATCH, ANCHORS, 4)), positive[..., None]], -1).astype(np.float32)
        images = rng.normal(size=(BATCH, 4, 6, 3)) + np.arange(BATCH)[:, None, None, None] / 2
        made.append((images.astype(np.float32), {"class_logits": labels, "box_encodings": boxes}))
    return made


def share(batch: Any, index: int, count: int) -> Any:
    import keras

    size = BATCH // count
    return keras.tree.map_structure(lambda x: x[index * size : (index + 1) * size], batch)


def tiny_detector(keep: float) -> Any:
    import keras

    from nasfpn_lite.regularizers import DropBlock, Dropping

    keras.utils.set_random_seed(0)
    image = keras.Input((4, 6, 3), name="image")
    x = keras.layers.Conv2D(5, 3, padding="same", use_bias=False, name="conv")(image)
    x = keras.layers.BatchNormalization(momentum=0.5, name="bn")(x)
    x = DropBlock(Dropping(keep), name="drop")(x) if keep < 1 else x
    x = keras.layers.ReLU(name="act")(x)
    outputs = {}
    for name, values in (("class_logits", 2), ("box_encodings", 4)):
        y = keras.layers.Conv2D(values, 1, name=f"{name}_conv")(x)
        outputs[name] = keras.layers.Reshape((ANCHORS, values), name=name)(y)
    return keras.Model(image, outputs)


def train(team: Any, scenario: str) -> list[np.ndarray]:
    """Returns weights, momenta, averages and batch-norm statistics, and the mean loss."""
    import keras

    from nasfpn_lite.accumulation import accumulating
    from nasfpn_lite.fitting import compile_detector
    from nasfpn_lite.recipes import TrainingRecipe

    options = {"learning_rate": 0.05, "schedule": "step", "drops": (0.5,), "warmup_steps": 2, "weight_decay": 0.1}
    recipe = TrainingRecipe(batch_size=BATCH, epochs=1, **{**options, **SCENARIOS[scenario]})
    team.check_batch(recipe)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.precision)
    with team.scope():
        model = accumulating(tiny_detector(recipe.drop_block_keep), recipe.accumulate)
        if scenario != "keras_step":
            model = team.prepare(model)
        if scenario == "own_norms":
            model.get_layer("bn").synchronized = False
        compile_detector(model, recipe, STEPS)
    assert model.get_layer("conv").compute_dtype == ("float32" if recipe.precision == "float32" else "bfloat16")
    index = 0 if scenario == "wrong_shares" else team.index
    shares = team.feed(lambda: (share(batch, index, team.processes) for batch in batches()))
    with team.fitting():
        history = model.fit(shares, steps_per_epoch=STEPS, verbose=0, shuffle=False)
    keras.config.set_dtype_policy(policy)
    losses = [np.array(history.history[key][0], np.float64) for key in sorted(history.history)]
    numbers = [keras.ops.convert_to_numpy(variable) for variable in (*model.weights, *model.optimizer.variables)]
    assert {array.dtype.name for array in numbers} <= {"float32", "int32", "int64"}, scenario
    return [*numbers, *losses]


def main(out: str, options: str, *scenarios: str) -> None:
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from nasfpn_lite.team import TeamOptions, assemble
    from nasfpn_lite.weights import save_arrays

    team = assemble(TeamOptions(**json.loads(options)))
    arrays = {}
    for scenario in scenarios:
        arrays |= {f"{scenario}/{i}": array for i, array in enumerate(train(team, scenario))}
    if team.is_first:
        save_arrays(arrays, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
