"""No file that lost more AP than allowed gets its name: convert aside, score beside float32, keep or throw away."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nasfpn_lite.compare import Budget, Comparison, check, compare
from nasfpn_lite.converters.audit import audit_file
from nasfpn_lite.converters.calibration import Calibration
from nasfpn_lite.converters.certificate import (
    Certificate,
    certificate_path,
    describe_data,
    embed_certificate,
    make_certificate,
    write_certificate,
)
from nasfpn_lite.converters.convert import Converted, Source, Target, check_free, convert_all
from nasfpn_lite.converters.load_detector import load_detector
from nasfpn_lite.data.coco import find_splits
from nasfpn_lite.data.records import Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import Detector, detect_split
from nasfpn_lite.files import write_bytes_atomically

REFERENCE_RECIPE = "float32"
_SPLITS = ("test", "val")  # the first that is there is scored on

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Scoring:
    """What candidates are scored on and how.

    Attributes:
        folder: The COCO folder of `split`, for hashes.
        threads: Of the interpreter.
        bootstrap: Draws for the intervals.
    """

    folder: Path
    split: Split
    threads: int = 1
    bootstrap: int = 1000
    progress: Progress | None = None

    def detect(self, detector: Detector) -> list[dict[str, Any]]:
        """Runs a detector over the split; do it once for a reference of several candidates."""
        return detect_split(detector, self.split, progress=self.progress)


@dataclass(frozen=True)
class Judgement:
    """A candidate measured against its reference.

    Attributes:
        violations: How it exceeded the budget, in plain words; empty for a file within it.
    """

    comparison: Comparison
    budget: Budget
    violations: tuple[str, ...]

    @property
    def within_budget(self) -> bool:
        """Whether the file may be kept."""
        return not self.violations


@dataclass(frozen=True)
class Judged:
    """A file made and judged; `converted.path` is its final name, where it lies only if it is within the budget."""

    converted: Converted
    judgement: Judgement


def choose_split(folder: Path, asked: str | None) -> str:
    """Returns the split to score on: the one asked for, else test if there is one, else val.

    Raises:
        UserError: The folder has none of them.
    """
    splits = find_splits(folder)
    found = [split for split in ([asked] if asked else _SPLITS) if split in splits]
    if not found:
        raise UserError(
            f"{folder}: expected a split {asked or ' or '.join(_SPLITS)} to score the budget on, "
            f"found {', '.join(splits)}"
        )
    return found[0]


def judge(candidate: Path, reference: list[dict[str, Any]], scoring: Scoring, budget: Budget) -> Judgement:
    """Scores any .tflite file of ours against what its reference found in the same images.

    Args:
        reference: `scoring.detect` of the reference.
    """
    found = scoring.detect(load_detector(candidate, threads=scoring.threads))
    comparison = compare(reference, found, scoring.split, bootstrap=scoring.bootstrap)
    return Judgement(comparison, budget, tuple(check(comparison, budget)))


def convert_within_budget(  # noqa: PLR0913 - four of them are keywords
    source: Source,
    targets: Sequence[Target],
    scoring: Scoring,
    budget: Budget,
    *,
    calibration: Calibration | None = None,
    commands: Callable[[Target], dict[str, str]],
    training: Split | None = None,
    force: bool = False,
) -> list[Judged]:
    """Makes .tflite files, and keeps those that lose no more AP than the budget allows against float32 in their form.

    Everything is made in a temporary folder inside the targets' own. A file within the budget gets its name, with its
    certificate inside and beside it; of another nothing stays, and what had its name before is left alone.

    Args:
        targets: At least one; all in one folder and of one form.
        calibration: What ranges were measured on, or are to be.
        commands: Gives what goes into a file's certificate: what is reproduced -> command line.
        training: Photos of `scoring.folder` that a training on int8 grids used, for the certificate.
        force: As for `convert_all`.

    Raises:
        UserError: A file or certificate is there already, an image is missing, or the split has no objects.
        ConversionError: The converter failed.
    """
    paths = [target.path for target in targets]
    check_free([*paths, *map(certificate_path, paths)], force=force)
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    judged = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".judging-") as name:
        aside = [replace(target, path=Path(name) / target.path.name) for target in targets]
        float32 = Target(REFERENCE_RECIPE, targets[0].form, Path(name) / "reference.tflite")
        made = convert_all(source, [float32, *aside], calibration=calibration, force=force)
        reference = scoring.detect(load_detector(float32.path, threads=scoring.threads))
        for target, file in zip(targets, made[1:], strict=True):
            judgement = judge(file.path, reference, scoring, budget)
            size_bytes = file.size_bytes
            if judgement.within_budget:
                certificate = certify(file.path, judgement, scoring, calibration, commands(target), training)
                size_bytes = keep(file.path, target.path, certificate)
            judged.append(Judged(replace(file, path=target.path, size_bytes=size_bytes), judgement))
    return judged


def certify(
    candidate: Path,
    judgement: Judgement,
    scoring: Scoring,
    calibration: Calibration | None,
    commands: dict[str, str],
    training: Split | None = None,
) -> Certificate:
    """Makes the certificate of a file within its budget."""
    # Neither the name nor the size of what the certificate will lie in is known inside it.
    audit = {key: value for key, value in audit_file(candidate).to_dict().items() if key not in ("path", "size_bytes")}
    return make_certificate(
        candidate.read_bytes(),
        judgement.comparison,
        budget=asdict(judgement.budget),
        data=describe_data(scoring.folder, scoring.split),
        calibration=calibration,
        commands=commands,
        audit=audit,
        training=describe_data(scoring.folder, training) if training is not None else None,
    )


def keep(candidate: Path, path: Path, certificate: Certificate) -> int:
    """Gives a candidate its name, with its certificate inside and beside it; returns its size in bytes."""
    content = embed_certificate(candidate.read_bytes(), certificate)
    write_bytes_atomically(path, content)
    write_certificate(path, certificate)
    return len(content)
