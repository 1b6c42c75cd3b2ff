"""Check a folder of labelled photos, or import one from Pascal VOC or YOLO."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.cli.common import add_json_argument

if TYPE_CHECKING:
    from nasfpn_lite.data.check import Examination

_SHOWN_WARNINGS = 5  # of each kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares `check` and `import`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="check|import")
    check = actions.add_parser("check", help="name everything that is broken in a COCO folder; exit code 1 on errors")
    check.add_argument("dir", metavar="DIR", type=Path, help="folder with instances*.json and images")
    add_json_argument(check)
    add = actions.add_parser("import", help="make a COCO folder of a Pascal VOC or YOLO folder")
    add.add_argument("source", metavar="SOURCE", type=Path, help="folder with images and labels")
    add.add_argument("--format", choices=("voc", "yolo"), required=True, help="what SOURCE is")
    add.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder to make")
    add.add_argument("--force", action="store_true", help="replace DIR if it is a COCO folder")
    add.add_argument("--skip-bad", action="store_true", help="leave out faulty labels and images, name them, go on")
    add_json_argument(add)


def run(args: argparse.Namespace) -> int:
    """Runs `check` or `import`."""
    return _run_check(args) if args.action == "check" else _run_import(args)


def _run_check(args: argparse.Namespace) -> int:
    from nasfpn_lite.cli.output import print_json
    from nasfpn_lite.data.check import examine_dataset

    examination = examine_dataset(args.dir, _show_progress if sys.stderr.isatty() else None)
    errors, warnings = examination.errors, len(examination.problems) - examination.errors
    if args.json:
        print_json(
            {
                "data": str(args.dir),
                "errors": errors,
                "warnings": warnings,
                "problems": examination.problems,
                "files": examination.files,
            }
        )
    else:
        _print_problems(examination)
        _print_summary(examination)
        print(f"{args.dir}: {errors} errors, {warnings} warnings")
    return 1 if errors else 0


def _show_progress(done: int, total: int) -> None:
    print(f"\rreading images {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _print_problems(examination: "Examination") -> None:
    shown: Counter[str] = Counter()
    for problem in sorted(examination.problems, key=lambda problem: problem.severity):
        shown[problem.code] += 1
        if problem.severity == "error" or shown[problem.code] <= _SHOWN_WARNINGS:
            print(problem)
    for code in dict.fromkeys(problem.code for problem in examination.problems if problem.severity == "warning"):
        if shown[code] > _SHOWN_WARNINGS:
            print(f"warning [{code}] ... and {shown[code] - _SHOWN_WARNINGS} more; --json lists all")


def _print_summary(examination: "Examination") -> None:
    from nasfpn_lite.cli.output import print_table

    for file in examination.files:
        print(f"\n{file.file}: {file.images} images, {file.boxes} boxes, sha256 {file.sha256}")
        print_table(("class", "boxes"), list(file.boxes_per_class.items()))
    print()


def _run_import(args: argparse.Namespace) -> int:
    from nasfpn_lite.cli.output import print_json
    from nasfpn_lite.data.importers import import_voc, import_yolo

    function = import_voc if args.format == "voc" else import_yolo
    result = function(args.source, args.output, force=args.force, skip_bad=args.skip_bad)
    for line in (*result.skipped, *result.notes):
        print(f"left out: {line}", file=sys.stderr)
    if args.json:
        print_json(result)
        return 0
    images = ", ".join(f"{split} {count}" for split, count in result.images.items())
    print(f"{result.output}: images: {images}; {result.boxes} boxes of {len(result.categories)} classes")
    print(f"next: nasfpn-lite data check {result.output}", file=sys.stderr)
    return 0
