"""Google's own metadata of a .tflite, which MediaPipe Tasks and Android Studio read: the entry TFLITE_METADATA.

Field and enum numbers: metadata_schema.fbs of MediaPipe (mediapipe/tasks/metadata).
"""

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import flatbuffers

from nasfpn_lite import __version__
from nasfpn_lite.pixels import PIXEL_OFFSET, PIXEL_SCALE

ENTRY = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
# The first version of a reader that knows all fields used here.
_MIN_PARSER_VERSION = "1.2.0"
_IDENTIFIER = b"M001"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip knows: the same detector gives the same bytes

# Tables by their fields in the order of the schema; a union takes two places, the first for its type.
_FIELDS = {
    "ModelMetadata": (
        *("name", "description", "version", "subgraph_metadata", "author", "license", "associated_files"),
        "min_parser_version",
    ),
    "SubGraphMetadata": ("name", "description", "input_tensor_metadata", "output_tensor_metadata"),
    "TensorMetadata": (
        *("name", "description", "dimension_names", "content", "process_units", "stats", "associated_files"),
    ),
    "Content": ("content_properties_type", "content_properties"),
    "FeatureProperties": (),
    "ImageProperties": ("color_space", "default_size"),
    "ImageSize": ("width", "height"),
    "BoundingBoxProperties": ("index", "type", "coordinate_type"),
    "ProcessUnit": ("options_type", "options"),
    "NormalizationOptions": ("mean", "std"),
    "Stats": ("max", "min"),
    "AssociatedFile": ("name", "description", "type"),
}
_CONTENT_TYPES = {"FeatureProperties": 1, "ImageProperties": 2, "BoundingBoxProperties": 3}
_NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions
_RGB = 1  # ColorSpaceType
_BOUNDARIES = 1  # BoundingBoxType: a box is its left, top, right and bottom side, at the places that `index` names
_TENSOR_VALUE_LABELS = 3  # AssociatedFileType: the n-th line is the name of value n


@dataclass(frozen=True)
class _Scalar:
    kind: str
    value: int


@dataclass(frozen=True)
class _Numbers:
    """A vector of "Float32" or "Uint32"."""

    kind: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class _Table:
    """A table to be written: fields hold a str, a _Scalar, _Numbers, a _Table or a list of tables."""

    kind: str
    fields: dict[str, Any]


def make_detect_metadata(image_size: tuple[int, int], *, quantized: bool) -> bytes:
    """Makes the metadata of a `detect` file: one image in; boxes, classes, scores and count out, in this order.

    Args:
        image_size: (height, width) of the network's input.
        quantized: The input is uint8 pixels as they are; else float32 pixels, normalised to -1..1.
    """
    subgraph = _make(
        "SubGraphMetadata",
        input_tensor_metadata=[_describe_image(image_size, quantized=quantized)],
        output_tensor_metadata=_describe_outputs(),
    )
    model = _make(
        "ModelMetadata",
        name="ObjectDetector",
        description=f"Object detector made by nasfpn-lite {__version__}.",
        subgraph_metadata=[subgraph],
        min_parser_version=_MIN_PARSER_VERSION,
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, model), _IDENTIFIER)
    return bytes(builder.Output())


def append_labels(content: bytes, names: list[str]) -> bytes:
    """Returns the .tflite with the class names behind it, as the zip that the metadata speak of.

    Whoever writes the flatbuffer anew loses the zip: this comes last.
    """
    lines = "".join(f"{to_label(name)}\n" for name in names)
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, _EPOCH), lines)
    return file.getvalue()


def to_label(name: str) -> str:
    """Returns a class name as one line, as the labels hold it."""
    return " ".join(name.split())


def _describe_image(image_size: tuple[int, int], *, quantized: bool) -> _Table:
    height, width = image_size
    size = _make("ImageSize", width=_Scalar("Uint32", width), height=_Scalar("Uint32", height))
    mean, std = _Numbers("Float32", (PIXEL_OFFSET,)), _Numbers("Float32", (PIXEL_SCALE,))
    lowest, highest = (0.0, 255.0) if quantized else (-1.0, 1.0)
    return _make(
        "TensorMetadata",
        name="image",
        description="Photo, upright, RGB, stretched to the size of the input.",
        content=_describe_content(_make("ImageProperties", color_space=_Scalar("Int8", _RGB), default_size=size)),
        process_units=[
            _make(
                "ProcessUnit",
                options_type=_Scalar("Uint8", _NORMALIZATION_OPTIONS),
                options=_make("NormalizationOptions", mean=mean, std=std),
            )
        ],
        stats=_make("Stats", max=_Numbers("Float32", (highest,)), min=_Numbers("Float32", (lowest,))),
    )


def _describe_outputs() -> list[_Table]:
    """Describes the four outputs by the names that MediaPipe looks for."""
    # Our boxes are (top, left, bottom, right) / image size: left at place 1, top 0, right 3, bottom 2.
    boxes = _make("BoundingBoxProperties", index=_Numbers("Uint32", (1, 0, 3, 2)), type=_Scalar("Int8", _BOUNDARIES))
    labels = _make(
        "AssociatedFile",
        name=LABELS_FILE,
        description="Names of the classes, one a line.",
        type=_Scalar("Int8", _TENSOR_VALUE_LABELS),
    )
    plain = _make("FeatureProperties")
    return [
        _describe_output("location", "Boxes as (ymin, xmin, ymax, xmax) / image size.", boxes),
        _describe_output("category", "Class numbers from 0 on.", plain, associated_files=[labels]),
        _describe_output("score", "Scores, 0..1, best first.", plain),
        _describe_output("number of detections", "How many places hold a detection.", plain),
    ]


def _describe_output(name: str, description: str, content: _Table, **fields: Any) -> _Table:
    return _make("TensorMetadata", name=name, description=description, content=_describe_content(content), **fields)


def _describe_content(properties: _Table) -> _Table:
    kind = _Scalar("Uint8", _CONTENT_TYPES[properties.kind])
    return _make("Content", content_properties_type=kind, content_properties=properties)


def _make(kind: str, **fields: Any) -> _Table:
    return _Table(kind, fields)


def _write(builder: flatbuffers.Builder, table: _Table) -> int:
    """Writes a table behind all that it points to, and returns its offset."""
    names = _FIELDS[table.kind]
    ready = {names.index(name): _write_value(builder, value) for name, value in table.fields.items()}
    builder.StartObject(len(names))
    for slot, value in ready.items():
        if isinstance(value, _Scalar):
            getattr(builder, f"Prepend{value.kind}Slot")(slot, value.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return int(builder.EndObject())


def _write_value(builder: flatbuffers.Builder, value: Any) -> _Scalar | int:
    """Returns a scalar as it is, and the offset of anything else, which is written."""
    if isinstance(value, _Scalar):
        return value
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, _Table):
        return _write(builder, value)
    if isinstance(value, _Numbers):
        builder.StartVector(4, len(value.values), 4)
        for number in reversed(value.values):
            getattr(builder, f"Prepend{value.kind}")(number)
        return int(builder.EndVector())
    offsets = [_write(builder, table) for table in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
