"""Who is let into a team, who is refused and told why, and whom nobody waits for."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import pytest

from nasfpn_lite.team import TeamError, TeamOptions
from nasfpn_lite.team_joining import wait_for_first, wait_for_others
from tests.team_runs import free_address

SOON_S = 5.0  # what takes milliseconds, on a busy computer


class Start:
    """Starts processes, as threads, and strangers at one address."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.address, self._pool, self._strangers = free_address(), pool, list[socket.socket]()

    def process(self, process_id: int, processes: int, timeout_s: float = SOON_S) -> Future:
        options = TeamOptions(1, processes, process_id, self.address, timeout_s)
        join = wait_for_first if process_id else wait_for_others
        return self._pool.submit(join, options, time.monotonic() + timeout_s)

    def stranger(self, says: bytes) -> socket.socket:
        """Connects as soon as process 0 listens, and stays until it is closed."""
        host, port = self.address.split(":")
        deadline = time.monotonic() + SOON_S
        while True:
            try:
                connection = socket.create_connection((host, int(port)), timeout=SOON_S)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        self._strangers.append(connection)
        connection.sendall(says)
        return connection

    def close(self) -> None:
        for connection in self._strangers:
            connection.close()


@pytest.fixture
def start() -> Iterator[Start]:
    with ThreadPoolExecutor(8) as pool:
        start = Start(pool)
        yield start
        start.close()


def assert_all_go_on(*processes: Future) -> None:
    assert [process.result(2 * SOON_S) for process in processes] == [None] * len(processes)


def test_processes_find_each_other(start: Start) -> None:
    assert_all_go_on(*(start.process(process_id, 4) for process_id in (0, 3, 1, 2)))


def test_strangers_neither_count_nor_keep_anybody_waiting(start: Start) -> None:
    first = start.process(0, 2)
    start.stranger(b"").close()  # a health check
    start.stranger(b"")  # silent for as long as it may
    start.stranger(b"nasf")
    start.stranger(b"GET / HTTP/1.1\r\n\r\n")
    start.stranger(b"nasfpnl9\0\0\0\1\0\0\0\2")
    time.sleep(0.05)
    assert not first.done()
    assert_all_go_on(first, start.process(1, 2))


def test_a_report_may_come_in_two_parts(start: Start) -> None:
    first = start.process(0, 2)
    slow = start.stranger(b"nasfpnl1\0\0")
    time.sleep(0.05)
    slow.sendall(b"\0\1\0\0\0\2")
    assert_all_go_on(first)
    assert slow.recv(9) == b"go"


def test_another_number_of_processes_is_refused(start: Start) -> None:
    first = start.process(0, 2)
    with pytest.raises(TeamError, match="expects 2 processes in all, but process 2 was .* --processes 3; give all the"):
        start.process(2, 3).result(SOON_S)
    assert_all_go_on(first, start.process(1, 2))


def test_a_number_out_of_range_is_refused(start: Start) -> None:
    first = start.process(0, 2)
    answer = start.stranger(b"nasfpnl1\0\0\0\5\0\0\0\2").makefile("rb").read()
    assert answer.startswith(b"no:process 0 at 127.0.0.1:")
    assert answer.endswith(b" expects processes 1 to 1, got 5; give each a --process-id of its own")
    assert_all_go_on(first, start.process(1, 2))


def test_of_two_with_one_number_the_second_is_refused(start: Start) -> None:
    first, twins = start.process(0, 3), [start.process(1, 3), start.process(1, 3)]
    refused = wait(twins, SOON_S, FIRST_COMPLETED).done.pop()
    with pytest.raises(TeamError, match="expects each process once, but a second process 1 came; give each a"):
        refused.result()
    twins.remove(refused)
    assert_all_go_on(first, *twins, start.process(2, 3))


def test_a_process_that_ended_may_come_again(start: Start) -> None:
    first = start.process(0, 3)
    start.stranger(b"nasfpnl1\0\0\0\1\0\0\0\3").close()
    assert_all_go_on(first, start.process(1, 3), start.process(2, 3))


def test_the_first_says_who_is_missing_and_who_was_refused(start: Start) -> None:
    first = start.process(0, 3, timeout_s=1.0)
    start.stranger(b"nasfpnl1\0\0\0\1\0\0\0\3")
    start.stranger(b"nasfpnl1\0\0\0\2\0\0\0\4")
    with pytest.raises(TeamError, match=r"process 2 did not join at .* within 1 s; .*\(refused: .* --processes 4; "):
        first.result(SOON_S)


def test_the_others_say_that_the_first_is_missing(start: Start) -> None:
    with pytest.raises(TeamError, match=r"process 0 cannot be reached at .* within 0 s .*; start it with"):
        start.process(1, 2, timeout_s=0.2).result(SOON_S)


def test_a_port_that_is_taken(start: Start) -> None:
    host, port = start.address.split(":")
    with socket.create_server((host, int(port))) as server:
        with pytest.raises(TeamError, match=f"process 0 cannot listen at port {port} .*; choose another --coordinator"):
            start.process(0, 2).result(SOON_S)
        other = start.process(1, 2, timeout_s=0.4)
        with server.accept()[0] as connection:
            connection.recv(16)
        with pytest.raises(TeamError, match="what listens there is no process 0, or it has ended"):
            other.result(SOON_S)
