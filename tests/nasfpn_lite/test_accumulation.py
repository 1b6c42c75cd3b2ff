"""A batch in parts gives the update of the whole batch, on both backends."""

import keras
import numpy as np
import pytest

from nasfpn_lite.accumulation import accumulating
from nasfpn_lite.errors import UserError
from nasfpn_lite.fitting import compile_detector
from nasfpn_lite.losses import BoxLoss, FocalLoss
from nasfpn_lite.recipes import TrainingRecipe

BATCH, ANCHORS, STEPS = 8, 24, 3


def tiny_detector(momentum: float = 0.9) -> keras.Model:
    """Two outputs as a detector's; its batch norm is frozen, since it would see each part alone."""
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 6, 3), name="image")
    x = keras.layers.Conv2D(5, 3, padding="same", name="conv")(image)
    norm = keras.layers.BatchNormalization(momentum=momentum, name="bn")
    norm.trainable = False
    x = keras.layers.ReLU(name="act")(norm(x))
    outputs = {}
    for name, values in (("class_logits", 2), ("box_encodings", 4)):
        y = keras.layers.Conv2D(values, 1, name=f"{name}_conv")(x)
        outputs[name] = keras.layers.Reshape((ANCHORS, values), name=name)(y)
    return keras.Model(image, outputs)


def batches() -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Image i has 3 i positive anchors: the parts' numbers of positives are as unequal as can be."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(STEPS):
        positive = np.arange(ANCHORS) < 3 * np.arange(BATCH)[:, None]
        labels = np.where(positive, rng.integers(0, 2, (BATCH, ANCHORS)), -1).astype(np.int32)
        boxes = np.concatenate([rng.normal(size=(BATCH, ANCHORS, 4)), positive[..., None]], -1).astype(np.float32)
        made.append(
            (rng.normal(size=(BATCH, 4, 6, 3)).astype(np.float32), {"class_logits": labels, "box_encodings": boxes})
        )
    return made


def recipe(**changes: object) -> TrainingRecipe:
    options = {"batch_size": BATCH, "epochs": 1, "learning_rate": 0.05, "schedule": "step", "drops": (0.5,)}
    return TrainingRecipe(**{**options, "warmup_steps": 2, "weight_decay": 0.1, **changes})


def train(model: keras.Model, options: TrainingRecipe) -> tuple[dict[str, float], list[np.ndarray]]:
    """Returns the losses and all numbers of a training: weights, momenta, averages, steps."""
    compile_detector(model, options, STEPS)
    history = model.fit((batch for batch in batches()), steps_per_epoch=STEPS, verbose=0, shuffle=False)
    numbers = [np.array(variable) for variable in (*model.weights, *model.optimizer.variables)]
    return {key: values[0] for key, values in history.history.items()}, numbers


def differ(left: list[np.ndarray], right: list[np.ndarray]) -> float:
    return max(float(np.abs(a.astype(float) - b).max()) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(
    ("parts", "changes"),
    [
        (2, {"clip_norm": 0.05}),
        (8, {"optimizer": "adamw"}),
        (4, {"ema": False}),
        (4, {"box_loss": "giou"}),
    ],
)
def test_parts_give_the_update_of_the_whole_batch(parts: int, changes: dict[str, object]) -> None:
    whole_losses, whole = train(accumulating(tiny_detector(), 1), recipe(**changes))
    losses, numbers = train(accumulating(tiny_detector(), parts), recipe(**changes))
    start = [np.array(variable) for variable in tiny_detector().weights]
    assert differ(start, whole[: len(start)]) > 1e-3
    assert differ(whole, numbers) < 3e-6
    assert losses.keys() == whole_losses.keys() == {"loss", "class_logits_loss", "box_encodings_loss"}
    assert losses == pytest.approx(whole_losses, rel=1e-5)


def test_parts_give_the_update_of_the_whole_batch_at_every_exit() -> None:
    shares = {"exit1_class_logits": 0.25, "exit1_box_encodings": 0.25, "class_logits": 0.75, "box_encodings": 0.75}
    numbers = []
    for parts, weights in ((1, shares), (4, shares), (4, dict.fromkeys(shares, 0.5))):
        plain = tiny_detector()
        outputs = {f"exit1_{name}": keras.layers.ReLU(name=f"exit1_{name}")(y) for name, y in plain.output.items()}
        model = accumulating(keras.Model(plain.input, {**plain.output, **outputs}), parts)
        compile_detector(model, recipe(), STEPS, weights)
        for images, targets in batches():
            model.train_on_batch(images, {**targets, **{f"exit1_{name}": value for name, value in targets.items()}})
        numbers.append([np.array(variable) for variable in (*model.weights, *model.optimizer.variables)])
    assert differ(numbers[0], numbers[1]) < 3e-6
    assert differ(numbers[0], numbers[2]) > 1e-3


def test_kerass_own_accumulation_does_not() -> None:
    """What the module is there for: if this fails, Keras may have become good enough."""
    images, targets = batches()[0]
    weights = []
    for parts in (1, 2):
        model = tiny_detector()
        optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=parts if parts > 1 else None)
        model.compile(optimizer, {"class_logits": FocalLoss(), "box_encodings": BoxLoss()})
        for part in np.split(np.arange(BATCH), parts):
            model.train_on_batch(images[part], {key: value[part] for key, value in targets.items()})
        weights.append(model.get_weights())
    assert differ(*weights) > 1e-3


def test_batch_norms_in_training_see_the_parts_in_turn() -> None:
    model = accumulating(tiny_detector(momentum=0.5), 2)
    norm = model.get_layer("bn")
    norm.trainable = True
    compile_detector(model, recipe(learning_rate=1e-12, weight_decay=0.0), STEPS)
    images, targets = batches()[0]
    conv = np.array(model.get_layer("conv")(images))
    model.train_on_batch(images, targets)
    means = [conv[::2].mean(axis=(0, 1, 2)), conv[1::2].mean(axis=(0, 1, 2))]
    np.testing.assert_allclose(np.array(norm.moving_mean), 0.25 * means[0] + 0.5 * means[1], atol=1e-5)


def test_one_part_is_the_model_itself_and_parts_must_fit() -> None:
    model = tiny_detector()
    assert accumulating(model, 1) is model
    divided = accumulating(model, 3)
    compile_detector(divided, recipe(), STEPS)
    with pytest.raises(UserError, match="a batch of 8 images cannot be computed in 3 equal parts"):
        divided.train_on_batch(*batches()[0])
