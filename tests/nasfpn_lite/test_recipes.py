import json

import pytest

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


def test_the_papers_recipe_literally() -> None:
    paper = PRESETS["paper"]
    assert (paper.batch_size, paper.epochs, paper.learning_rate, paper.drops) == (64, 50, 0.08, (0.6, 0.8))
    assert (paper.momentum, paper.weight_decay, paper.schedule) == (0.9, 1e-3, "step")
    assert (paper.augment.scale_min, paper.augment.scale_max, paper.augment.horizontal_flip) == (0.8, 1.2, True)


def test_momenta_fit_the_length() -> None:
    short, long = recipe(schedule="cosine"), recipe(schedule="cosine")
    assert short.bn_momentum(400) == pytest.approx(0.95)
    assert long.bn_momentum(100_000) == 0.99
    assert short.ema_decay(1000) == pytest.approx(0.99)
    assert long.ema_decay(1_000_000) == 0.9998
