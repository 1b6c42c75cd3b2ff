"""List the phones that are attached: what they are, their kinds of cores, what to do with those that are not ready."""

import argparse
import logging
from typing import TYPE_CHECKING, Any

from nasfpn_lite.android_bench.cli_common import add_phone_arguments, list_serials, open_adb
from nasfpn_lite.android_bench.conditions import read_conditions
from nasfpn_lite.android_bench.fleet import EXIT_OK, EXIT_PHONE_FAILED
from nasfpn_lite.android_bench.topology import read_topology, to_mask
from nasfpn_lite.cli.common import add_json_argument
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.adb import Adb

logger = logging.getLogger(__name__)

_HEADERS = ("serial", "model", "ABI", "API", "cores", "simulated", "ready")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    add_phone_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Lists; the exit code is 2 if a phone is not ready."""
    adb = open_adb(args)
    found = [look_at(adb, serial) for serial in list_serials(adb, args.serial)]
    if args.json:
        print_json(found)
    else:
        rows = [
            (
                item["serial"],
                item["model"],
                item["abi"],
                item["sdk"],
                item["cores"],
                None if item["simulated"] is None else "yes" if item["simulated"] else "no",
                "no" if item["error"] else "yes",
            )
            for item in found
        ]
        print_table(_HEADERS, rows)
    failed = [item for item in found if item["error"]]
    for item in failed:
        logger.error("error: %s: %s", item["serial"], item["error"])
    return EXIT_PHONE_FAILED if failed else EXIT_OK


def look_at(adb: "Adb", serial: str) -> dict[str, Any]:
    """Describes one phone; its "error" says why it cannot be used."""
    from nasfpn_lite.android_bench.device import Device

    entry: dict[str, Any] = dict.fromkeys(("model", "fingerprint", "abi", "sdk", "simulated", "cores", "error"))
    entry = {"serial": serial, **entry}
    try:
        device = Device(adb, serial)
        device.check_ready()
        state = read_conditions(device)
        entry |= {name: getattr(state, name) for name in ("model", "fingerprint", "abi", "sdk", "simulated")}
        entry["cores"] = describe_clusters(device)
    except UserError as error:
        entry["error"] = str(error)
    return entry


def describe_clusters(device: Any) -> str:
    """Says how many cores of each kind a phone has, slowest first, with their masks: "4 (0f) + 4 (f0)"."""
    return " + ".join(f"{len(cluster.cores)} ({to_mask(cluster.cores)})" for cluster in read_topology(device).clusters)
