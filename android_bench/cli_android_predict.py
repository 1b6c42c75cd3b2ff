"""Predict the latency of .tflite files on a phone from profiles of other files there; no phone is needed.

Profiles are the JSON files of `nasfpn-lite android profile`. The interval is as wide as the largest error in predicting
each measured file from the others. Exit code 1: a prediction goes beyond what was measured.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasfpn_lite.android_bench.fleet import EXIT_NOT_TRUSTWORTHY, EXIT_OK
from nasfpn_lite.android_bench.latency_model import LatencyModel, ModelError, Prediction, fit_model, predict
from nasfpn_lite.android_bench.layers import LayeredGraph, LayerTime, name_layers, sum_layers, sum_parts
from nasfpn_lite.android_bench.page_words import format_ms
from nasfpn_lite.android_bench.profile_record import PROFILE_SCHEMA, list_work, read_profile
from nasfpn_lite.android_bench.record_files import list_records
from nasfpn_lite.cli.common import add_json_argument
from nasfpn_lite.cli.output import format_table, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a .tflite file")
    parser.add_argument(
        "--from",
        dest="profiles",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="profiles of at least two files, or a folder of them, all of one phone and setting; the more, the better",
    )
    parser.add_argument("--by", choices=("layer", "part"), default="part", help="rows of the tables (default: part)")
    parser.add_argument("--rules", action="store_true", help="print the rule of each kind of operator too")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Fits, predicts and prints."""
    model = fit_model([read_profile(path) for path in find_profiles(args.profiles)])
    found = []
    for path in args.files:
        layered = name_layers(path)
        prediction = predict(model, list_work(layered.graph))
        found.append((path, prediction, _to_layers(args, layered, prediction)))
    if args.json:
        print_json(_to_data(model, found))
    else:
        print("\n".join(_describe(args, model, found)))
    return EXIT_NOT_TRUSTWORTHY if any(prediction.doubts for _, prediction, _ in found) else EXIT_OK


def find_profiles(paths: Sequence[Path]) -> list[Path]:
    """Returns files as they are, and of a folder the profiles in it.

    Raises:
        ModelError: A folder has none.
    """
    found = []
    for path in paths:
        inside = list_records(path, [PROFILE_SCHEMA]) if path.is_dir() else [path]
        if not inside:
            raise ModelError(f"expected profiles, JSON files of `nasfpn-lite android profile`, in {path}, got none")
        found += inside
    return found


def _to_layers(args: argparse.Namespace, layered: LayeredGraph, prediction: Prediction) -> tuple[LayerTime, ...]:
    layers = sum_layers([((place,), ms) for place, ms in prediction.operators_ms.items()], layered)
    return sum_parts(layers) if args.by == "part" else layers


def _to_data(model: LatencyModel, found: Sequence[tuple[Path, Prediction, tuple[LayerTime, ...]]]) -> dict[str, Any]:
    return {
        "setting": model.setting,
        "factor": model.factor,
        "left_out": model.left_out,
        "rules": list(model.rules.values()),
        "files": [
            {
                "file": path,
                "latency_ms": prediction.latency_ms,
                "interval_ms": prediction.interval_ms,
                "coverage": prediction.coverage,
                "doubts": prediction.doubts,
                "layers": layers,
            }
            for path, prediction, layers in found
        ],
    }


def _describe(
    args: argparse.Namespace, model: LatencyModel, found: Sequence[tuple[Path, Prediction, tuple[LayerTime, ...]]]
) -> list[str]:
    lines = [f"predicted, not measured, for {model.setting}\n"]
    headers = ("file", "ms (predicted)", "interval, ms", "holds for")
    lines.append(format_table(headers, [_to_row(path, prediction) for path, prediction, _ in found]))
    for path, prediction, layers in found:
        lines += [f"{path} goes beyond what was measured: {doubt}" for doubt in prediction.doubts]
        rows = [(layer.part, layer.name, f"{layer.ms:.3f}", layer.operators) for layer in layers]
        lines += [f"\n{path}", format_table(("part", "layer", "ms", "operators"), rows)]
    lines += ["\neach measured file as a model says that was fitted on the others:", _describe_left_out(model)]
    if args.rules:
        lines += ["", _describe_rules(model)]
    return lines


def _to_row(path: Path, prediction: Prediction) -> tuple[str, str, str | None, str | None]:
    interval = prediction.interval_ms
    text = None if interval is None else f"{format_ms(interval[0])} to {format_ms(interval[1])}"
    known = None if prediction.coverage is None else f"{prediction.coverage:.0%} of such files"
    coverage = "not known, see below" if prediction.doubts else known
    return str(path), format_ms(prediction.latency_ms), text, coverage


def _describe_left_out(model: LatencyModel) -> str:
    rows = []
    for item in model.left_out:
        predicted_ms = item.predicted_ms
        off = None if predicted_ms is None else f"{predicted_ms / item.measured_ms - 1:+.1%}"
        said = "others lack a kind of its operators" if predicted_ms is None else format_ms(predicted_ms)
        rows.append((item.file, format_ms(item.measured_ms), said, off))
    return format_table(("file", "ms (measured)", "ms (predicted)", "predicted is off by"), rows)


def _describe_rules(model: LatencyModel) -> str:
    rows = [
        (
            rule.kind,
            f"{rule.ms_per_multiply_add * 1e6:.4f}",
            f"{rule.ms_per_byte * 1e6:.4f}",
            f"{rule.constant_ms:.4f}",
            rule.observations,
        )
        for rule in sorted(model.rules.values(), key=lambda rule: rule.kind)
    ]
    headers = ("kind", "ms per million multiply-adds", "ms per million bytes", "ms each", "operators")
    return f"{format_table(headers, rows)}\na run takes {model.factor:.3f} times the sum of these rules"
