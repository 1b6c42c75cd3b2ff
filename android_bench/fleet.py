"""All phones at once: each with its own thread, journal and result file; one that fails does not stop the others."""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.android_bench.cooling import STOPPED, SessionStopped
from nasfpn_lite.android_bench.journal import count_rounds, find_finished, lock, mark_finished
from nasfpn_lite.android_bench.record_files import AnyResult, read_record, to_file_stem, write_record
from nasfpn_lite.android_bench.records import SessionResult
from nasfpn_lite.cli import EXIT_INTERRUPTED
from nasfpn_lite.errors import UserError

EXIT_OK = 0
EXIT_NOT_TRUSTWORTHY = 1
EXIT_PHONE_FAILED = 2  # as for every error that a user can mend

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a phone's files lie.

    Attributes:
        journal: Of a session under way; gone when the results of all phones are written.
        label: Short name of the kind of run, in the names of the files.
    """

    folder: Path
    serial: str
    label: str = "bench"

    @property
    def journal(self) -> Path:
        """Returns the path of the journal: one for each phone and kind of run."""
        return self.folder / f"{to_file_stem(self.serial)}-{self.label}.journal.jsonl"

    def result_path(self, finished: str) -> Path:
        """Returns a free path for a result: one for each phone and run.

        Args:
            finished: UTC, as "2026-01-31T12:00:00Z".
        """
        stem = f"{to_file_stem(self.serial)}-{self.label}-{finished.replace(':', '').replace('-', '')}"
        names = (stem, *(f"{stem}-{number}" for number in range(2, 1000)))
        return next(path for name in names if not (path := self.folder / f"{name}.json").exists())


@dataclass(frozen=True)
class Outcome:
    """What came of one phone: a result in a file, or an error.

    Attributes:
        kept_rounds: In the journal of a session that failed; the next one goes on with them.
        interrupted: By Ctrl-C, before all was measured.
    """

    serial: str
    result: AnyResult | None
    file: Path | None
    error: UserError | None
    kept_rounds: int = 0
    interrupted: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether all was measured that there was to measure."""
        return self.result is not None and not self.result.reasons

    @property
    def exit_code(self) -> int:
        """Returns the phone's part in the exit code."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.result is None:
            return EXIT_PHONE_FAILED
        trusted = all(getattr(file, "verdict", "trustworthy") == "trustworthy" for file in self.result.files)
        return EXIT_OK if self.result.verdict == "trustworthy" and trusted else EXIT_NOT_TRUSTWORTHY


@contextmanager
def reserve_phone(serial: str) -> Iterator[None]:
    """Keeps this user's other sessions off a phone, whatever folder they write to: each would slow the other.

    Raises:
        JournalError: One is under way.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "nasfpn-lite" / f"{to_file_stem(serial)}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        lock(file.fileno(), f"another session is under way on the phone {serial}: wait for its end")
        yield


def measure_fleet(
    places: Sequence[Place], run: Callable[[Place], AnyResult], *, stop: threading.Event
) -> tuple[Outcome, ...]:
    """Runs all phones in parallel and writes each one's file as soon as it is done.

    Where one phone fails, the journals of the others are kept too: the same command then measures what is missing, and
    nothing twice.

    Args:
        run: Measures one phone.
        stop: Is set on Ctrl-C; `run` should then end soon.

    Returns:
        One outcome for each place, in their order.
    """
    if len(places) == 1:  # in this thread, where Ctrl-C ends even a turn that is under way
        outcomes = [_run_one(places[0], run, stop)]
    else:
        outcomes = _run_in_threads(places, run, stop)
    if all(outcome.is_finished for outcome in outcomes):
        for place in places:
            place.journal.unlink(missing_ok=True)
    return tuple(outcomes)


def _run_in_threads(places: Sequence[Place], run: Callable[[Place], AnyResult], stop: threading.Event) -> list[Outcome]:
    with ThreadPoolExecutor(max_workers=max(1, len(places)), thread_name_prefix="phone") as pool:
        futures: list[Future[Outcome]] = []
        try:
            futures.extend(pool.submit(_run_one, place, run, stop) for place in places)
            wait(futures)
        except KeyboardInterrupt:
            stop.set()
            logger.warning("stopping: each phone ends the turn that is under way")
    return [future.result() for future in futures]


def _run_one(place: Place, run: Callable[[Place], AnyResult], stop: threading.Event) -> Outcome:
    try:
        result = run(place)
        path = find_finished(place.journal)
        if path is not None:  # another phone failed, this one did not
            logger.info("%s: was measured already; --restart measures it again", place.serial)
            return Outcome(place.serial, read_record(path), path, None)
        path = place.result_path(result.origin.finished)
        write_record(path, result)
    except KeyboardInterrupt:
        stop.set()
        return Outcome(place.serial, None, None, SessionStopped(STOPPED), count_rounds(place.journal), interrupted=True)
    except UserError as error:
        return Outcome(place.serial, None, None, error, count_rounds(place.journal), interrupted=stop.is_set())
    outcome = Outcome(place.serial, result, path, None, interrupted=stop.is_set())
    if outcome.is_finished:
        mark_finished(place.journal, path.name)  # only now, when its result is safe
    elif isinstance(result, SessionResult):
        logger.info("%s: the session gave up; its journal is kept, and the same command goes on", place.serial)
    return outcome


def find_exit_code(outcomes: Sequence[Outcome]) -> int:
    """Returns the worst of all phones: 130 after Ctrl-C, 2 if one failed, 1 if figures are not trustworthy, else 0."""
    return max((outcome.exit_code for outcome in outcomes), default=EXIT_PHONE_FAILED)
