"""COCO AP of a .tflite file run on a phone, beside that of the same file run here, and how far the outputs are apart.

Photos are prepared here, the file runs there by the project's own runner, and its raw outputs are decoded and scored
here, just as `nasfpn-lite eval` does. Nothing stays on the phone. Exit code 2: a phone or the file failed.
"""

import argparse
import hashlib
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.android_bench.cli_common import add_phone_arguments, list_serials, open_adb
from nasfpn_lite.android_bench.device_eval import BATCH_BYTES, DeviceEvaluation, evaluate_on_phone
from nasfpn_lite.android_bench.fleet import EXIT_OK, EXIT_PHONE_FAILED, reserve_phone
from nasfpn_lite.android_bench.origin import read_commit, read_versions
from nasfpn_lite.cli.common import add_json_argument, positive_int, seed_number
from nasfpn_lite.cli.output import format_table, print_json
from nasfpn_lite.converters.cli_eval import load_split_for, show_progress
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.adb import Adb
    from nasfpn_lite.converters.tflite_detector import TFLiteDetector
    from nasfpn_lite.data.records import Split

SWAPPED_ROWS = "rows are in the order of their scores: one pair that swaps places is a large difference, and no loss"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a .tflite file of nasfpn-lite, raw or detect")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder (see `data check`)")
    parser.add_argument("--split", default="test", help="train, val or test (default: %(default)s)")
    parser.add_argument("--limit", type=positive_int, metavar="N", help="only the first N images")
    parser.add_argument(
        "--seed", type=seed_number, help="how one instances.json is divided; by default the training's own"
    )
    parser.add_argument(
        "--threads", type=positive_int, default=4, help="of the runner on the phone (default: %(default)s)"
    )
    parser.add_argument(
        "--xnnpack", choices=("on", "off"), default="on", help="on the phone; here it is on (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-mb",
        type=positive_int,
        default=BATCH_BYTES // 2**20,
        metavar="MB",
        help="of inputs and outputs that lie on the phone at once (default: %(default)s)",
    )
    add_phone_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluates on one phone after another, and prints."""
    from nasfpn_lite.converters.tflite_detector import TFLiteDetector

    detector = TFLiteDetector(args.file, threads=os.cpu_count() or 1)
    sha256 = hashlib.sha256(args.file.read_bytes()).hexdigest()
    split = load_split_for(args.file, args.data, args.split, seed=args.seed)
    split = replace(split, images=split.images[: args.limit])
    adb = open_adb(args)
    found = [_try_one(args, adb, serial, detector, split) for serial in list_serials(adb, args.serial)]
    if args.json:
        print_json({"model": args.file, "sha256": sha256, **_to_data(args, detector, adb, found)})
    else:
        for item in found:
            if "result" in item:
                print(_describe(args, detector, item), end="\n\n")
    for item in found:
        if "error" in item:
            logger.error("error: %s: %s", item["serial"], item["error"])
    return EXIT_PHONE_FAILED if any("error" in item for item in found) else EXIT_OK


def _try_one(
    args: argparse.Namespace, adb: "Adb", serial: str, detector: "TFLiteDetector", split: "Split"
) -> dict[str, Any]:
    """Returns what came of one phone; its error does not stop the others."""
    from nasfpn_lite.android_bench.conditions import read_conditions
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.phone_model import PhoneModel
    from nasfpn_lite.android_bench.runners import find_own_runner

    found: dict[str, Any] = {"serial": serial}
    try:
        device = Device(adb, serial)
        device.check_ready()
        phone = read_conditions(device)
        found |= {"model": phone.model, "fingerprint": phone.fingerprint, "abi": phone.abi}
        found["simulated"] = phone.simulated
        runner = find_own_runner(phone.abi or "unknown")
        found |= {"runner": runner.name, "runner_sha256": runner.hash_files()}
        phone_model = PhoneModel(device, runner, args.file, threads=args.threads, xnnpack=args.xnnpack == "on")
        with reserve_phone(serial), phone_model as model:
            found["result"] = evaluate_on_phone(
                detector,
                split,
                model,
                batch_bytes=args.batch_mb * 2**20,
                progress=show_progress if sys.stderr.isatty() else None,
            )
    except UserError as error:
        found["error"] = str(error)
    return found


def _to_data(
    args: argparse.Namespace, detector: "TFLiteDetector", adb: "Adb", found: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "form": detector.metadata.form,
        "data": args.data,
        "split": args.split,
        "threads": args.threads,
        "xnnpack": args.xnnpack == "on",
        "versions": read_versions(adb.read_version()),
        "commit": read_commit(),
        "phones": [_result_to_data(item) for item in found],
    }


def _result_to_data(item: dict[str, Any]) -> dict[str, Any]:
    result: DeviceEvaluation | None = item.get("result")
    if result is None:
        return item
    rest = {name: value for name, value in item.items() if name != "result"}
    return {
        **rest,
        "phone": result.phone.to_dict(),
        "host": result.host.to_dict(),
        "differences": result.differences,
        "images_apart": result.images_apart,
    }


def _describe(args: argparse.Namespace, detector: "TFLiteDetector", item: dict[str, Any]) -> str:
    result: DeviceEvaluation = item["result"]
    phone, host = result.phone, result.host
    threads = "1 thread" if args.threads == 1 else f"{args.threads} threads"
    simulated = ", simulated" if item["simulated"] else ""
    scores = format_table(
        ("metric", "phone", "host"), [(name, value, host.summary[name]) for name, value in phone.summary.items()]
    )
    classes = format_table(
        ("class AP", "phone", "host"), [(name, value, host.per_class[name]) for name, value in phone.per_class.items()]
    )
    outputs = format_table(
        ("output", "type", "largest difference", "in steps", "values that differ"),
        [
            (part.name, part.dtype, f"{part.largest:.3g}", part.largest_steps, f"{part.share:.3%}")
            for part in result.differences
        ],
    )
    lines = [
        f"{args.file} on {phone.images} images, {phone.objects} objects ({args.split})",
        f"{item['model'] or 'phone'} ({item['serial']}{simulated}): {item['runner']} for {item['abi']}, {threads}, "
        f"XNNPACK {args.xnnpack}\n",
        f"{scores}\n\n{classes}\n\n{outputs}\n",
        f"outputs equal to the last bit: {phone.images - result.images_apart} of {phone.images} images",
    ]
    if detector.metadata.form == "detect" and result.images_apart:
        lines.append(f"note: {SWAPPED_ROWS}")
    return "\n".join(lines)
