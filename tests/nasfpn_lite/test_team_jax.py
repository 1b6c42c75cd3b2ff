"""On JAX, two devices or two processes train what one device trains; and what would not be seen as the same."""

import threading
from typing import Any

import numpy as np
import pytest

from nasfpn_lite.team import TeamOptions
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


class TwoProcesses:
    """JAX's two collectives, for two threads."""

    def __init__(self) -> None:
        self._meeting = threading.Barrier(2, timeout=5)
        self._given: list[Any] = [None, None]
        self.lengths: set[int] = set()

    def run(self, data: tuple[bytes, bytes], all_get: str) -> list[Any]:
        from nasfpn_lite.team_jax import exchange

        results: list[Any] = [None, None]

        def pass_on(index: int, array: np.ndarray) -> np.ndarray:
            assert array.dtype == np.uint8 or array.max() < 2**31
            self._given[index] = array
            self._meeting.wait()
            stacked = np.stack(self._given)  # refuses arrays of different shapes
            self.lengths.add(array.size)
            self._meeting.wait()
            return stacked if all_get == "all" else stacked[0]

        def run(index: int) -> None:
            results[index] = exchange(lambda array: pass_on(index, array), data[index])

        threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@pytest.mark.parametrize("size", [0, 1, 8, 9, 16, 29])
def test_what_processes_tell_each_other_goes_in_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.setattr("nasfpn_lite.team_jax._PIECE_BYTES", 8)
    data, shorter = bytes(range(size)), b"\x07" * (size // 3)
    two = TwoProcesses()
    assert two.run((data, b""), all_get="first") == [[data]] * 2
    assert two.run((shorter, data), all_get="all") == [[shorter, data]] * 2
    assert max(two.lengths) <= 8


@pytest.mark.parametrize(("timeout_s", "shortest_s", "longest_s"), [(100.0, 60, 80), (25.0, 10, 10)])
def test_jax_has_the_rest_of_the_time(
    timeout_s: float, shortest_s: int, longest_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    jax = pytest.importorskip("jax")
    from nasfpn_lite import team_jax

    now_s = [1000.0]
    given: dict[str, Any] = {}
    monkeypatch.setattr(team_jax.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(team_jax, "wait_for_others", lambda *_: now_s.append(now_s.pop() + 20))
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **options: given.update(options))
    team_jax._join(TeamOptions(processes=2, coordinator="127.0.0.1:1", join_timeout_s=timeout_s))
    assert shortest_s <= given["initialization_timeout"] <= longest_s
