"""Say what stands against measuring on the attached phones now: their state, their cores, the runner.

Exit code 0: all are fit; 1: figures would not be trustworthy; 2: a phone or the runner cannot be used.
"""

import argparse
import logging
from typing import Any

from nasfpn_lite.android_bench.cli_common import (
    CORES_HELP,
    THREADS_HELP,
    add_phone_arguments,
    add_runner_arguments,
    find_runner,
    list_serials,
    open_adb,
)
from nasfpn_lite.android_bench.doubts import find_doubts
from nasfpn_lite.android_bench.fleet import EXIT_NOT_TRUSTWORTHY, EXIT_OK, EXIT_PHONE_FAILED
from nasfpn_lite.android_bench.leftovers import describe_leftovers
from nasfpn_lite.android_bench.page_words import list_conditions
from nasfpn_lite.android_bench.session import look_at_phone
from nasfpn_lite.android_bench.session_options import SessionOptions
from nasfpn_lite.android_bench.topology import to_mask
from nasfpn_lite.cli.common import add_json_argument, positive_int
from nasfpn_lite.cli.output import print_json
from nasfpn_lite.errors import UserError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    add_phone_arguments(parser)
    add_runner_arguments(parser)
    parser.add_argument("--cores", default="big", help=CORES_HELP)
    parser.add_argument("--threads", type=positive_int, default=1, help=THREADS_HELP)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Examines each phone and prints what was found."""
    adb = open_adb(args)
    found = [examine(args, adb, serial) for serial in list_serials(adb, args.serial)]
    if args.json:
        print_json(found)
    else:
        print("\n\n".join(_describe(item) for item in found))
    for item in found:
        for error in item["errors"]:
            logger.error("error: %s: %s", item["serial"], error)
    if any(item["errors"] for item in found):
        return EXIT_PHONE_FAILED
    return EXIT_NOT_TRUSTWORTHY if any(item["doubts"] for item in found) else EXIT_OK


def examine(args: argparse.Namespace, adb: Any, serial: str) -> dict[str, Any]:
    """Returns what is to be said of one phone."""
    from nasfpn_lite.android_bench.device import Device

    found: dict[str, Any] = {"serial": serial, "facts": [], "doubts": [], "notes": [], "errors": []}
    device = None
    try:
        device = Device(adb, serial)
        device.check_ready()
        start = look_at_phone(device, SessionOptions(cores=args.cores, threads=args.threads))
        found["facts"] = [
            ("model", start.phone.model or "–"),
            ("build", start.phone.fingerprint or "–"),
            ("simulated", "yes" if start.phone.simulated else "no"),
            ("kinds of cores", ", ".join(to_mask(cluster.cores) for cluster in start.phone.clusters)),
            ("would run on", f"{start.phone.cores}: {start.phone.mask}"),
            *list_conditions(start.before),
        ]
        found["doubts"] = [doubt.text for doubt in find_doubts(start.before, start.before, cores=start.cores)]
        found["notes"] = [*start.phone.notes, *describe_leftovers(device)]
    except UserError as error:
        found["errors"].append(str(error))
        return found
    try:
        runner = find_runner(args, device)
        found["facts"].append(("runner", f"{runner.name} for {runner.abi}"))
    except UserError as error:
        found["errors"].append(str(error))
    return found


def _describe(item: dict[str, Any]) -> str:
    width = max((len(name) for name, _ in item["facts"]), default=0)
    lines = [item["serial"], *(f"  {name:{width}}  {text}" for name, text in item["facts"])]
    lines += [f"  in the way: {text}" for text in item["doubts"]]
    lines += [f"  note: {text}" for text in item["notes"]]
    if item["errors"]:
        lines.append("  cannot be measured")
    elif not item["doubts"]:
        lines.append("  fit to be measured")
    return "\n".join(lines)
