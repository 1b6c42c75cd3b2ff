"""The AP budget on a command line: its options, its table, and the commands that a certificate repeats."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nasfpn_lite.cli import EXIT_OVER_BUDGET, PROGRAM
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.compare import Budget, Change, Comparison
    from nasfpn_lite.converters.budget import Judged
    from nasfpn_lite.converters.convert import Target


def ap_points(text: str) -> float:
    """Reads 0 to 100 AP points, as argparse's `type`."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"expected 0 to 100 AP points (0.5 is 0.005 of AP 0..1), got {text!r}")
    return value


def add_budget_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --max-ap-drop, --max-class-drop and --budget-split."""
    group = parser.add_argument_group(
        "AP budget",
        "score each file beside float32 on held-out photos, and keep it only if it lost no more points of AP 0..100; "
        f"else the exit code is {EXIT_OVER_BUDGET}",
    )
    group.add_argument("--max-ap-drop", metavar="P", type=ap_points, help="points of AP over all classes")
    group.add_argument("--max-class-drop", metavar="P", type=ap_points, help="points of AP of any one class")
    group.add_argument("--budget-split", choices=("val", "test"), help="default: test if there is one, else val")


def budget_from_args(args: argparse.Namespace) -> "Budget | None":
    """Returns the budget that the options ask for, None without."""
    if args.max_ap_drop is None and args.max_class_drop is None:
        if args.budget_split is not None:
            raise UserError("--budget-split goes with a budget; add --max-ap-drop and --max-class-drop")
        return None
    from nasfpn_lite.compare import Budget

    return Budget(args.max_ap_drop, args.max_class_drop)


def print_judged(judged: "list[Judged]", *, as_json: bool) -> int:
    """Prints each file's figures on stdout, and what it lost beyond the budget on stderr; returns the exit code."""
    if as_json:
        print_json({"files": [_to_dict(file) for file in judged]})
    for file in judged:
        path, comparison = file.converted.path, file.judgement.comparison
        if not as_json:
            print_comparison(file.converted.recipe, path, comparison)
        if not file.judgement.within_budget:
            reasons = "\n".join(f"  {violation}" for violation in file.judgement.violations)
            print(f"over budget, not written: {path}\n{reasons}", file=sys.stderr)
    return 0 if all(file.judgement.within_budget for file in judged) else EXIT_OVER_BUDGET


def print_comparison(recipe: str, path: Path, comparison: "Comparison") -> None:
    """Prints a comparison with float32 as a table."""
    print(f"{path} on {comparison.images} images; AP in points, 0..100")
    rows = [_row("AP", comparison.ap)]
    rows += [_row(f"class {name}", change) for name, change in comparison.per_class.items()]
    rows += [_row(f"{size} objects", change) for size, change in comparison.per_size.items()]
    print_table(("", "float32", recipe, "difference", "95 % interval"), rows)
    print()


def reproducing_commands(args: argparse.Namespace, data: Path, split: str, target: "Target") -> dict[str, str]:
    """Returns the command lines that give a file's figures again, as `convert`'s arguments lead to them."""
    kept = ["--float-stages", *target.float_stages] if target.float_stages else []
    limits = (("--max-ap-drop", args.max_ap_drop), ("--max-class-drop", args.max_class_drop))
    budget = [text for option, value in limits if value is not None for text in (option, f"{value:g}")]
    force = permission_again(args)
    more = [*kept, *budget, "--budget-split", split, "--json", *force]
    return {
        "file, differences and intervals": _convert_again(args.source, target, target.recipe, data, *more),
        **checking_commands(args.source, target, data, split, *force),
    }


def permission_again(args: argparse.Namespace) -> list[str]:
    """Returns the option that allowed a calibration with few photos, to be printed once more."""
    return ["--force"] if args.force else ["--few-images"] if args.few_images else []


def checking_commands(source: str, target: "Target", data: Path, split: str, *force: str) -> dict[str, str]:
    """Returns the command lines that check what a certificate says of a file.

    Args:
        source: The run folder.
        force: What `permission_again` returns.
    """

    def evaluate(file: Path) -> str:
        return shlex.join([PROGRAM, "eval", str(file), "--data", str(data), "--split", split, "--json"])

    run = target.path.name.removesuffix(f"_{target.recipe}_{target.form}.tflite")
    float32 = _folder_again(target) / f"{run}_float32_{target.form}.tflite"
    checks = ["python", "-m", "nasfpn_lite.converters.check_certificate", str(target.path)]
    return {
        "AP of this file": evaluate(target.path),
        "AP of float32": f"{_convert_again(source, target, 'float32', data, *force)} && {evaluate(float32)}",
        "hashes": shlex.join([*checks, "--data", str(data)]),
        "audit": shlex.join([PROGRAM, "inspect", str(target.path), "--json"]),
    }


def _convert_again(source: str, target: "Target", recipe: str, data: Path, *more: str) -> str:
    output = ["--form", target.form, "-o", str(_folder_again(target)), "--data", str(data)]
    return shlex.join([PROGRAM, "convert", source, "--recipe", recipe, *output, *more])


def _folder_again(target: "Target") -> Path:
    return target.path.parent / "again"


def _row(name: str, change: "Change") -> tuple[str, str, str, str, str]:
    low_high = change.interval
    return (
        name,
        _number(change.reference),
        _number(change.candidate),
        _number(change.difference, "+.2f"),
        "-" if low_high is None else f"{low_high[0]:+.2f} to {low_high[1]:+.2f}",
    )


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


def _to_dict(file: "Judged") -> dict:
    judgement, converted = file.judgement, file.converted
    return {
        **vars(converted),
        "kept": judgement.within_budget,
        "violations": list(judgement.violations),
        "budget": judgement.budget,
        "comparison": judgement.comparison.to_dict(),
    }
