"""The JSON files of sessions: checked against their schema before they are written and after they are read."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from nasfpn_lite.android_bench.checked_json import RecordError, parse_record, to_json_data
from nasfpn_lite.android_bench.records import SCHEMA, VERSION, SessionResult
from nasfpn_lite.android_bench.sustained_record import SUSTAINED_SCHEMA, SUSTAINED_VERSION, SustainedResult
from nasfpn_lite.files import write_text_atomically

AnyResult = SessionResult | SustainedResult

_Record = TypeVar("_Record")

logger = logging.getLogger(__name__)

_KINDS: dict[str, tuple[type[AnyResult], int]] = {
    SCHEMA: (SessionResult, VERSION),
    SUSTAINED_SCHEMA: (SustainedResult, SUSTAINED_VERSION),
}


def check_record(data: Any) -> AnyResult:
    """Returns the record that JSON data holds.

    Raises:
        RecordError: It does not fit the schema that it names; the message begins with the path of the wrong entry.
    """
    if not isinstance(data, dict) or data.get("schema") not in list(_KINDS):  # it may be unhashable
        found = data.get("schema") if isinstance(data, dict) else data
        raise RecordError("schema", f"expected {' or '.join(_KINDS)}, got {found!r}")
    kind, version = _KINDS[data["schema"]]
    if data.get("version") != version:
        raise RecordError("version", f"expected {version}, got {data.get('version')!r}; use the release that wrote it")
    return parse_record(kind, data)


def write_record(path: Path, result: AnyResult) -> None:
    """Writes the JSON file, whole or not at all; what could not be read back is not written."""
    text = json.dumps(to_json_data(result), indent=1, ensure_ascii=False, allow_nan=False)
    check_record(json.loads(text))
    write_text_atomically(path, text + "\n")


def read_record(path: Path) -> AnyResult:
    """Reads the JSON file of a session or a sustained run.

    Raises:
        RecordError: It is no JSON or does not fit its schema.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(str(path), f"is no JSON: {error}; expected the file of a session") from error
    try:
        return check_record(data)
    except RecordError as error:
        raise RecordError(f"{path}: {error.path}", error.problem) from error


def read_folder(folder: Path, schemas: Collection[str], read: Callable[[Path], _Record]) -> list[_Record]:
    """Reads the records of a folder for a page; a damaged one is left out with a warning."""
    found = []
    for path in list_records(folder, schemas):
        try:
            found.append(read(path))
        except RecordError as error:
            logger.warning("left out of the page: %s", error)
    return found


def list_records(folder: Path, schemas: Collection[str]) -> list[Path]:
    """Returns the files of a folder that hold records of these schemas, or are damaged; other JSON may lie there."""
    return [path for path in sorted(folder.glob("*.json")) if _may_be_record(path, schemas)]


def _may_be_record(path: Path, schemas: Collection[str]) -> bool:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return True
    return isinstance(data, dict) and data.get("schema") in tuple(schemas)  # it may be unhashable


def to_file_stem(serial: str) -> str:
    """Returns a serial as a safe part of a file name; two serials never give the same.

    A serial may be an address such as 192.168.0.7:5555, and a hostile one a path.
    """
    safe = re.sub(r"[^A-Za-z0-9.-]", "_", serial).lstrip(".")[:60]
    if safe == serial:
        return serial
    return f"{safe}-{hashlib.sha256(serial.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
