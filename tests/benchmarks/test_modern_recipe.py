import pytest

from nasfpn_lite.benchmarks.modern_recipe import ARMS, main, make_recipe
from nasfpn_lite.recipes import PRESETS


def changed(arm: str) -> dict[str, object]:
    """What an arm changes of `finetune`, its length and validation aside."""
    plain = PRESETS["finetune"].to_dict()
    plain |= plain.pop("augment")
    recipe = make_recipe(arm, epochs=plain["epochs"], any_orientation=False).to_dict()
    recipe |= recipe.pop("augment")
    return {key: value for key, value in recipe.items() if value != plain[key] and key != "validations"}


def test_each_part_alone_and_both():
    assert [changed(arm) for arm in ARMS] == [
        {},
        {"box_loss": "giou"},
        {"mosaic": 0.5},
        {"box_loss": "giou", "mosaic": 0.5},
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_all_arms_are_as_long_and_turn_alike(turned):
    recipes = [make_recipe(arm, epochs=7, any_orientation=turned) for arm in ARMS]
    assert {(r.epochs, r.augment.rotate_90, r.augment.vertical_flip, r.validations) for r in recipes} == {
        (7, turned, turned, 0)
    }


@pytest.mark.parametrize("folder", ["absent", "."])
def test_a_wrong_folder_is_one_line(folder, tmp_path, capsys):
    assert main(["--data", str(tmp_path / folder), "-o", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
