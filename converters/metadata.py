"""What a .tflite of ours says about itself, so that the file alone is enough to use it."""

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

from nasfpn_lite.converters.recipes import ALL_RECIPES
from nasfpn_lite.data.records import Category, category_dicts
from nasfpn_lite.errors import UserError
from nasfpn_lite.pixels import PIXEL_OFFSET, PIXEL_SCALE
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.specs import DetectorSpec

ENTRY = "nasfpn_lite"
SCHEMA_VERSION = 1
FORMS = ("raw", "detect")
DETECT_OUTPUTS = ("boxes", "classes", "scores", "count")
FILE_IDENTIFIER = b"TFL3"  # of any .tflite, from byte 4 on


@dataclass(frozen=True)
class Metadata:
    """The entry `nasfpn_lite` of a .tflite's metadata.

    Attributes:
        form: "raw": separate box and score tensors; "detect": suppression inside, four outputs.
        thresholds: Those inside a detect file; for a raw file those to decode with.
        versions: Package -> version of the machine that converted.
        calibration: {"images", "source"}; empty for recipes without. "source" is "synthetic" where no photo was used.
        split_seed: The training's seed, which also divided a lone instances.json; None where nothing was trained.
        float_stages: What a selective recipe computes in float.
    """

    spec: DetectorSpec
    categories: tuple[Category, ...]
    recipe: str
    form: str
    thresholds: PostprocessSpec
    versions: dict[str, str]
    calibration: dict[str, Any]
    split_seed: int | None = None
    float_stages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.form not in FORMS or self.recipe not in ALL_RECIPES:
            raise UserError(
                f"expected a form of {FORMS} and a recipe of {tuple(ALL_RECIPES)}, "
                f"got {self.form!r} and {self.recipe!r}"
            )
        if len(self.categories) != self.spec.num_classes:
            raise UserError(f"expected {self.spec.num_classes} categories, got {len(self.categories)}")

    def to_json(self) -> str:
        """Returns the entry's text. What only other programs need (pixels, boxes) is in it too."""
        data = {
            "schema_version": SCHEMA_VERSION,
            "spec": self.spec.to_dict(),
            "categories": category_dicts(self.categories),
            "recipe": self.recipe,
            "form": self.form,
            "thresholds": asdict(self.thresholds),
            "versions": self.versions,
            "calibration": self.calibration,
            "split_seed": self.split_seed,
            "float_stages": list(self.float_stages),
            "input": {
                "color": "RGB",
                "normalisation": {"offset": PIXEL_OFFSET, "scale": PIXEL_SCALE},
                "resize": self.spec.resize,
            },
            "boxes": BOXES[self.form],
        }
        return json.dumps(data)

    @classmethod
    def from_json(cls, text: str) -> "Metadata":
        """Reads `to_json`'s text.

        Raises:
            UserError: No JSON, another schema version, or a field is missing.
        """
        try:
            data = json.loads(text)
            version = data.get("schema_version")
        except (ValueError, AttributeError) as error:
            raise UserError(f"the metadata are damaged: {error}; convert again") from error
        if version != SCHEMA_VERSION:
            raise UserError(
                f"expected metadata of schema version {SCHEMA_VERSION}, got {version}; "
                "convert again, or use the nasfpn-lite that made the file"
            )
        try:
            return cls(
                spec=DetectorSpec.from_dict(data["spec"]),
                categories=tuple(Category(**entry) for entry in data["categories"]),
                thresholds=PostprocessSpec(**data["thresholds"]),
                float_stages=tuple(data.get("float_stages", ())),  # files from before it have none
                **{name: data[name] for name in ("recipe", "form", "versions", "calibration", "split_seed")},
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"the metadata are damaged: {type(error).__name__}: {error}; convert again") from error


BOXES: dict[str, dict[str, Any]] = {
    "raw": {
        "coding": "(ty, tx, th, tw) against yxyx anchors in pixels, no scale factors; sizes are exp(t) * anchor",
        "outputs": ["box_encodings", "class_logits"],
    },
    "detect": {"coding": "(ymin, xmin, ymax, xmax) / image size", "outputs": list(DETECT_OUTPUTS)},
}


def embed_metadata(content: bytes, metadata: Metadata) -> bytes:
    """Returns the .tflite with the entry put in, in place of an older one.

    A `detect` file also gets the metadata and labels that MediaPipe Tasks reads. Writing the flatbuffer anew by other
    means loses the labels; embed again afterwards.
    """
    from nasfpn_lite.converters import tflite_metadata
    from nasfpn_lite.converters.flatbuffer import Graph

    graph = Graph(content)
    graph.set_metadata(ENTRY, metadata.to_json().encode())
    if metadata.form != "detect":
        return graph.to_bytes()
    google = tflite_metadata.make_detect_metadata(metadata.spec.image_size, quantized=graph.has_byte_input())
    graph.set_metadata(tflite_metadata.ENTRY, google)
    return tflite_metadata.append_labels(graph.to_bytes(), [category.name for category in metadata.categories])


def read_metadata(content: bytes) -> Metadata:
    """Reads the entry of a .tflite; needs neither TensorFlow nor an interpreter.

    Raises:
        UserError: No TFLite file, none of ours, damaged, or of another schema version.
    """
    try:
        text = find_entry(content, ENTRY)
    except (struct.error, IndexError) as error:
        raise UserError("expected a .tflite file, but the content is damaged or something else") from error
    if text is None:
        raise UserError(f"expected a .tflite with {ENTRY!r} metadata, made by `nasfpn-lite convert`; this one has none")
    try:
        return Metadata.from_json(text.decode())
    except UnicodeDecodeError as error:
        raise UserError(f"the metadata are damaged: {error}; convert again") from error


# Reading by hand keeps this free of the schema module, which tflite_runtime lacks. Field numbers, from
# tensorflow/compiler/mlir/lite/schema/schema.fbs: Model.buffers 4, .metadata 6; Metadata.name 0, .buffer 1;
# Buffer.data 0.
def find_entry(content: bytes, name: str) -> bytes | None:
    """Returns an entry of a .tflite's metadata, None if there is none of that name.

    Raises:
        struct.error, IndexError: No TFLite file, or a damaged one.
    """
    if content[4:8] != FILE_IDENTIFIER:
        raise IndexError("no TFL3 identifier")
    model = _Table(content, struct.unpack_from("<I", content)[0])
    buffers = model.tables(4)
    for entry in model.tables(6):
        if entry.data(0) == name.encode():
            return buffers[entry.number(1)].data(0)
    return None


@dataclass(frozen=True)
class _Table:
    content: bytes
    position: int

    def _field(self, number: int) -> int | None:
        vtable = self.position - struct.unpack_from("<i", self.content, self.position)[0]
        slot = 4 + 2 * number
        if slot >= struct.unpack_from("<H", self.content, vtable)[0]:
            return None
        offset = struct.unpack_from("<H", self.content, vtable + slot)[0]
        return self.position + offset if offset else None

    def _pointer(self, place: int) -> int:
        return place + struct.unpack_from("<I", self.content, place)[0]

    def number(self, number: int) -> int:
        place = self._field(number)
        return 0 if place is None else struct.unpack_from("<I", self.content, place)[0]

    def data(self, number: int) -> bytes:
        place = self._field(number)
        if place is None:
            return b""
        start = self._pointer(place)
        length = struct.unpack_from("<I", self.content, start)[0]
        return self.content[start + 4 : start + 4 + length]

    def tables(self, number: int) -> list["_Table"]:
        place = self._field(number)
        if place is None:
            return []
        start = self._pointer(place)
        count = struct.unpack_from("<I", self.content, start)[0]
        return [_Table(self.content, self._pointer(start + 4 + 4 * index)) for index in range(count)]
