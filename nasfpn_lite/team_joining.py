"""How the processes of a team find each other before JAX joins them: JAX itself would end one that waits in vain.

Each process reports its number to process 0, at the port where JAX will listen, and waits; process 0 lets all go on
once they are complete. Whoever else knocks there, a health check or a port scanner, is left alone.
"""

import logging
import selectors
import socket
import struct
import time
from contextlib import suppress
from typing import Any

from nasfpn_lite.team import TeamError, TeamOptions

logger = logging.getLogger(__name__)

_RETRY_S = 0.5
_MAGIC = b"nasfpnl1"
_GREETING = struct.Struct(">8sII")  # the magic, the process's number, how many processes it was told of
_GO, _REFUSED = b"go", b"no:"
_LONGEST_ANSWER = 4096


def wait_for_first(options: TeamOptions, deadline: float) -> None:
    """Reports to process 0 and waits until all have.

    Args:
        deadline: By `time.monotonic`.

    Raises:
        TeamError: Process 0 does not answer, or refuses this process.
    """
    while True:
        try:
            return _report(options, deadline)
        except OSError as error:
            if time.monotonic() + _RETRY_S > deadline:
                raise TeamError(
                    f"process 0 cannot be reached at {options.coordinator} within {options.join_timeout_s:.0f} s "
                    f"({error}); start it with --process-id 0 on that host, and let the port through"
                ) from error
            time.sleep(_RETRY_S)


def _report(options: TeamOptions, deadline: float) -> None:
    with socket.create_connection(options.address, timeout=max(0.1, deadline - time.monotonic())) as connection:
        connection.sendall(_GREETING.pack(_MAGIC, options.process_id, options.processes))
        connection.settimeout(max(0.1, deadline - time.monotonic()))
        with connection.makefile("rb") as answers:
            answer = answers.read(_LONGEST_ANSWER)
    if answer.startswith(_REFUSED):
        raise TeamError(answer.removeprefix(_REFUSED).decode(errors="replace"))
    if answer != _GO:
        raise ConnectionError("what listens there is no process 0, or it has ended")


def wait_for_others(options: TeamOptions, deadline: float) -> None:
    """Waits until all other processes have reported, and lets them go on; nobody listens at the port any more then.

    Args:
        deadline: By `time.monotonic`.

    Raises:
        TeamError: The port is taken, or processes are missing; the message says which, and who was refused.
    """
    with _Door(options) as door:
        while len(door.there) < options.processes - 1:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                missing = sorted(set(range(1, options.processes)) - set(door.there))
                raise TeamError(
                    f"process {', '.join(map(str, missing))} did not join at {options.coordinator} within "
                    f"{options.join_timeout_s:.0f} s; start each process with the same --coordinator and --processes"
                    + (f" (refused: {door.refusal})" if door.refusal else "")
                )
            door.listen(left_s)
        for connection in door.there.values():
            with suppress(OSError):  # one that ended just now is missed by JAX, which says so
                connection.sendall(_GO)


class _Door:
    """The port of process 0.

    Attributes:
        there: The connections of those who have reported and wait, by their numbers.
        refusal: What was last answered to one who does not belong here; empty where there was none.
    """

    def __init__(self, options: TeamOptions) -> None:
        host, port = options.address
        self.there: dict[int, socket.socket] = {}
        self.refusal = ""
        self._options = options
        self._server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._server.bind(("", port))
            self._server.listen()
        except OSError as error:
            self._server.close()
            raise TeamError(
                f"process 0 cannot listen at port {port} ({error}); choose another --coordinator"
            ) from error
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)

    def __enter__(self) -> "_Door":
        return self

    def __exit__(self, *exception: object) -> None:
        for key in list(self._selector.get_map().values()):
            self._close(key.fileobj)
        self._selector.close()

    def listen(self, timeout_s: float) -> None:
        """Waits for news, and takes in what there is; a connection that is silent keeps nobody waiting."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._server:
                self._let_in()
            elif not self._is_to_stay(key.fileobj, key.data):
                self._close(key.fileobj)

    def _let_in(self) -> None:
        with suppress(OSError):  # it went away again before it was looked at
            connection, _ = self._server.accept()
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, bytearray())

    def _is_to_stay(self, connection: Any, heard: bytearray) -> bool:
        try:
            news = connection.recv(_GREETING.size)
            heard += news
            if not news or len(heard) > _GREETING.size:
                return False
            return len(heard) < _GREETING.size or self._takes(connection, *_GREETING.unpack(heard))
        except OSError:
            return False

    def _takes(self, connection: Any, magic: bytes, number: int, processes: int) -> bool:
        if magic != _MAGIC:
            return False
        refusal = self._reason_against(number, processes)
        if refusal:
            self.refusal = refusal
            logger.warning("refused a process: %s", refusal)
            connection.sendall(_REFUSED + refusal.encode())
            return False
        self.there[number] = connection
        return True

    def _reason_against(self, number: int, processes: int) -> str:
        count = self._options.processes
        at = f"process 0 at {self._options.coordinator}"
        if processes != count:
            return (
                f"{at} expects {count} processes in all, but process {number} was started with --processes "
                f"{processes}; give all the same --processes"
            )
        if not 0 < number < count:
            return f"{at} expects processes 1 to {count - 1}, got {number}; give each a --process-id of its own"
        if number in self.there:
            return (
                f"{at} expects each process once, but a second process {number} came; give each a --process-id of "
                "its own, or end the one that waits already"
            )
        return ""

    def _close(self, connection: Any) -> None:
        """Forgets a connection; a process that was there may come again."""
        self.there = {number: other for number, other in self.there.items() if other is not connection}
        self._selector.unregister(connection)
        connection.close()
