"""What an app must know to use a .tflite of ours: derived from the file itself, never written down a second time."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.anchors import anchor_sizes, make_anchors, tile_anchors
from nasfpn_lite.boxes import MAX_LOG_RATIO
from nasfpn_lite.converters.interpreter import Tensor, make_interpreter, signature_tensors
from nasfpn_lite.converters.metadata import BOXES, FORMS, read_metadata
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.levels import shape_at
from nasfpn_lite.pixels import PAD_VALUE, PIXEL_OFFSET, PIXEL_SCALE
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.specs import DetectorSpec

SCHEMA_VERSION = 1
_MEANINGS = {
    "box_encodings": "one row (ty, tx, th, tw) per anchor",
    "class_logits": "one row per anchor, one column per label, before the sigmoid",
    "boxes": "one row (ymin, xmin, ymax, xmax) per detection, best first",
    "classes": "index into the labels, per detection",
    "scores": "0..1, per detection",
    "count": "how many rows hold detections",
}


@dataclass(frozen=True)
class TensorContract:
    """An input or output by its name in the signature.

    Attributes:
        dtype: NumPy's name of the type.
        scale, zero_point: real = (stored - zero_point) * scale; scale 0.0 where stored values are real ones.
        meaning: In words.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    meaning: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))

    def to_tensor(self) -> Tensor:
        """Returns what quantizes and dequantizes; its index is of no use."""
        return Tensor(self.name, -1, self.shape, np.dtype(self.dtype), self.scale, self.zero_point)


@dataclass(frozen=True)
class InputContract:
    """How a photo becomes the input.

    Attributes:
        color: Order of the channels.
        offset, divisor: real = (pixel - offset) / divisor, pixel in 0..255.
        resize: "stretch" to the tensor's size, or "pad": keep the aspect ratio, fill up at the bottom and right.
        pad_value: The pixel value to fill up with.
    """

    tensor: TensorContract
    color: str
    offset: float
    divisor: float
    resize: str
    pad_value: int

    def values(self) -> np.ndarray:
        """Returns the stored value of each pixel value, (256,) of the tensor's dtype."""
        pixels = np.arange(256, dtype=np.float32)
        return self.tensor.to_tensor().quantize((pixels - np.float32(self.offset)) / np.float32(self.divisor))


@dataclass(frozen=True)
class BoxContract:
    """How boxes are coded.

    Attributes:
        coding: In words.
        order: What the four numbers of a decoded box are.
        max_log_ratio: th and tw are held below this before exp(); raw files.
    """

    coding: str
    order: tuple[str, ...]
    max_log_ratio: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", tuple(self.order))


@dataclass(frozen=True)
class AnchorLevel:
    """The anchors of one level: at the centre of each cell of `stride` pixels, row by row, all `sizes` in turn.

    Attributes:
        sizes: (height, width) in pixels.
    """

    stride: int
    rows: int
    columns: int
    sizes: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple((float(height), float(width)) for height, width in self.sizes))


@dataclass(frozen=True)
class AnchorContract:
    """All anchors, level after level.

    Attributes:
        sha256: Of the (count, 4) array of boxes_yxyx in pixels, little-endian float32.
    """

    levels: tuple[AnchorLevel, ...]
    count: int
    sha256: str

    def to_array(self) -> np.ndarray:
        """Returns the anchors, (count, 4) float32."""
        parts = [tile_anchors(level.stride, (level.rows, level.columns), level.sizes) for level in self.levels]
        return np.concatenate(parts).astype(np.float32)


@dataclass(frozen=True)
class Contract:
    """All that is needed to feed a file and to read its answers.

    Attributes:
        form: "raw" (boxes and scores per anchor) or "detect" (suppression inside the file).
        outputs: To be found by name; their order in the file is not promised.
        thresholds: To decode a raw file with; those inside a detect file.
        labels: The index is the class number of the outputs, the id that of the training data.
    """

    form: str
    input: InputContract
    outputs: tuple[TensorContract, ...]
    boxes: BoxContract
    anchors: AnchorContract
    thresholds: PostprocessSpec
    labels: tuple[Category, ...]

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UserError(f"expected a contract of a form of {FORMS}, got {self.form!r}")
        expected = BOXES[self.form]["outputs"]
        if [output.name for output in self.outputs] != expected:
            raise UserError(
                f"expected the outputs {expected} of a {self.form} file, got {[o.name for o in self.outputs]}"
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.input.tensor.shape[1], self.input.tensor.shape[2]

    def output(self, name: str) -> TensorContract:
        """Returns an output by its name."""
        return next(output for output in self.outputs if output.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data that `from_dict` takes and JSON can hold."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Contract":
        """Reads `to_dict`'s data.

        Raises:
            UserError: Another schema version, or a field is missing or unknown.
        """
        try:
            values = dict(data)
            version = values.pop("schema_version", None)
            if version != SCHEMA_VERSION:
                raise UserError(
                    f"expected a contract of schema version {SCHEMA_VERSION}, got {version}; "
                    "write it again with `nasfpn-lite contract`, or use the nasfpn-lite that wrote it"
                )
            given, anchors = dict(values.pop("input")), dict(values.pop("anchors"))
            return cls(
                input=InputContract(tensor=TensorContract(**given.pop("tensor")), **given),
                outputs=tuple(TensorContract(**output) for output in values.pop("outputs")),
                boxes=BoxContract(**values.pop("boxes")),
                anchors=AnchorContract(tuple(AnchorLevel(**level) for level in anchors.pop("levels")), **anchors),
                thresholds=PostprocessSpec(**values.pop("thresholds")),
                labels=tuple(Category(**label) for label in values.pop("labels")),
                **values,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"the contract is damaged: {type(error).__name__}: {error}; write it again with `nasfpn-lite contract`"
            ) from error


def read_contract(model: Path | str | bytes) -> Contract:
    """Derives the contract of a .tflite from its metadata and its signature.

    Args:
        model: The file's path or content.

    Raises:
        UserError: No such file, not made by `nasfpn-lite convert`, or its tensors are not those of its form.
    """
    content = model if isinstance(model, bytes) else _read(Path(model))
    try:
        metadata = read_metadata(content)
        inputs, outputs = signature_tensors(make_interpreter(content))
    except UserError as error:
        raise UserError(str(error) if isinstance(model, bytes) else f"{model}: {error}") from error
    spec, boxes = metadata.spec, BOXES[metadata.form]
    if len(inputs) != 1 or set(outputs) != set(boxes["outputs"]):
        raise UserError(
            f"expected one input and the outputs {boxes['outputs']} of a {metadata.form} file, "
            f"got {sorted(inputs)} and {sorted(outputs)}; convert again"
        )
    image = _describe(next(iter(inputs.values())), "one photo, rows from the top, channels last")
    return Contract(
        form=metadata.form,
        input=InputContract(image, "RGB", PIXEL_OFFSET, PIXEL_SCALE, spec.resize, PAD_VALUE),
        outputs=tuple(_describe(outputs[name], _MEANINGS[name]) for name in boxes["outputs"]),
        boxes=BoxContract(boxes["coding"], ("ymin", "xmin", "ymax", "xmax"), MAX_LOG_RATIO),
        anchors=describe_anchors(spec),
        thresholds=metadata.thresholds,
        labels=metadata.categories,
    )


def _describe(tensor: Tensor, meaning: str) -> TensorContract:
    return TensorContract(tensor.name, tensor.shape, tensor.dtype.name, tensor.scale, tensor.zero_point, meaning)


def describe_anchors(spec: DetectorSpec) -> AnchorContract:
    anchors = make_anchors(spec)
    levels = (
        AnchorLevel(2**level, *shape_at(spec.image_size, level), anchor_sizes(spec, level))
        for level in spec.neck.levels
    )
    return AnchorContract(tuple(levels), len(anchors), hashlib.sha256(anchors.astype("<f4").tobytes()).hexdigest())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"expected a .tflite file, but cannot read {path}: {error.strerror}") from error
