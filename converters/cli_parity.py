"""Hold a .tflite against the run it was made of, layer by layer on real photos; exit code 1 where it strays too far."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfpn_lite.cli.common import add_json_argument, positive_int
from nasfpn_lite.cli.output import print_json, print_table
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from nasfpn_lite.converters.parity import Parity, StageParity
    from nasfpn_lite.runs import Run

EXIT_OUTSIDE = 1
_BAR_WIDTH = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    parser.add_argument("run", metavar="RUN", type=Path, help="run folder of `train`")
    parser.add_argument("file", metavar="FILE", type=Path, help=".tflite that `convert` made of it")
    parser.add_argument("--data", metavar="DIR", type=Path, help="COCO folder with photos (default: the run's own)")
    parser.add_argument("--split", default="test", help="train, val or test (default: %(default)s)")
    parser.add_argument("--images", metavar="N", type=positive_int, default=8, help="photos (default: %(default)s)")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="draw the drift curve into this .svg")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Measures and prints."""
    from nasfpn_lite.converters.parity import measure_parity
    from nasfpn_lite.converters.parity_chart import draw_drift
    from nasfpn_lite.files import write_text_atomically
    from nasfpn_lite.runs import load_run

    if args.output is not None and args.output.suffix.lower() != ".svg":
        raise UserError(f"the drift curve is an SVG; expected a name that ends in .svg, got {args.output}")
    trained = load_run(args.run)
    parity = measure_parity(trained, args.file, load_photos(trained, args.data, args.split, args.images))
    if args.output is not None:
        write_text_atomically(args.output, draw_drift(parity, title=f"{args.file.name} against {args.run.name}"))
    if args.json:
        print_json({"run": args.run, "file": args.file, **to_figures(parity)})
    else:
        _print(parity)
    return 0 if parity.within else EXIT_OUTSIDE


def load_photos(run: "Run", data: Path | None, split: str, count: int) -> "np.ndarray":
    """Returns the first photos of a split, fitted to the network: (n, H, W, 3) uint8, n at most `count`.

    Raises:
        UserError: There is no such folder or split, or a photo cannot be read.
    """
    import numpy as np

    from nasfpn_lite.data.coco import load_split, read_record
    from nasfpn_lite.preprocess import fit_image

    folder = data or run.recipe.get("data")
    if not folder or not Path(folder).is_dir():
        where = f"there is no folder {folder}" if folder else f"{run.folder} does not say which it was trained on"
        raise UserError(f"expected a COCO folder with photos, but {where}; name one with --data DIR")
    records = load_split(Path(folder), split, categories=run.categories, seed=int(run.recipe.get("seed", 0))).images[
        :count
    ]
    photos = (read_record(record) for record in records)
    return np.stack([fit_image(photo, run.spec.image_size, run.spec.resize)[0] for photo in photos])


def to_figures(parity: "Parity") -> dict[str, Any]:
    """Returns what --json prints: decibels, null where a ratio is infinite (nothing differs) or not measured."""

    def name(entry: "StageParity | None") -> str | None:
        return entry.stage.name if entry is not None else None

    return {
        "recipe": parity.recipe,
        "images": parity.images,
        "within": parity.within,
        "verdict": parity.verdict(),
        "collapse": name(parity.collapse),
        "steepest_fall": name(parity.steepest),
        "missing": [stage.name for stage in parity.missing],
        "stages": [_entry_figures(entry) for entry in parity.stages],
    }


def _entry_figures(entry: "StageParity") -> dict[str, Any]:
    stage = entry.stage
    return {
        **{"name": stage.name, "kind": stage.kind, "part": stage.part, "words": stage.words},
        **{"found": entry.snr_db is not None, "within": entry.within},
        **{name: getattr(entry, name) for name in ("snr_db", "max_abs_error", "fall_db", "tolerance_db")},
    }


def _print(parity: "Parity") -> None:
    finite = [e.snr_db for e in parity.stages if e.snr_db is not None and math.isfinite(e.snr_db)]
    scale = _BAR_WIDTH / max([1.0, *finite])
    rows = [
        (
            entry.stage.words,
            "-" if entry.snr_db is None else f"{entry.snr_db:.1f}",
            f"{entry.tolerance_db:.1f}",
            "-" if entry.max_abs_error is None else f"{entry.max_abs_error:.2g}",
            _bar(entry.snr_db, scale) + ("" if entry.within else "  <-- outside"),
        )
        for entry in parity.stages
    ]
    print_table(("stage", "dB", "least", "max error", "signal to noise"), rows)
    print(f"\n{parity.verdict()} ({parity.images} photos)")


def _bar(snr_db: float | None, scale: float) -> str:
    if snr_db is None:
        return "not in the file"
    return "#" * min(max(round(snr_db * scale), 0), _BAR_WIDTH) if math.isfinite(snr_db) else "exact" * (snr_db > 0)
