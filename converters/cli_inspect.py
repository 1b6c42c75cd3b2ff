"""Say what a .tflite file really computes with: how much of it in int8, and what runs outside XNNPACK."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.cli.common import add_json_argument
from nasfpn_lite.cli.output import print_json, print_table

if TYPE_CHECKING:
    from nasfpn_lite.converters.audit import Audit, Port

EXIT_WARNINGS = 1
_INTERRUPTS = {True: ", interrupts quantized arithmetic", False: ""}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="any .tflite file")
    parser.add_argument("--strict", action="store_true", help=f"exit {EXIT_WARNINGS} if there are warnings")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Audits and prints."""
    from nasfpn_lite.converters.audit import audit_file

    audit = audit_file(args.file)
    if args.json:
        print_json(audit.to_dict())
    else:
        _print_for_people(audit)
    return EXIT_WARNINGS if args.strict and audit.warnings else 0


def _print_for_people(audit: "Audit") -> None:
    how = "tried on this machine" if audit.delegation_measured else "foretold, the file cannot be loaded here"
    weights = ", ".join(f"{count} {kind.replace('_', '-')}" for kind, count in audit.weights.items() if count)
    main_count = audit.delegated_operator_count + sum(refusal.count for refusal in audit.refused)
    rows = [
        ("size", f"{audit.size_bytes / 1e6:.2f} MB"),
        *(("input", _describe(port)) for port in audit.inputs),
        *(("output", _describe(port)) for port in audit.outputs),
        ("multiply-adds", f"{audit.multiply_adds / 1e6:.1f} million"),
        (
            "in int8",
            f"{audit.int8_multiply_add_share:.1%} of multiply-adds, {audit.int8_operator_share:.1%} of operators",
        ),
        ("in int16x8", f"{audit.int16x8_multiply_add_share:.1%} of multiply-adds"),
        ("hybrid", f"{audit.hybrid_multiply_add_share:.1%} of multiply-adds (float data, int8 weights)"),
        ("in float", f"{audit.float_multiply_add_share:.1%} of multiply-adds"),
        *([("kept in float", ", ".join(audit.float_stages))] if audit.float_stages else []),
        ("weights", weights or "none"),
        ("in XNNPACK", f"{audit.delegated_operator_count} of {main_count} operators ({how})"),
        ("fake quantizers", f"{audit.fake_quant_count}"),
        *(
            ("stray", f"{stray.name} {stray.types} {stray.where}{_INTERRUPTS[stray.interrupts]}")
            for stray in audit.stray_conversions
        ),
    ]
    print_table((str(audit.path), ""), rows)
    print()
    counts = [
        (count.name, count.arithmetic, count.count, f"{count.multiply_adds / 1e6:.1f}") for count in audit.operators
    ]
    print_table(("operator", "arithmetic", "count", "million multiply-adds"), counts)
    if audit.refused:
        print()
        print_table(("outside XNNPACK", "count", "why"), [(r.name, r.count, r.reason) for r in audit.refused])
    for warning in audit.warnings:
        print(f"\nwarning: {warning}")


def _describe(port: "Port") -> str:
    scale = "" if port.scale is None else f", scale {port.scale:.6g}, zero point {port.zero_point}"
    return f"{port.name}: {port.dtype} {'x'.join(map(str, port.shape)) or 'no shape'}{scale}"
