"""What is refused before any device is asked, and how processes agree."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from nasfpn_lite.errors import UserError
from nasfpn_lite.recipes import PRESETS
from nasfpn_lite.team import Team, TeamError, TeamOptions, assemble, check_devices


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 0}, "at least one process and device, got 1 and 0"),
        ({"processes": 0}, "at least one process and device, got 0 and 1"),
        ({"processes": 2, "process_id": 2, "coordinator": "a:1"}, "numbered from 0 to 1, got 2"),
        ({"processes": 2}, "several processes need --coordinator HOST:PORT"),
        ({"coordinator": "a:1"}, "say how many with --processes N"),
        *(
            ({"processes": 2, "coordinator": bad}, "expected the coordinator as HOST:PORT")
            for bad in ("here", ":80", "host:", "host:0", "host:65536", "host:x")
        ),
    ],
)
def test_what_cannot_be_a_team_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TeamError, match=message):
        TeamOptions(**options)


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.1:1234", ("10.0.0.1", 1234)), ("[::1]:80", ("::1", 80)), ("a:65535", ("a", 65535))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert TeamOptions(processes=2, coordinator=text).address == address


def test_one_device_is_a_team_without_keras() -> None:
    code = (
        "import sys; from nasfpn_lite.team import TeamOptions, assemble; team = assemble(TeamOptions())\n"
        "print(team.replicas, team.is_first, sorted({'keras', 'numpy', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 True []\n"


def test_devices_that_are_not_there() -> None:
    assert check_devices(None, ["a", "b"]) == check_devices(2, ["a", "b", "c"]) == 2
    with pytest.raises(TeamError, match="expected 3 devices, but there are 2: a, b; .*xla_force_host_platform"):
        check_devices(3, ["a", "b"])


def test_several_processes_need_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "tensorflow")
    with pytest.raises(TeamError, match="on JAX only, not on tensorflow; set KERAS_BACKEND=jax"):
        assemble(TeamOptions(processes=2, coordinator="127.0.0.1:1"))
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(TeamError, match="on JAX or TensorFlow, not on torch"):
        assemble(TeamOptions(devices=2))


class Six(Team):
    """Two processes of three devices each; the other one says what it is given."""

    processes, devices = 2, 3

    def __init__(self, other: Any, index: int = 0) -> None:
        self.other, self.index = other, index

    def gather(self, value: Any) -> list[Any]:
        return [value, self.other] if self.is_first else [self.other, value]


@pytest.mark.parametrize(
    ("batch", "accumulate", "fits"), [(6, 1, True), (8, 1, False), (4, 1, False), (12, 2, True), (6, 2, False)]
)
def test_a_batch_is_shared_equally(batch: int, accumulate: int, fits: bool) -> None:
    recipe = dataclasses.replace(PRESETS["finetune"], batch_size=batch, accumulate=accumulate)
    Team().check_batch(recipe)
    if fits:
        Six(None).check_batch(recipe)
        return
    with pytest.raises(TeamError, match=f"a batch of {batch} images.* cannot be shared equally by 6 devices"):
        Six(None).check_batch(recipe)


def test_processes_of_different_options_are_refused() -> None:
    Six({"seed": 1, "a": [2]}).require_equal({"seed": 1, "a": [2]})
    with pytest.raises(TeamError, match="process 1 was started with another recipe, seed than process 0"):
        Six({"seed": 2, "recipe": 3, "a": 4}).require_equal({"seed": 1, "recipe": 2, "a": 4})


def test_the_first_decides() -> None:
    assert Team().let_first_decide(lambda: 5) == 5
    assert Six({}).let_first_decide(lambda: 5) == 5

    def refuse() -> int:
        raise UserError("the folder is full")

    with pytest.raises(UserError, match="the folder is full"):
        Six({}).let_first_decide(refuse)

    def never() -> int:
        raise AssertionError("only the first process decides")

    assert Six({"value": 7}, index=1).let_first_decide(never) == 7
    with pytest.raises(UserError, match="the folder is full"):
        Six({"error": "the folder is full"}, index=1).let_first_decide(never)
