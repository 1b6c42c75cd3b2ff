"""On JAX, two devices or two processes train what one device trains; and what would not be seen as the same."""

import pytest

from tests.team_runs import difference, read_team, start_team

SAME = ("sgd", "adamw", "drop_block", "parts")
TOLERANCE = 1e-5  # sums in another order: a few float32 roundings over four steps


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("teams")
    teams = {
        "one": start_team(folder / "one.npz", [*SAME, "bfloat16"], "jax"),
        "devices": start_team(folder / "devices.npz", [*SAME, "bfloat16"], "jax", devices=2),
        "processes": start_team(folder / "processes.npz", [*SAME, "wrong_shares"], "jax", processes=2),
    }
    return {name: read_team(folder / f"{name}.npz", team) for name, team in teams.items()}


@pytest.mark.parametrize("team", ["devices", "processes"])
@pytest.mark.parametrize("scenario", SAME)
def test_a_team_trains_what_one_device_trains(numbers: dict[str, dict], team: str, scenario: str) -> None:
    assert difference(numbers[team][scenario], numbers["one"][scenario]) < TOLERANCE


def test_bfloat16_trains_the_same_with_less_precision(numbers: dict[str, dict]) -> None:
    assert difference(numbers["devices"]["bfloat16"], numbers["one"]["bfloat16"]) < 0.02
    assert difference(numbers["one"]["bfloat16"], numbers["one"]["sgd"]) > TOLERANCE


def test_wrong_shares_would_be_seen(numbers: dict[str, dict]) -> None:
    assert difference(numbers["processes"]["wrong_shares"], numbers["one"]["sgd"]) > 100 * TOLERANCE


def test_batch_norms_of_halves_would_be_seen(numbers: dict[str, dict]) -> None:
    """A batch in two parts has the whole batch's gradient, but norms of each part alone."""
    assert difference(numbers["one"]["parts"], numbers["one"]["sgd"]) > 100 * TOLERANCE
