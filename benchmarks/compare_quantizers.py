"""Which quantizer makes the better int8 file: TensorFlow's converter with our ranges, or litert-quantizer?

    python -m nasfpn_lite.benchmarks.compare_quantizers RUN --data DIR --quantizer-python PYTHON

PYTHON is that of an environment with `pip install litert-quantizer==0.11.0`, which has pins of its own. Both start from
the same weights and see the same photos of the training split; litert-quantizer gets our float32 file, whose upsampling
XNNPACK runs already. Prints one row per file; latencies are processor time of one thread, in turns.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasfpn_lite.benchmarks.cpu_time import Timing, time_in_turns
from nasfpn_lite.benchmarks.record import read_machine
from nasfpn_lite.benchmarks.statistics import Estimate
from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.converters.audit import audit_file
from nasfpn_lite.converters.calibration import load_calibration
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import make_interpreter
from nasfpn_lite.converters.metadata import Metadata, embed_metadata, read_metadata
from nasfpn_lite.converters.processes import package_environment
from nasfpn_lite.converters.recipes import ALL_RECIPES
from nasfpn_lite.converters.tflite_detector import TFLiteDetector
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import evaluate
from nasfpn_lite.files import write_bytes_atomically
from nasfpn_lite.pixels import PIXEL_OFFSET, PIXEL_SCALE
from nasfpn_lite.runs import load_run

PACKAGE = "litert-quantizer"
OURS, THEIRS, THEIRS_16 = "int8, TensorFlow", f"int8, {PACKAGE}", f"int8 weights, int16 activations, {PACKAGE}"
FLOAT = "float32"
SCORED = ("val", "test")
# Runs in litert-quantizer's own environment, which has nothing of ours.
_QUANTIZE = f"""
import sys
import numpy as np
from litert_quantizer import quantizer, recipe
source, photos, name, output = sys.argv[1:]
images = ((photo[None].astype(np.float32) - {PIXEL_OFFSET}) / {PIXEL_SCALE} for photo in np.load(photos))
job = quantizer.Quantizer(source, getattr(recipe, name)())
ranges = job.calibrate({{"serving_default": [{{"image": image}} for image in images]}}, num_threads=1)
job.quantize(ranges).export_model(output)
"""
# A process of its own: the kernel counts what the starting process held as memory of the one started, and we hold much.
_WATCH = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print("", json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]), sep="\\n")
sys.exit(code)
"""


@dataclass(frozen=True)
class Cost:
    """What a program took: processor time, and the largest resident set of it or of a process that it started."""

    cpu_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class Row:
    """One file's figures.

    Attributes:
        aps: COCO AP on SCORED.
        latency_ratio: To OURS.
        delegated: Operators that XNNPACK runs, of all.
    """

    name: str
    aps: tuple[float, ...]
    latency_ms: float
    latency_ratio: Estimate
    size_bytes: int
    cost: Cost
    int8_share: float
    conversions: int
    delegated: tuple[int, int]


def find_quantizer(python: Path) -> str:
    """Returns the version of litert-quantizer in the environment of a Python.

    Raises:
        UserError: There is no such Python, or it has no litert-quantizer.
    """
    code = f"import importlib.metadata as m; print(m.version('{PACKAGE}'))"
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"expected a Python in {python}: {error.strerror}; give that of {PACKAGE}'s venv") from error
    if done.returncode:
        raise UserError(f"expected {PACKAGE} beside {python}, but it is not there; {python} -m pip install {PACKAGE}")
    return done.stdout.strip()


def measure(command: Sequence[str]) -> Cost:
    """Runs a program and measures it.

    Raises:
        UserError: It failed; the message holds the end of what it said.
    """
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, *command],
        env=package_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    *said, figures = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode:
        last = said[-1] if said else "nothing"
        raise UserError(f"{Path(command[0]).name} ended with exit code {done.returncode} and said: {last}")
    cpu_seconds, memory = json.loads(figures)
    return Cost(cpu_seconds, memory * (1 if sys.platform == "darwin" else 1024))


def adopt(content: bytes, metadata: Metadata) -> bytes:
    """Returns a file of litert-quantizer's as one of ours: weights moved into the flatbuffer, our metadata put in."""
    graph = Graph(content)
    for buffer in graph.model.buffers:
        if buffer.offset > 1:  # stored behind the flatbuffer; 0 and 1 mean inside
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return embed_metadata(graph.to_bytes(), metadata)


def make_files(run: Path, data: Path, python: Path, folder: Path) -> tuple[dict[str, Path], dict[str, Cost]]:
    """Converts a run in every way; returns the files and what each took."""
    ours = [sys.executable, "-m", "nasfpn_lite", "convert", str(run), "--form", "raw", "--data", str(data)]
    paths, costs = {}, {}
    for name, recipe in ((FLOAT, "float32"), (OURS, "static_wi8_ai8")):
        costs[name] = measure([*ours, "--recipe", recipe, "-o", str(folder)])
        paths[name] = folder / f"{run.resolve().name}_{recipe}_raw.tflite"
    loaded, photos = load_run(run), folder / "photos.npy"
    split = load_split(data, "train", categories=loaded.categories, seed=int(loaded.recipe.get("seed", 0)))
    np.save(photos, load_calibration(split, loaded.spec, source=str(data)).images)
    metadata = read_metadata(paths[FLOAT].read_bytes())
    for name, recipe in ((THEIRS, "static_wi8_ai8"), (THEIRS_16, "static_wi8_ai16")):
        paths[name] = folder / f"{PACKAGE}_{recipe}.tflite"
        command = [str(python), "-c", _QUANTIZE, str(paths[FLOAT]), str(photos), recipe, str(paths[name])]
        costs[name] = measure(command)
        # int16 activations are no recipe of ours: there the float file's metadata stay as they are.
        named = dataclasses.replace(metadata, recipe=recipe) if recipe in ALL_RECIPES else metadata
        write_bytes_atomically(paths[name], adopt(paths[name].read_bytes(), named))
    return paths, costs


def score(name: str, path: Path, data: Path, cost: Cost, timing: Timing) -> Row:
    """Gathers a file's figures: AP, times, and what it computes with."""
    detector = TFLiteDetector(path, threads=os.cpu_count() or 1)
    seed = detector.metadata.split_seed or 0
    splits = [load_split(data, split, categories=detector.categories, seed=seed) for split in SCORED]
    audit = audit_file(path)
    return Row(
        name=name,
        aps=tuple(evaluate(detector, split).summary["AP"] or 0.0 for split in splits),
        latency_ms=timing.milliseconds,
        latency_ratio=timing.ratio,
        size_bytes=audit.size_bytes,
        cost=cost,
        int8_share=audit.int8_multiply_add_share,
        conversions=sum(o.count for o in audit.operators if o.name in ("QUANTIZE", "DEQUANTIZE")),
        delegated=(audit.delegated_operator_count, audit.operator_count),
    )


def to_table(rows: Sequence[Row]) -> str:
    """Writes the rows in Markdown."""
    head = (
        "file",
        *(f"AP {split}" for split in SCORED),
        "ms",
        "ms / ours",
        "MB",
        "conversion, CPU s",
        "peak GB",
        "int8",
        "(DE)QUANTIZE",
        "in XNNPACK",
    )
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        ratio = row.latency_ratio
        cells = (
            row.name,
            *(f"{ap:.4f}" for ap in row.aps),
            f"{row.latency_ms:.2f}",
            f"{ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
            f"{row.size_bytes / 1e6:.2f}",
            f"{row.cost.cpu_seconds:.0f}",
            f"{row.cost.peak_memory_bytes / 1e9:.2f}",
            f"{row.int8_share:.0%}",
            f"{row.conversions}",
            f"{row.delegated[0]} of {row.delegated[1]}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of `train`")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder with train, val and test")
    parser.add_argument("--quantizer-python", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--files", type=Path, metavar="DIR", help="keep the files in this new folder")
    parser.add_argument("--rounds", type=positive_int, default=20, help="of timing (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        version = find_quantizer(args.quantizer_python)
        with tempfile.TemporaryDirectory() as temporary:
            folder = args.files or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            paths, costs = make_files(args.run, args.data, args.quantizer_python, folder)
            names = (FLOAT, THEIRS_16, THEIRS, OURS)  # the last is what ratios refer to
            timings = time_in_turns([make_interpreter(paths[name]) for name in names], args.rounds)
            rows = [
                score(name, paths[name], args.data, costs[name], timing)
                for name, timing in zip(names, timings, strict=True)
            ]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    machine = read_machine()
    print(f"{PACKAGE} {version}, {machine.cpu}, {machine.versions}\n\n{to_table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
