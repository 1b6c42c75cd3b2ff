"""What a file promises and how to check it: figures, hashes and commands, inside the .tflite and beside it as JSON."""

import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasfpn_lite.converters.metadata import find_entry, read_metadata
from nasfpn_lite.converters.recipes import get_recipe
from nasfpn_lite.data.coco import find_splits
from nasfpn_lite.data.records import Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically

if TYPE_CHECKING:
    from nasfpn_lite.compare import Comparison
    from nasfpn_lite.converters.calibration import Calibration

ENTRY = "nasfpn_lite_certificate"
SCHEMA_VERSION = 1
SUFFIX = ".certificate.json"

Certificate = dict[str, Any]


def make_certificate(  # noqa: PLR0913 - six keywords, each a part of it
    content: bytes,
    comparison: "Comparison",
    *,
    budget: dict[str, float | None],
    data: dict[str, Any],
    calibration: "Calibration | None",
    commands: dict[str, str],
    audit: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
) -> Certificate:
    """Makes the certificate of a .tflite of ours that was compared with its float32 counterpart.

    Args:
        comparison: Its reference is the float32 file, its candidate this one.
        data: As `describe_data` gives it.
        calibration: The images that ranges were measured on; left out for recipes without.
        commands: What is reproduced -> command line.
        audit: What `inspect` says of the file.
        training: The photos of a training on int8 grids, as `describe_data` gives them.

    Raises:
        UserError: The file is none of ours.
    """
    metadata = read_metadata(content)
    spec = metadata.spec.to_dict()
    photos: dict[str, Any] = {}
    recipe = get_recipe(metadata.recipe)
    if calibration is not None and (recipe.needs_calibration or recipe.trained):
        photos = {"images": len(calibration.images), "source": calibration.source, "sha256": hash_images(calibration)}
    certificate = {
        "schema_version": SCHEMA_VERSION,
        "spec": spec,
        "genotype": spec["neck"].get("genotype"),
        "recipe": metadata.recipe,
        "float_stages": metadata.float_stages,
        "form": metadata.form,
        "versions": metadata.versions,
        "calibration": photos,
        "training": training or {},
        "data": data,
        "file": {"sha256_without_certificate": hash_file(content)},
        "ap": {"reference_recipe": "float32", **comparison.to_dict()},
        "budget": budget,
        "commands": commands,
        "audit": audit or {},
    }
    return json.loads(_to_json(certificate))  # tuples become lists, as they are when it is read back


def embed_certificate(content: bytes, certificate: Certificate) -> bytes:
    """Returns the .tflite with the certificate put in, in place of an older one; other metadata stay as they are."""
    return _replace(content, _to_json(certificate).encode())


def strip_certificate(content: bytes) -> bytes:
    """Returns the .tflite with the certificate's text taken out, packed as `embed_certificate` packs it."""
    return _replace(content, b"")


def read_certificate(content: bytes) -> Certificate | None:
    """Reads the certificate of a .tflite; None if it has none. Needs neither TensorFlow nor an interpreter.

    Raises:
        UserError: No .tflite file, a damaged certificate, or one of another schema version.
    """
    try:
        data = find_entry(content, ENTRY)
        certificate = json.loads(data) if data else None
    except (struct.error, IndexError) as error:
        raise UserError("expected a .tflite file, but the content is damaged or something else") from error
    except ValueError as error:
        raise UserError(f"the certificate is damaged: {error}; convert again within a budget") from error
    if certificate is None:
        return None
    version = certificate.get("schema_version") if isinstance(certificate, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"expected a certificate of schema version {SCHEMA_VERSION}, got {version}; "
            "use the nasfpn-lite that made the file"
        )
    return certificate


def certificate_path(file: Path) -> Path:
    """Returns where the certificate of a file lies: FILE.certificate.json."""
    return file.with_name(file.name + SUFFIX)


def write_certificate(file: Path, certificate: Certificate) -> None:
    """Writes the certificate beside a file."""
    write_text_atomically(certificate_path(file), _to_json(certificate, indent=1) + "\n")


def hash_file(content: bytes) -> str:
    """Returns the SHA-256 of a .tflite without its certificate: the same before and after it is put in."""
    return hashlib.sha256(strip_certificate(content)).hexdigest()


def hash_images(calibration: "Calibration") -> str:
    """Returns the SHA-256 over shape and pixels of the calibration images, in the order in which they were used."""
    images = calibration.images
    digest = hashlib.sha256(f"{images.shape} {images.dtype}".encode())
    for image in images:
        digest.update(image.tobytes())
    return digest.hexdigest()


def hash_data(folder: Path, split: Split) -> str:
    """Returns the SHA-256 over the annotation json of a split and, sorted, names and sizes in bytes of its images."""
    digest = hashlib.sha256(find_splits(folder)[split.name].read_bytes())
    for line in sorted(_name_and_size(record.path, folder) for record in split.images):
        digest.update(line.encode())
    return digest.hexdigest()


def describe_data(folder: Path, split: Split) -> dict[str, Any]:
    """Returns what the figures were measured on, with its hash."""
    return {
        "name": folder.resolve().name,
        "split": split.name,
        "images": len(split.images),
        "objects": sum(int((~record.crowd).sum()) for record in split.images),
        "sha256": hash_data(folder, split),
    }


def _to_json(certificate: Certificate, *, indent: int | None = None) -> str:
    return json.dumps(certificate, indent=indent, ensure_ascii=False, allow_nan=False)


def _name_and_size(path: Path, folder: Path) -> str:
    return f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\n"


def _replace(content: bytes, text: bytes) -> bytes:
    from nasfpn_lite.converters.flatbuffer import Graph, schema

    graph = Graph(content)
    entries = graph.model.metadata or []
    entry = next((entry for entry in entries if entry.name == ENTRY.encode()), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = ENTRY.encode(), graph.add_buffer(b"")
        graph.model.metadata = [*entries, entry]
    graph.model.buffers[entry.buffer].data = np.frombuffer(text, np.uint8) if text else None
    return _with_files(graph.to_bytes(), content)


def _with_files(content: bytes, before: bytes) -> bytes:
    """Appends the zip archive of label files that may follow a .tflite, and that packing it again leaves out."""
    if not zipfile.is_zipfile(io.BytesIO(before)):
        return content
    target = io.BytesIO(content)
    with zipfile.ZipFile(io.BytesIO(before)) as old, zipfile.ZipFile(target, "a") as new:
        for info in old.infolist():
            new.writestr(info, old.read(info))
    return target.getvalue()
