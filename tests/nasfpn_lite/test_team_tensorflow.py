"""On TensorFlow, two devices train what one device trains; and what would not be seen as the same."""

import dataclasses

import pytest

from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.team import TeamError
from tests.team_runs import difference, read_team, start_team

SAME = ("sgd", "adamw")
WRONG = ("own_norms", "keras_step")
TOLERANCE = 1e-5  # sums in another order, and a variance as a difference of squares


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("teams")
    teams = {
        "one": start_team(folder / "one.npz", [*SAME, "bfloat16"], "tensorflow"),
        "devices": start_team(folder / "devices.npz", [*SAME, *WRONG, "bfloat16"], "tensorflow", devices=2),
    }
    return {name: read_team(folder / f"{name}.npz", team) for name, team in teams.items()}


@pytest.mark.parametrize("scenario", SAME)
def test_two_devices_train_what_one_trains(numbers: dict[str, dict], scenario: str) -> None:
    assert difference(numbers["devices"][scenario], numbers["one"][scenario]) < TOLERANCE


def test_bfloat16_trains_the_same_with_less_precision(numbers: dict[str, dict]) -> None:
    assert difference(numbers["devices"]["bfloat16"], numbers["one"]["bfloat16"]) < 10 * TOLERANCE
    assert difference(numbers["one"]["bfloat16"], numbers["one"]["sgd"]) > TOLERANCE


@pytest.mark.parametrize("scenario", WRONG)
def test_norms_of_halves_and_kerass_own_step_would_be_seen(numbers: dict[str, dict], scenario: str) -> None:
    assert difference(numbers["devices"][scenario], numbers["one"]["sgd"]) > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"accumulate": 2}, "in parts"),
        ({"drop_block_keep": 0.9}, "DropBlock"),
        ({"drop_path_keep": 0.9}, "stochastic depth"),
    ],
)
def test_what_only_jax_can_share_is_refused(change: dict[str, object], named: str) -> None:
    from nasfpn_lite.team_tensorflow import MirroredTeam

    team = MirroredTeam(["CPU:0"])
    team.devices = 2
    team.check_batch(PRESETS["finetune"])
    with pytest.raises(TeamError, match=f"{named}.* on JAX only"):
        team.check_batch(dataclasses.replace(PRESETS["finetune"], **change))
