"""What a run folder holds for its report, and the comparisons between its files."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.errors import UserError

RESULTS_FILE = "results.json"
INT8 = "static_wi8_ai8"


@dataclass(frozen=True)
class ReportData:
    """What a run folder holds for its report; every part but the folder may be empty.

    Attributes:
        log: Rows of log.csv.
        results: The content of results.json: {"files": [{"file", "recipe", "form", "size_bytes", "AP", "AP50",
            "latency_ms_p50", "latency_ms_ci", ...}], "examples": [{"truth", "detections", "caption"}] with paths to
            JPEG files relative to the folder, "commands": [{"figure", "command"}], "calibration": {"images"},
            "machine", "seconds", "data"}.
    """

    folder: Path
    spec: dict[str, Any]
    recipe: dict[str, Any]
    versions: dict[str, str]
    categories: list[dict[str, Any]]
    log: list[dict[str, str]]
    results: dict[str, Any]

    @property
    def files(self) -> list[dict[str, Any]]:
        """Returns the measured files."""
        return list(self.results.get("files", []))


def read_report_data(folder: Path) -> ReportData:
    """Reads what there is of a run."""
    data = ReportData(
        folder=folder,
        spec=_read_json(folder / "spec.json", {}),
        recipe=_read_json(folder / "recipe.json", {}),
        versions=_read_json(folder / "versions.json", {}),
        categories=_read_json(folder / "categories.json", []),
        log=_read_log(folder / "log.csv"),
        results=_read_json(folder / RESULTS_FILE, {}),
    )
    if not (data.spec or data.log or data.results):
        raise UserError(f"expected a run folder (with spec.json, log.csv or {RESULTS_FILE}), got {folder}")
    return data


def _read_json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}; delete it or restore it") from error


def _read_log(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def to_number(value: Any) -> float | None:
    """Returns a finite number, or None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def to_label(file: dict[str, Any]) -> str:
    """Returns a file's short name: its recipe and form."""
    return " ".join(str(file[key]) for key in ("recipe", "form") if file.get(key)) or Path(str(file["file"])).name


def _reference(data: ReportData, file: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the float32 file of the same form, or any float32 file."""
    floats = [other for other in data.files if other.get("recipe") == "float32"]
    same = [other for other in floats if other.get("form") == file.get("form")]
    return next(iter(same or floats), None)


def find_drop(data: ReportData, file: dict[str, Any]) -> float | None:
    """Returns AP of the float32 file minus AP of this one."""
    reference = _reference(data, file)
    ours, theirs = to_number(file.get("AP")), to_number(reference.get("AP")) if reference else None
    return None if ours is None or theirs is None or file is reference else theirs - ours
