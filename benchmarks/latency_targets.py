"""Is the detector as fast as it should be? Measures it beside peers in one run and compares with the targets.

    python -m nasfpn_lite.benchmarks.latency_targets --peers DIR

Random weights will do: latency does not depend on them. DIR holds the peers' .tflite files that are named below. The
figures go to benchmarks/results/latency_targets.json.
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.benchmarks.bench import bench
from nasfpn_lite.benchmarks.record import BenchOptions, BenchReport, BenchResult
from nasfpn_lite.cli.common import add_json_argument, positive_int
from nasfpn_lite.cli.output import print_json, print_table, to_plain
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically

VARIANT, CLASSES = "nasfpnlite_3x48", 80
SSD_256 = "ssd_mobilenet_v2_fpnlite_256_int8.tflite"
CLASSIFIER = "mobilenet_v2_224_int8_ptq.tflite"
RESULTS = Path("benchmarks", "results", "latency_targets.json")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """One demand and how it was met.

    Attributes:
        interval: 95 % interval of the ratio that was measured.
    """

    name: str
    measured: float
    interval: tuple[float, float]
    bound: float
    at_least: bool

    @property
    def is_met(self) -> bool:
        """Whether the median of the ratio meets the bound."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def convert_detectors(folder: Path) -> dict[str, Path]:
    """Makes the detector's files at 256 and 320: {"float32_raw_256": path, ...}."""
    from nasfpn_lite.converters.calibration import make_synthetic_calibration
    from nasfpn_lite.converters.convert import Source, convert_all
    from nasfpn_lite.converters.convert import Target as File
    from nasfpn_lite.variants import get_spec

    paths: dict[str, Path] = {}
    for size in ("256", "320"):
        spec = get_spec(VARIANT, size=size, num_classes=CLASSES)
        wanted = [("float32", "raw"), ("static_wi8_ai8", "raw"), ("static_wi8_ai8", "detect")]
        files = [File(recipe, form, folder / f"{VARIANT}_{size}_{recipe}_{form}.tflite") for recipe, form in wanted]
        logger.info("converting at %s", size)
        if not all(file.path.is_file() for file in files):
            convert_all(Source.random(spec), files, calibration=make_synthetic_calibration(spec), force=True)
        paths |= {f"{file.recipe}_{file.form}_{size}": file.path for file in files}
    return paths


def find_targets(report: BenchReport, ours: dict[str, Path], peers: Path) -> list[Target]:
    """Compares a run that holds all of `ours` and both peers with the targets.

    Raises:
        UserError: A peer was not measured.
    """
    results = {result.file: result for result in report.results}
    ratios = {(ratio.file, ratio.to): ratio for ratio in report.ratios}
    for path in (peers / SSD_256, peers / CLASSIFIER):
        if str(path) not in results:
            raise UserError(f"expected a figure of {path}, but it was not measured")

    def ratio(file: Path, to: Path) -> tuple[float, tuple[float, float]]:
        found = ratios.get((str(file), str(to)))
        if found is not None:
            return found.latency_ratio, found.latency_ratio_ci
        other = ratios[str(to), str(file)]
        return 1 / other.latency_ratio, (1 / other.latency_ratio_ci[1], 1 / other.latency_ratio_ci[0])

    def scaled(file: Path, to: Path, factor: float = 1.0) -> tuple[float, tuple[float, float]]:
        middle, (low, high) = ratio(file, to)
        return middle * factor, (low * factor, high * factor)

    classifier, ssd = peers / CLASSIFIER, peers / SSD_256
    raw_256, raw_320 = ours["static_wi8_ai8_raw_256"], ours["static_wi8_ai8_raw_320"]
    detect_256, detect_320 = ours["static_wi8_ai8_detect_256"], ours["static_wi8_ai8_detect_320"]
    float_256, float_320 = ours["float32_raw_256"], ours["float32_raw_320"]
    work = _multiply_adds(results[str(raw_320)]) / _multiply_adds(results[str(classifier)])
    return [
        Target("int8 raw at 256: latency / peer SSD's", *scaled(raw_256, ssd), 0.80, False),
        Target("int8 raw at 320: multiply-adds/s / peer classifier's", *scaled(classifier, raw_320, work), 1.0, True),
        Target("256: float32's latency / int8's", *scaled(float_256, raw_256), 1.8, True),
        Target("320: float32's latency / int8's", *scaled(float_320, raw_320), 1.8, True),
        Target("256, int8: detect's latency / raw's", *scaled(detect_256, raw_256), 1.1, False),
        Target("320, int8: detect's latency / raw's", *scaled(detect_320, raw_320), 1.1, False),
    ]


def _multiply_adds(result: BenchResult) -> int:
    if result.multiply_adds is None:
        raise UserError(f"{result.file}: counting multiply-adds needs ai-edge-litert; pip install ai-edge-litert")
    return result.multiply_adds


def check_peers(folder: Path) -> None:
    """Refuses a folder that lacks one of the peers that the targets name."""
    for name in (SSD_256, CLASSIFIER):
        if not (folder / name).is_file():
            raise UserError(f"expected the peer {name} in {folder}, but it is not there")


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints, saves; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, metavar="DIR", help="folder of the peers' files")
    parser.add_argument("--files", type=Path, metavar="DIR", help="keep our files here, or take them")
    parser.add_argument("--rounds", type=positive_int, default=40, help="default: %(default)s")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="default: %(default)s")
    add_json_argument(parser)
    args = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        return _run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    check_peers(args.peers)
    with tempfile.TemporaryDirectory() as folder:
        ours = convert_detectors(args.files or Path(folder))
        peers = sorted(args.peers.glob("*.tflite"))
        logger.info("measuring %d files", len(ours) + len(peers))
        report = bench([*ours.values(), *peers], BenchOptions(rounds=args.rounds, end_to_end=False))
    targets = find_targets(report, ours, args.peers)
    data = {"targets": [{**to_plain(target), "is_met": target.is_met} for target in targets], **report.to_dict()}
    write_text_atomically(args.output, _without_folders(json.dumps(to_plain(data), indent=1), [*ours.values(), *peers]))
    if args.json:
        print_json(data)
    else:
        print_targets(targets, report)
    return 0 if all(target.is_met for target in targets) else 1


def _without_folders(text: str, files: Sequence[Path]) -> str:
    """Leaves the names of the files alone: where they lay on this machine concerns nobody."""
    for file in files:
        text = text.replace(json.dumps(str(file)), json.dumps(file.name))
    return text + "\n"


def print_targets(targets: Sequence[Target], report: BenchReport) -> None:
    """Prints the targets and the latencies behind them."""
    print_table(
        ("target", "measured", "95 % interval", "bound", "met"),
        [
            (
                target.name,
                target.measured,
                f"{target.interval[0]:.3f}-{target.interval[1]:.3f}",
                f"{'>=' if target.at_least else '<='} {target.bound:.2f}",
                "yes" if target.is_met else "no",
            )
            for target in targets
        ],
    )
    print()
    print_table(
        ("file", "ms", "million multiply-adds", "GMAdd/s", "not trustworthy"),
        [
            (
                Path(r.file).name,
                f"{r.latency_ms_p50:.2f}",
                None if r.multiply_adds is None else f"{r.multiply_adds / 1e6:.1f}",
                None if r.gmadds_per_s is None else f"{r.gmadds_per_s:.1f}",
                "; ".join(r.warnings) or None,
            )
            for r in report.results
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
