"""A measurement on each phone that a verb's arguments ask for: its progress, and what is said of its end."""

import argparse
import logging
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.cli_common import find_runner, list_serials, open_adb, to_options
from nasfpn_lite.android_bench.cooling import Pace, SessionStopped
from nasfpn_lite.android_bench.fleet import EXIT_NOT_TRUSTWORTHY, Outcome, Place, measure_fleet, reserve_phone
from nasfpn_lite.android_bench.record_files import AnyResult
from nasfpn_lite.android_bench.session import Control
from nasfpn_lite.android_bench.session_options import SessionError, SessionOptions

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner

logger = logging.getLogger(__name__)


def run_fleet(
    args: argparse.Namespace,
    label: str,
    run: Callable[["Device", "Runner", SessionOptions, Control], AnyResult],
) -> tuple[Outcome, ...]:
    """Runs one measurement on each phone that the arguments ask for.

    Args:
        label: In the names of the files.
        run: Measures one phone.
    """
    from nasfpn_lite.android_bench.device import Device

    adb, options, stop = open_adb(args), to_options(args), threading.Event()
    one_at_a_time = threading.Lock()
    owners: dict[str, str] = {}

    def run_one(place: Place) -> AnyResult:
        device = Device(adb, place.serial)
        device.check_ready()
        with one_at_a_time:
            check_only_once(device, owners)
            runner = find_runner(args, device)
        control = Control(place.journal, args.restart, _make_progress(place.serial), Pace(stop))
        with reserve_phone(place.serial):
            return run(device, runner, options, control)

    places = [Place(args.output, serial, label) for serial in list_serials(adb, args.serial)]
    return measure_fleet(places, run_one, stop=stop)


def report_errors(outcomes: Sequence[Outcome]) -> None:
    """Says where the results lie, which phones failed and why, and what they kept."""
    for outcome in outcomes:
        if outcome.error is None:
            logger.info("%s: %s", outcome.serial, outcome.file)
        elif not isinstance(outcome.error, SessionStopped):
            logger.error("error: %s: %s", outcome.serial, outcome.error)
        if outcome.kept_rounds:
            kept = outcome.kept_rounds
            logger.info("%s: whole rounds kept: %d; the same command goes on there", outcome.serial, kept)
    if _share_a_computer(outcomes):
        logger.warning("simulated phones share this computer's cores: measure one at a time, with -s SERIAL")
    if any(outcome.interrupted for outcome in outcomes):
        logger.error("interrupted")


def _share_a_computer(outcomes: Sequence[Outcome]) -> bool:
    """Whether phones that are no phones were measured at once, and figures came out that cannot be trusted."""
    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    doubtful = any(outcome.exit_code == EXIT_NOT_TRUSTWORTHY for outcome in outcomes)
    return doubtful and sum(result.phone.simulated for result in results) > 1


def check_only_once(device: "Device", owners: dict[str, str]) -> None:
    """Checks that a phone is not attached twice, by cable and over Wi-Fi: it would be measured against itself.

    Args:
        owners: The phones' own serial numbers -> adb's serial; grows.

    Raises:
        SessionError: It is.
    """
    number = device.get_property("ro.serialno")
    if number is None or number == "unknown" or number.startswith("EMULATOR"):  # which all emulators have
        return
    owner = owners.setdefault(number, device.serial)
    if owner != device.serial:
        raise SessionError(f"{device.serial} is the same phone as {owner}, attached in two ways: name one with -s")


def _make_progress(serial: str) -> Callable[[str], None]:
    last = ""

    def say(text: str) -> None:
        nonlocal last
        step, last = last, find_step(text)
        logger.log(logging.INFO if sys.stderr.isatty() or last != step else logging.DEBUG, "%s: %s", serial, text)

    return say


def find_step(text: str) -> str:
    """Returns what a line of progress is about, coarsely: where nobody looks on, the first line of each step is enough.

    "round 2 of 6" without its file, the minute of a lasting load without its seconds, waiting without how long.
    """
    minute = re.match(r"(\d+)[.\d]* of \S+ minutes", text)
    return f"minute {minute[1]}" if minute else re.split(r": | \(", text)[0]
