"""AP of files that a session measured: taken from what was recorded of the same file, never guessed.

Recorded is it in the JSON of `eval` and `android eval`, in a run's results.json, and in the certificate of a file.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from nasfpn_lite.android_bench.records import FileFigures
from nasfpn_lite.errors import UserError

RESULTS_FILE = "results.json"
_TFLITE = ".tflite"
_CERTIFICATE = ".certificate.json"
_EXPECTED = f"what `eval --json` or `android eval --json` prints, a {RESULTS_FILE} or its folder, or a certificate"


class ClaimError(UserError):
    """A file that says no AP, or two that disagree."""


@dataclass(frozen=True)
class Claim:
    """What one record says of one file.

    Attributes:
        name: Of the file, as the record has it.
        sha256: None where the file itself is no longer what the record spoke of, or not to be found.
        serial: Of the phone on which it was evaluated; None for this computer.
        ap: 0 to 1.
        photos: What it was evaluated on.
    """

    name: str
    sha256: str | None
    serial: str | None
    ap: float
    photos: str
    source: str


@dataclass(frozen=True)
class KnownAp:
    """A measured file's AP, 0 to 1, and where from."""

    ap: float
    photos: str
    where: str


def read_claims(paths: Sequence[Path]) -> tuple[Claim, ...]:
    """Reads all records.

    Args:
        paths: JSON of `eval` or `android eval`, a results.json or its folder, a certificate, or a .tflite with one.

    Raises:
        ClaimError: One holds no AP.
    """
    return tuple(claim for path in paths for claim in _read(Path(path)))


def read_certified(path: Path) -> Claim | None:
    """Reads the certificate inside a .tflite; None if there is none that speaks of this very file."""
    try:
        from nasfpn_lite.converters.certificate import hash_file, read_certificate

        content = path.read_bytes()
        certificate = read_certificate(content)
    except (OSError, UserError):
        return None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("ai_edge_litert", "flatbuffers", "numpy"):
            raise
        return None  # a machine that only measures
    if certificate is None or certificate["file"]["sha256_without_certificate"] != hash_file(content):
        return None
    data = certificate["data"]
    photos = _describe_photos(data.get("name"), data.get("split"), data.get("images"))
    ap = certificate["ap"]["ap"]["candidate"] / 100
    return Claim(path.name, hashlib.sha256(content).hexdigest(), None, ap, photos, "its certificate")


def find_ap(file: FileFigures, serial: str, claims: Sequence[Claim], *, namesakes: int = 1) -> KnownAp | None:
    """Finds the AP of a measured file: that on the phone itself if it is known, else that on a computer.

    Args:
        namesakes: How many different measured files have this file's name; a name tells nothing if they are several.

    Raises:
        ClaimError: Two records give this file different APs.
    """
    fitting = [claim for claim in claims if _fits(file, claim, namesakes) and claim.serial in (None, serial)]
    on_phone = [claim for claim in fitting if claim.serial is not None]
    # A record proven to speak of this file beats one of a file of the same name.
    found = on_phone or fitting
    found = [claim for claim in found if claim.sha256 is not None] or found
    if not found:
        return None
    if len({round(claim.ap, 6) for claim in found}) > 1:
        texts = "; ".join(f"{claim.ap:.4f} on {claim.photos} in {claim.source}" for claim in found)
        raise ClaimError(f"expected one AP of {file.file}, got {texts}: leave out with --ap what does not belong here")
    claim = found[0]
    proof = "same SHA-256" if claim.sha256 is not None else "same name"
    place = "" if claim.serial is None else "evaluated on the phone, "
    return KnownAp(claim.ap, claim.photos, f"{claim.source} ({place}{proof})")


def _fits(file: FileFigures, claim: Claim, namesakes: int) -> bool:
    if claim.sha256 is not None:
        return claim.sha256 == file.sha256
    return namesakes == 1 and PurePath(claim.name).name == PurePath(file.file).name


def _read(path: Path) -> list[Claim]:
    if path.is_dir():
        path = path / RESULTS_FILE
    if path.name.endswith(_CERTIFICATE):
        path = path.with_name(path.name.removesuffix(_CERTIFICATE))
    if path.suffix == _TFLITE:
        claim = read_certified(path)
        if claim is None:
            raise ClaimError(f"expected {path} with a certificate inside that speaks of it; `eval --json` gives its AP")
        return [claim]
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClaimError(f"cannot read {path}: {error.strerror}; expected {_EXPECTED}") from error
    except ValueError as error:
        raise ClaimError(f"{path} is no JSON: {error}; expected {_EXPECTED}") from error
    claims = _read_json(data, path) if isinstance(data, dict) else []
    if not claims:
        raise ClaimError(f"found no AP in {path}; expected {_EXPECTED}")
    return claims


def _read_json(data: dict[str, Any], path: Path) -> list[Claim]:
    if "files" in data:
        return _read_results(data, path)
    if "phones" in data:
        return _read_phones(data, path)
    return _claim(data, path, data, _describe_photos(data.get("data"), data.get("split"), _count(data)))


def _read_results(data: dict[str, Any], path: Path) -> list[Claim]:
    about = data.get("data") or {}
    photos = _describe_photos(about.get("name"), "test", (about.get("images") or {}).get("test"))
    files = [file for file in data["files"] if isinstance(file, dict)]
    return [claim for file in files for claim in _claim(file, path, {"model": file.get("file"), **file}, photos)]


def _read_phones(data: dict[str, Any], path: Path) -> list[Claim]:
    claims = []
    for phone in data["phones"]:
        for key, serial in (("phone", phone.get("serial")), ("host", None)):
            figures = phone.get(key) or {}
            photos = _describe_photos(data.get("data"), data.get("split"), _count(figures))
            claims += _claim(figures, path, data, photos, serial)
    return claims


def _claim(
    figures: dict[str, Any], path: Path, about: dict[str, Any], photos: str, serial: str | None = None
) -> list[Claim]:
    """Returns the claim of an entry; none where it has no AP.

    Args:
        about: Names the file, as "model", and if it can its "sha256".
    """
    ap, name, sha256 = figures.get("AP"), about.get("model"), about.get("sha256")
    if not isinstance(ap, (int, float)) or isinstance(ap, bool) or not 0 <= ap <= 1 or not name:
        return []
    return [Claim(str(name), sha256 or _find_sha256(str(name), path), serial, float(ap), photos, path.name)]


def _find_sha256(name: str, source: Path) -> str | None:
    """Returns the hash of the file that a record names, if it lies where it was and is no newer than the record."""
    parts = PurePath(name).parts
    for candidate in (Path(name), *(source.parent.joinpath(*parts[i:]) for i in range(len(parts)))):
        try:
            if candidate.stat().st_mtime <= source.stat().st_mtime:
                return hashlib.sha256(candidate.read_bytes()).hexdigest()
        except OSError:
            continue
    return None


def _count(figures: dict[str, Any]) -> int | None:
    images = figures.get("images")
    return images if isinstance(images, int) else None


def _describe_photos(data: Any, split: Any, images: int | None) -> str:
    name = PurePath(str(data)).name if data else "unknown photos"
    return " ".join([name, *([str(split)] if split else [])] + ([f"({images} images)"] if images is not None else []))
