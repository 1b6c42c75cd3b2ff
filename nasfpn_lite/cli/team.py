"""Options that say on which devices and in which processes a training runs."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nasfpn_lite.cli import EXIT_USER_ERROR
from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.team import PeerLostError, TeamError, TeamOptions

# Keras's own names, as keras.distribution.initialize reads them.
ENVIRONMENT = {
    "processes": "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "process_id": "KERAS_DISTRIBUTION_PROCESS_ID",
    "coordinator": "KERAS_DISTRIBUTION_JOB_ADDRESSES",
}


def add_team_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --devices, --processes, --process-id, --coordinator and --join-timeout."""
    group = parser.add_argument_group(
        "several devices or processes",
        "Each computes its part of every batch; the result is that of one device, up to rounding. Several processes "
        "need KERAS_BACKEND=jax: start the same command once for each, with a --process-id of its own. Process 0 "
        "writes RUN. Where an option is missing, the environment is read: " + ", ".join(ENVIRONMENT.values()) + ".",
    )
    group.add_argument(
        "--devices", metavar="N", type=_devices, default=1, help="of each process, or `all` (default: 1)"
    )
    group.add_argument("--processes", metavar="N", type=positive_int, help="how many there are (default: 1)")
    group.add_argument("--process-id", metavar="I", type=_process_id, help="which one this is, 0 to N-1")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 waits for the others")
    group.add_argument(
        "--join-timeout",
        metavar="S",
        type=positive_int,
        default=round(TeamOptions.join_timeout_s),
        help="seconds to wait for the other processes at the start (default: %(default)s)",
    )


def team_from_args(args: argparse.Namespace) -> TeamOptions:
    """Reads the options and the environment.

    Raises:
        TeamError: They do not fit each other, or several processes lack a number.
    """
    processes = _from_environment(args.processes, "processes") or 1
    process_id = _from_environment(args.process_id, "process_id")
    coordinator = args.coordinator
    if coordinator is None and processes > 1:
        coordinator = os.environ.get(ENVIRONMENT["coordinator"], "").split(",")[0] or None
    if processes > 1 and process_id is None:
        raise TeamError(f"each of {processes} processes needs a --process-id, 0 to {processes - 1}")
    return TeamOptions(args.devices, processes, process_id or 0, coordinator, args.join_timeout)


@contextmanager
def leaving_lost_peers() -> Iterator[None]:
    """Ends this process at once where another one was lost: in an orderly end JAX waits for it, and then aborts."""
    try:
        yield
    except PeerLostError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(EXIT_USER_ERROR)


def _from_environment(given: int | None, name: str) -> int | None:
    if given is not None:
        return given
    text = os.environ.get(ENVIRONMENT[name], "")
    if text and not text.isdecimal():
        raise TeamError(f"expected a number in {ENVIRONMENT[name]}, got {text!r}")
    return int(text) if text else None


def _devices(text: str) -> int | None:
    return None if text == "all" else positive_int(text)


def _process_id(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number from 0, got {text!r}")
    return int(text)
