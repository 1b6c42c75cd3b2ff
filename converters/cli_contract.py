"""Print what an app must know of a .tflite file: input, outputs, boxes, anchors, labels; or make decoders from it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.cli.common import add_json_argument
from nasfpn_lite.cli.output import print_json, print_table

if TYPE_CHECKING:
    from nasfpn_lite.converters.contract import Contract


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a .tflite of `convert`")
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        help="folder for contract.json, decoders in Python, C++ and Kotlin, and golden vectors to test them with",
    )
    parser.add_argument("--force", action="store_true", help="overwrite files")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Reads, prints and perhaps writes."""
    from nasfpn_lite.converters.contract import read_contract
    from nasfpn_lite.converters.convert import check_free
    from nasfpn_lite.converters.decoders.write import FILES, write_decoders

    contract = read_contract(args.file)
    made: list[Path] = []
    if args.output is not None:
        check_free([args.output / name for name in FILES], force=args.force)
        made = write_decoders(contract, args.output)
    if args.json:
        print_json({"contract": contract.to_dict(), "files": made})
        return 0
    _print(contract)
    for path in made:
        print(f"wrote {path}")
    return 0


def _print(contract: "Contract") -> None:
    tensors = [("input", contract.input.tensor), *(("output", output) for output in contract.outputs)]
    print_table(
        ("", "name", "shape", "type", "scale", "zero point", "meaning"),
        [
            (kind, t.name, "x".join(map(str, t.shape)), t.dtype, f"{t.scale:.6g}", t.zero_point, t.meaning)
            for kind, t in tensors
        ],
    )
    if contract.signatures:
        print()
        print_table(
            ("signature", "pyramids", "takes", "gives"),
            [
                (s.name, s.pyramid, " ".join(t.name for t in s.inputs), " ".join(t.name for t in s.outputs))
                for s in contract.signatures
            ],
        )
    given, thresholds = contract.input, contract.thresholds
    rows = [
        ("form", contract.form),
        ("pixels", f"{given.color}, (pixel - {given.offset}) / {given.divisor}, resize: {given.resize}"),
        ("boxes", contract.boxes.coding),
        ("anchors", f"{contract.anchors.count}, sha256 {contract.anchors.sha256}"),
        ("thresholds", f"score {thresholds.score_threshold}, IoU {thresholds.nms_iou}"),
        ("labels", ", ".join(f"{label.id} {label.name}" for label in contract.labels)),
    ]
    print()
    print_table(("what", "value"), rows)
