"""What may stand on a side, and what must be named between the sides."""

import dataclasses
from pathlib import Path

import pytest

from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.run_sides import check_sides
from nasfpn_lite.runs import Run
from nasfpn_lite.variants import VARIANTS


@pytest.fixture
def make_run(tmp_path: Path):
    def make(name: str, seed: int, *, weights: str = "", variant: str = "nasfpnlite_3x48", **more: object) -> Run:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "weights.npz").write_text(weights or name)
        recipe = {"seed": seed, "recipe": PRESETS["finetune"].to_dict(), "data_sha256": "abc", **more}
        return Run(folder, VARIANTS[variant], (Category(1, "ant"),), recipe)

    return make


def test_differences_between_the_sides_are_named(make_run) -> None:
    dropping = dataclasses.replace(PRESETS["finetune"], drop_block_keep=0.9).to_dict()
    first = [make_run(f"a{seed}", seed, recipe=dropping) for seed in range(2)]
    second = [make_run(f"b{seed}", seed, variant="nasfpnlite_5x48") for seed in range(2)]
    assert check_sides(first, second) == (
        "spec.neck.repeats: 3 against 5",
        "recipe.drop_block_keep: 0.9 against 1.0",
    )
    assert check_sides(second, [make_run(f"c{seed}", seed, variant="nasfpnlite_5x48") for seed in (3, 4)]) == ()


def test_runs_of_older_versions_lack_fields(make_run) -> None:
    old = {key: value for key, value in PRESETS["finetune"].to_dict().items() if key != "accumulate"}
    first = [make_run(f"a{seed}", seed, recipe=old, data_sha256=None) for seed in range(2)]
    assert check_sides(first, [make_run(f"b{seed}", seed) for seed in range(2)]) == ()


def test_one_training_is_not_enough(make_run) -> None:
    pair = [make_run(f"a{seed}", seed) for seed in range(2)]
    with pytest.raises(UserError, match=r"side B needs at least 2 runs(.|\n)*got 1 .*b0(.|\n)*--seed N"):
        check_sides(pair, [make_run("b0", 0)])
    with pytest.raises(UserError, match="side A holds a seed more than once"):
        check_sides([*pair, make_run("again", 1)], pair)


def test_a_side_is_one_recipe(make_run) -> None:
    longer = dataclasses.replace(PRESETS["finetune"], epochs=7).to_dict()
    with pytest.raises(UserError, match=r"side A must hold one recipe(.|\n)*recipe.epochs: 120 against 7"):
        check_sides([make_run("a0", 0), make_run("a1", 1, recipe=longer)], [make_run("b0", 0), make_run("b1", 1)])


def test_copies_and_other_data_are_refused(make_run) -> None:
    pair = [make_run(f"a{seed}", seed) for seed in range(2)]
    with pytest.raises(UserError, match=r"a1 and .*copy hold the same weights"):
        check_sides(pair, [make_run("copy", 0, weights="a1"), make_run("b1", 1)])
    with pytest.raises(UserError, match="different annotations"):
        check_sides(pair, [make_run(f"c{seed}", seed, data_sha256="def") for seed in range(2)])
