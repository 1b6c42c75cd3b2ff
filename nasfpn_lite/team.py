"""Who computes a training together: devices of one process, or several processes. One device alone is a team too.

Every device computes a part of the recipe's batch; losses, gradients and batch norms are those of the whole batch.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.recipes import TrainingRecipe

Value = TypeVar("Value")

JOIN_TIMEOUT_S = 300.0  # processes on several machines are rarely started in the same minute
LOST_TIMEOUT_S = 300.0  # without a sign of life a computer counts as lost; one that is busy or asleep may come back
_DEVICES_ADVICE = "choose fewer, or on a CPU with JAX divide it by XLA_FLAGS=--xla_force_host_platform_device_count=N"


class TeamError(UserError):
    """Devices or processes that cannot train together."""


class PeerLostError(TeamError):
    """Another process of the team has ended."""


@dataclass(frozen=True)
class TeamOptions:
    """Who is to take part.

    Attributes:
        devices: Of each process; None for all that it sees.
        processes: All of them, on one machine or several; each is started with the same options but its process_id.
        process_id: 0..processes - 1; process 0 writes the run folder.
        coordinator: HOST:PORT at which process 0 is reached by the others; None with one process.
        join_timeout_s: How long a process waits for the others at the start.
    """

    devices: int | None = 1
    processes: int = 1
    process_id: int = 0
    coordinator: str | None = None
    join_timeout_s: float = JOIN_TIMEOUT_S

    def __post_init__(self) -> None:
        if self.processes < 1 or (self.devices is not None and self.devices < 1):
            raise TeamError(f"expected at least one process and device, got {self.processes} and {self.devices}")
        if not 0 <= self.process_id < self.processes:
            raise TeamError(
                f"processes are numbered from 0 to {self.processes - 1}, got {self.process_id}; "
                "give each one its own --process-id, and all the same --processes"
            )
        if self.processes > 1 and self.coordinator is None:
            raise TeamError("several processes need --coordinator HOST:PORT, where process 0 waits for the others")
        if self.processes == 1 and self.coordinator is not None:
            raise TeamError("a coordinator is for several processes; say how many with --processes N")
        if self.coordinator is not None:
            self.address  # noqa: B018 - refuses a bad one

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the coordinator."""
        host, _, port = str(self.coordinator).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise TeamError(f"expected the coordinator as HOST:PORT, got {self.coordinator!r}")
        return host.strip("[]"), int(port)


class Team:
    """One process with one device; `team_jax` and `team_tensorflow` have the others.

    Attributes:
        index: This process's number, 0..processes - 1.
        devices: Of each process.
    """

    processes: int = 1
    index: int = 0
    devices: int = 1

    @property
    def replicas(self) -> int:
        """Devices of all processes."""
        return self.processes * self.devices

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Returns what to build and compile a model in."""
        return nullcontext()

    def fitting(self) -> AbstractContextManager[Any]:
        """Returns what to call `fit` in."""
        return nullcontext()

    def alone(self) -> AbstractContextManager[Any]:
        """Returns what to use a model of this process's own in, while a `fit` of all goes on."""
        return nullcontext()

    def prepare(self, model: Any) -> Any:
        """Returns a model of the same layers whose training step is that of the whole batch; call it in the scope."""
        return model

    def feed(self, batches: Callable[[], Iterator[Any]]) -> Any:
        """Returns what `fit` takes for this process's shares of the batches, which `batches()` yields."""
        return batches()

    def gather(self, value: Value) -> list[Value]:
        """Returns every process's value, in order; all processes must call it. Values are plain data for JSON."""
        return [value]

    def take_from_first(self, data: bytes) -> bytes:
        """Returns the first process's bytes; all processes must call it."""
        return data

    def tells_of_lost_peer(self, error: Exception) -> bool:
        """Returns whether an error came because another process has ended."""
        return False

    def let_first_decide(self, decide: Callable[[], Value]) -> Value:
        """Calls a function in the first process; all get its value, or its UserError."""
        if self.processes == 1:
            return decide()
        answer: dict[str, Any] = {}
        if self.is_first:
            try:
                answer = {"value": decide()}
            except UserError as error:
                answer = {"error": str(error)}
        answer = self.gather(answer)[0]
        if "error" in answer:
            raise UserError(answer["error"])
        return answer["value"]

    def require_equal(self, description: dict[str, Any]) -> None:
        """Refuses processes that were started with different options.

        Raises:
            TeamError: A value differs; the message names the keys.
        """
        everyone = self.gather(description)
        for number, other in enumerate(everyone):
            changed = sorted(key for key in description if other.get(key) != everyone[0].get(key))
            if changed:
                raise TeamError(
                    f"process {number} was started with another {', '.join(changed)} than process 0; "
                    "all processes need the same options, data and versions"
                )

    def check_batch(self, recipe: "TrainingRecipe") -> None:
        """Refuses a batch that the devices cannot share equally.

        Raises:
            TeamError: The batch, or a part of it, is no multiple of the devices.
        """
        part, rest = divmod(recipe.batch_size // recipe.accumulate, self.replicas)
        if rest or part == 0:
            parts = f" in {recipe.accumulate} parts" if recipe.accumulate > 1 else ""
            raise TeamError(
                f"a batch of {recipe.batch_size} images{parts} cannot be shared equally by {self.replicas} devices; "
                "choose a --batch-size that is a multiple"
            )


def assemble(options: TeamOptions) -> Team:
    """Joins the other processes and finds the devices, before anything else is computed.

    Raises:
        TeamError: The backend cannot do it, there are fewer devices, or the other processes do not come.
    """
    if options == dataclasses.replace(TeamOptions(), join_timeout_s=options.join_timeout_s):
        return Team()
    import keras

    backend = keras.backend.backend()
    if options.processes > 1 and backend != "jax":
        raise TeamError(f"several processes train together on JAX only, not on {backend}; set KERAS_BACKEND=jax")
    if backend == "jax":
        from nasfpn_lite.team_jax import assemble_jax

        return assemble_jax(options)
    if backend == "tensorflow":
        from nasfpn_lite.team_tensorflow import assemble_tensorflow

        return assemble_tensorflow(options)
    raise TeamError(f"several devices train together on JAX or TensorFlow, not on {backend}; set KERAS_BACKEND")


def check_devices(asked: int | None, seen: list[str]) -> int:
    """Returns how many devices each process uses.

    Raises:
        TeamError: There are fewer than asked for.
    """
    if asked is not None and asked > len(seen):
        raise TeamError(f"expected {asked} devices, but there are {len(seen)}: {', '.join(seen)}; {_DEVICES_ADVICE}")
    return asked or len(seen)
