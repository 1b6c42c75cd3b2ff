import json

import pytest

from nasfpn_lite.preset_notes import PRESET_NOTES, describe_presets
from nasfpn_lite.recipes import PRESETS, RecipeError, TrainingRecipe


def recipe(**changes: object) -> TrainingRecipe:
    return TrainingRecipe(**{"batch_size": 8, "epochs": 1, "learning_rate": 0.8, "warmup_steps": 10, **changes})


def test_recipes_round_trip_and_refuse() -> None:
    for recipe in PRESETS.values():
        assert TrainingRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(RecipeError, match="schedule must be step or cosine"):
        TrainingRecipe(batch_size=8, epochs=1, learning_rate=0.1, schedule="linear")  # type: ignore[arg-type]


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(RecipeError, match="optimizer must be sgd or adamw, got 'adam'"):
        recipe(schedule="cosine", optimizer="adam")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("box_loss", "box_loss must be huber or giou, got 'x'"),
        ("precision", "precision must be float32 or mixed_bfloat16, got 'x'"),
    ],
)
def test_unknown_choices_are_refused(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(schedule="cosine", **{name: "x"})


def test_older_recipes_are_what_they_were() -> None:
    old = recipe(schedule="cosine").to_dict()
    del old["box_loss"], old["augment"]["mosaic"]
    assert TrainingRecipe.from_dict(old) == recipe(schedule="cosine")


def test_the_papers_recipe_literally() -> None:
    paper = PRESETS["paper"]
    assert (paper.batch_size, paper.epochs, paper.learning_rate, paper.drops) == (64, 50, 0.08, (0.6, 0.8))
    assert (paper.momentum, paper.weight_decay, paper.schedule) == (0.9, 1e-3, "step")
    assert (paper.augment.scale_min, paper.augment.scale_max, paper.augment.horizontal_flip) == (0.8, 1.2, True)


def test_the_other_published_recipes_literally() -> None:
    dropping, cosine, crop = (PRESETS[name] for name in ("paper_dropblock", "amoebanet_cosine", "crop640"))
    assert (dropping.epochs, dropping.drops, dropping.batch_size) == (150, (0.8, 140 / 150), 64)
    assert [round(drop * dropping.epochs) for drop in dropping.drops] == [120, 140]
    assert (dropping.drop_block_keep, dropping.drop_block_ramp) == (0.9, True)
    assert (cosine.schedule, cosine.epochs, cosine.learning_rate, cosine.drop_block_keep) == ("cosine", 50, 0.08, 1)
    assert (crop.batch_size, crop.epochs, crop.learning_rate, crop.drops) == (64, 50, 0.08, (0.6, 0.8))
    assert (crop.warmup_steps, crop.clip_norm, crop.ema, crop.frozen_stride) == (1000, None, False, 4)
    assert (crop.augment.scale_min, crop.augment.scale_max) == (0.8, 1.2)


def test_every_preset_says_where_it_comes_from() -> None:
    assert list(PRESETS) == list(PRESET_NOTES)
    text = describe_presets()
    for name, note in PRESET_NOTES.items():
        assert name in text and note.source in text and note.expected in text and note.own_choices in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulate": 3}, "8 images cannot be computed in 3 equal parts"),
        ({"accumulate": 0}, "accumulate must be positive"),
        ({"drop_block_keep": 1.5}, "drop_block_keep must be above 0 and at most 1, got 1.5"),
        ({"drop_block_keep": 0.0}, "drop_block_keep must be above 0"),
        ({"drop_path_keep": 1.5}, "drop_path_keep must be above 0 and at most 1"),
        ({"clip_norm": 0.0}, "clip_norm must be positive"),
        ({"learning_rate": float("inf")}, "learning_rate must be positive and finite, got inf"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive and finite, got nan"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"warmup_steps": -5}, "warmup_steps must be at least 0"),
        ({"validations": -1}, "validations must be at least 0"),
        ({"exit_weights": (float("inf"), 1)}, "exit_weights must be positive and finite"),
        ({"drops": (0.5,)}, r"for the schedule step; got \(0.5,\) for cosine"),
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(schedule="cosine", **changes)


@pytest.mark.parametrize("drops", [(30, 40), (0.8, 0.6), (0.5, 0.5), (0, 0.5), (0.5, 1)])
def test_drops_that_would_never_come_are_refused(drops: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="drops are fractions of the training between 0 and 1, in increasing order"):
        recipe(schedule="step", drops=drops)
    assert recipe(schedule="step", drops=(0.6, 0.8)).drops == (0.6, 0.8)


def test_a_file_with_words_for_numbers_is_no_recipe() -> None:
    data = recipe(schedule="cosine").to_dict()
    with pytest.raises(RecipeError, match="no training recipe of this version"):
        TrainingRecipe.from_dict({**data, "exit_weights": ["a"]})


def test_momenta_fit_the_length() -> None:
    short, long = recipe(schedule="cosine"), recipe(schedule="cosine")
    assert short.bn_momentum(400) == pytest.approx(0.95)
    assert recipe(schedule="cosine", accumulate=2).bn_momentum(200) == pytest.approx(0.95)
    assert long.bn_momentum(100_000) == 0.99
    assert short.ema_decay(1000) == pytest.approx(0.99)
    assert long.ema_decay(1_000_000) == 0.9998
