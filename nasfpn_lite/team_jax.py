"""Teams on JAX: keras.distribution over the devices, jax.distributed over the processes.

Under `jit` a batch norm's mean over a batch that lies on several devices is the mean over all of it, and so is a loss.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
import keras
import numpy as np

from nasfpn_lite.team import LOST_TIMEOUT_S, Team, TeamError, TeamOptions, Value, check_devices

_RETRY_S = 0.5
_REPORT_TIMEOUT_S = 10.0
_GO = b"!"
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

        data = np.frombuffer(json.dumps(value).encode(), np.uint8)
        sizes = np.asarray(process_allgather(np.array([data.size], np.int32))).reshape(-1)
        padded = np.zeros(_padded(sizes.max()), np.uint8)
        padded[: data.size] = data
        rows = np.asarray(process_allgather(padded)).reshape(self.processes, -1)
        return [json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]

    def take_from_first(self, data: bytes) -> bytes:
        """Returns the first process's bytes."""
        if self.processes == 1:
            return data
        from jax.experimental.multihost_utils import broadcast_one_to_all

        size = int(np.asarray(broadcast_one_to_all(np.array([len(data)], np.int32)))[0])
        padded = np.zeros(_padded(size), np.uint8)
        if self.is_first:
            padded[:size] = np.frombuffer(data, np.uint8)
        return np.asarray(broadcast_one_to_all(padded))[:size].tobytes()


def _padded(size: int) -> int:
    """Returns a power of two from `size` on: each length of an array costs JAX one compilation."""
    return 1 << max(int(size) - 1, 0).bit_length()


def _join(options: TeamOptions) -> None:
    """Starts jax.distributed; does nothing where that has been done."""
    if jax.distributed.is_initialized():
        return
    deadline = time.monotonic() + options.join_timeout_s
    if options.process_id:
        _wait_for_coordinator(options, deadline)
    else:
        _wait_for_others(options, deadline)
    try:
        jax.distributed.initialize(
            options.coordinator,
            options.processes,
            options.process_id,
            cluster_detection_method="deactivate",
            initialization_timeout=round(LOST_TIMEOUT_S),
            heartbeat_timeout_seconds=round(LOST_TIMEOUT_S),
            shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT_S,
        )
    except RuntimeError as error:
        raise TeamError(
            f"not all {options.processes} processes joined at {options.coordinator} within "
            f"{options.join_timeout_s:.0f} s; start each with the same --coordinator and --processes and with a "
            f"--process-id of its own, 0 to {options.processes - 1} ({_first_line(error)})"
        ) from error


def _wait_for_coordinator(options: TeamOptions, deadline: float) -> None:
    """Reports to process 0 and waits until all have: JAX itself would end a process that waits in vain."""
    while True:
        try:
            with socket.create_connection(options.address, timeout=max(0.1, deadline - time.monotonic())) as connection:
                connection.sendall(options.process_id.to_bytes(4, "big"))
                if connection.recv(1) == _GO:
                    return
            raise ConnectionError("it has closed the connection")
        except OSError as error:
            if time.monotonic() + _RETRY_S > deadline:
                raise TeamError(
                    f"process 0 cannot be reached at {options.coordinator} within {options.join_timeout_s:.0f} s "
                    f"({error}); start it with --process-id 0 on that host, and let the port through"
                ) from error
            time.sleep(_RETRY_S)


def _wait_for_others(options: TeamOptions, deadline: float) -> None:
    """Waits until all other processes have reported, before JAX listens at the same port."""
    host, port = options.address
    there: dict[int, socket.socket] = {}
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("", port))
            server.listen()
            while len(there) < options.processes - 1:
                server.settimeout(max(0.1, deadline - time.monotonic()))
                connection, _ = server.accept()
                connection.settimeout(_REPORT_TIMEOUT_S)
                there[int.from_bytes(connection.recv(4), "big")] = connection
        for connection in there.values():
            connection.sendall(_GO)
    except TimeoutError as error:
        missing = sorted(set(range(1, options.processes)) - set(there))
        raise TeamError(
            f"process {', '.join(map(str, missing))} did not join at {options.coordinator} within "
            f"{options.join_timeout_s:.0f} s; start each process with the same --coordinator and --processes"
        ) from error
    except OSError as error:
        raise TeamError(f"process 0 cannot listen at port {port} ({error}); choose another --coordinator") from error
    finally:
        for connection in there.values():
            connection.close()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
