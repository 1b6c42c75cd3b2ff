import pytest

from nasfpn_lite.train import make_plan


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "expected"),
    [(13, 6, (26, 3)), (60, 25, (25, 60)), (50, 1848, (500, 185)), (1, 4, (4, 1)), (100, 40, (40, 100))],
)
def test_plan(epochs: int, steps_per_epoch: int, expected: tuple[int, int]) -> None:
    plan = make_plan(epochs, steps_per_epoch)
    assert (plan.steps_per_round, plan.rounds) == expected
    assert 0 <= plan.total_steps - epochs * steps_per_epoch < plan.rounds
