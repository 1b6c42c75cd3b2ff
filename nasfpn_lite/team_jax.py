"""Teams on JAX: keras.distribution over the devices, jax.distributed over the processes.

Under `jit` a batch norm's mean over a batch that lies on several devices is the mean over all of it, and so is a loss.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
import keras
import numpy as np

from nasfpn_lite.team import LOST_TIMEOUT_S, Team, TeamError, TeamOptions, Value, check_devices
from nasfpn_lite.team_joining import wait_for_first, wait_for_others

_PIECE_BYTES = 1 << 26  # of what processes tell each other: a checkpoint has gigabytes, and each device holds a piece
_SHORTEST_JOIN_S = 10  # for JAX, once all have reported, however late
_LOST_SIGNS = ("Gloo", "NCCL", "coordination service", "Connection reset", "UNAVAILABLE")
_SHUTDOWN_TIMEOUT_S = 60


def assemble_jax(options: TeamOptions) -> Team:
    """As `team.assemble`, on JAX."""
    if options.processes > 1:
        _join(options)
    devices = check_devices(options.devices, [str(device) for device in jax.local_devices()])
    if devices * options.processes == 1:
        return Team()
    return JaxTeam(devices)


class JaxTeam(Team):
    """Some devices of each process; the processes have joined already."""

    def __init__(self, devices: int) -> None:
        self.processes, self.index, self.devices = jax.process_count(), jax.process_index(), devices
        names = []
        for process in range(self.processes):
            there = [f"{device.platform}:{device.id}" for device in jax.devices() if device.process_index == process]
            names += there[: check_devices(devices, there)]
        # In the order of the processes, so that their batches make up the whole batch in its own order.
        self._distribution = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)

    def scope(self) -> AbstractContextManager[Any]:
        """Returns keras.distribution's scope."""
        return self._distribution.scope()

    def fitting(self) -> AbstractContextManager[Any]:
        """Returns keras.distribution's scope."""
        return self._distribution.scope()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Leaves the scope for a while."""
        outside = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(outside)

    def tells_of_lost_peer(self, error: Exception) -> bool:
        """Returns whether an error came because another process has ended; JAX has no kind of its own for these."""
        return self.processes > 1 and any(sign in str(error) for sign in _LOST_SIGNS)

    def gather(self, value: Value) -> list[Value]:
        """Returns every process's value."""
        if self.processes == 1:
            return [value]
        from jax.experimental.multihost_utils import process_allgather

        return [json.loads(data) for data in exchange(process_allgather, json.dumps(value).encode())]

    def take_from_first(self, data: bytes) -> bytes:
        """Returns the first process's bytes."""
        if self.processes == 1:
            return data
        from jax.experimental.multihost_utils import broadcast_one_to_all

        return exchange(broadcast_one_to_all, data if self.is_first else b"")[0]


def exchange(collective: Callable[[np.ndarray], Any], data: bytes) -> list[bytes]:
    """Passes bytes through one of JAX's collectives, in pieces, since JAX counts in int32.

    Args:
        collective: Takes every process's array of a shape, returns one row or a row of each process.
        data: Of any length in each process; where there is one row only, nothing in the others.

    Returns:
        The rows, whole.
    """
    counts = np.asarray(collective(np.array(divmod(len(data), _PIECE_BYTES), np.int32))).reshape(-1, 2)
    sizes = [int(pieces) * _PIECE_BYTES + int(rest) for pieces, rest in counts]
    rows = [bytearray() for _ in sizes]
    for start in range(0, max(sizes), _PIECE_BYTES):
        part = np.frombuffer(data[start : start + _PIECE_BYTES], np.uint8)
        padded = np.zeros(min(_padded(max(sizes) - start), _PIECE_BYTES), np.uint8)
        padded[: part.size] = part
        received = np.asarray(collective(padded)).reshape(len(rows), -1)
        for row, size, piece in zip(rows, sizes, received, strict=True):
            row += piece[: max(0, size - start)].tobytes()
    return [bytes(row) for row in rows]


def _padded(size: int) -> int:
    """Returns a power of two from `size` on: each length of an array costs JAX one compilation."""
    return 1 << max(int(size) - 1, 0).bit_length()


def _join(options: TeamOptions) -> None:
    """Starts jax.distributed; does nothing where that has been done."""
    if jax.distributed.is_initialized():
        return
    deadline = time.monotonic() + options.join_timeout_s
    if options.process_id:
        wait_for_first(options, deadline)
    else:
        wait_for_others(options, deadline)
    try:
        jax.distributed.initialize(
            options.coordinator,
            options.processes,
            options.process_id,
            cluster_detection_method="deactivate",
            initialization_timeout=max(_SHORTEST_JOIN_S, round(deadline - time.monotonic())),
            heartbeat_timeout_seconds=round(LOST_TIMEOUT_S),
            shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT_S,
        )
    except RuntimeError as error:
        raise TeamError(
            f"not all {options.processes} processes joined at {options.coordinator} within "
            f"{options.join_timeout_s:.0f} s; start each with the same --coordinator and --processes and with a "
            f"--process-id of its own, 0 to {options.processes - 1} ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
