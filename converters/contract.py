"""What an app must know to use a .tflite of ours: derived from the file itself, never written down a second time."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.anchors import anchor_sizes, make_anchors, tile_anchors
from nasfpn_lite.boxes import MAX_LOG_RATIO
from nasfpn_lite.converters.exit_signatures import IMAGE, exit_signatures
from nasfpn_lite.converters.interpreter import Tensor, make_interpreter, signature_tensors
from nasfpn_lite.converters.metadata import BOXES, EXITS_FORM, FORMS, Metadata, read_metadata, schema_version
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.exits import feature_names
from nasfpn_lite.levels import shape_at
from nasfpn_lite.pixels import PAD_VALUE, PIXEL_OFFSET, PIXEL_SCALE
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.specs import DetectorSpec

_MEANINGS = {
    IMAGE: "one photo, rows from the top, channels last",
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
class SignatureContract:
    """One signature of a file of several exits.

    Attributes:
        name: "exit_1", "exit_2", ...
        pyramid: How many pyramids have been computed after it.
        inputs: The photo for the first exit; else what the one before put out under the same names, as it is stored.
        outputs: Boxes and scores as `Contract.outputs`, and the features for the next exit.
    """

    name: str
    pyramid: int
    inputs: tuple[TensorContract, ...]
    outputs: tuple[TensorContract, ...]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "SignatureContract":
        """Reads plain data."""
        tensors = {key: tuple(TensorContract(**tensor) for tensor in data[key]) for key in ("inputs", "outputs")}
        return cls(name=data["name"], pyramid=data["pyramid"], **tensors)


@dataclass(frozen=True)
class Contract:
    """All that is needed to feed a file and to read its answers.

    Attributes:
        form: "raw" (boxes and scores per anchor), "detect" (suppression inside the file) or "exits": several
            signatures, with outputs as in a raw file each.
        outputs: To be found by name; their order in the file is not promised.
        thresholds: To decode a raw file with; those inside a detect file.
        labels: The index is the class number of the outputs, the id that of the training data.
        signatures: Of a file of several exits, the first exit first; () for files of one signature.
    """

    form: str
    input: InputContract
    outputs: tuple[TensorContract, ...]
    boxes: BoxContract
    anchors: AnchorContract
    thresholds: PostprocessSpec
    labels: tuple[Category, ...]
    signatures: tuple[SignatureContract, ...] = ()

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UserError(f"expected a contract of a form of {FORMS}, got {self.form!r}")
        expected = BOXES[self.form]["outputs"]
        if [output.name for output in self.outputs] != expected:
            raise UserError(
                f"expected the outputs {expected} of a {self.form} file, got {[o.name for o in self.outputs]}"
            )

    @property
    def decoded_as(self) -> str:
        """The form whose decoder reads the outputs: "raw" or "detect"."""
        return "raw" if self.form == EXITS_FORM else self.form

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.input.tensor.shape[1], self.input.tensor.shape[2]

    def output(self, name: str) -> TensorContract:
        """Returns an output by its name."""
        return next(output for output in self.outputs if output.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data that `from_dict` takes and JSON can hold."""
        data = {"schema_version": schema_version(self.form), **asdict(self)}
        if not self.signatures:
            del data["signatures"]  # as in version 1
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Contract":
        """Reads `to_dict`'s data.

        Raises:
            UserError: Another schema version, or a field is missing or unknown.
        """
        try:
            values = dict(data)
            version, expected = values.pop("schema_version", None), schema_version(values.get("form"))
            if version != expected:
                raise UserError(
                    f"expected a contract of schema version {expected}, got {version}; "
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
                signatures=tuple(SignatureContract.from_dict(entry) for entry in values.pop("signatures", ())),
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
        interpreter = make_interpreter(content)
        signatures = _read_exits(interpreter, metadata)
        inputs, outputs = signature_tensors(interpreter, *[signature.name for signature in signatures[:1]])
    except UserError as error:
        raise UserError(str(error) if isinstance(model, bytes) else f"{model}: {error}") from error
    spec, boxes = metadata.spec, BOXES[metadata.form]
    found = set(outputs) - set(feature_names(spec))
    if len(inputs) != 1 or found != set(boxes["outputs"]):
        raise UserError(
            f"expected one input and the outputs {boxes['outputs']} of a {metadata.form} file, "
            f"got {sorted(inputs)} and {sorted(outputs)}; convert again"
        )
    image = _describe(next(iter(inputs.values())))
    return Contract(
        form=metadata.form,
        input=InputContract(image, "RGB", PIXEL_OFFSET, PIXEL_SCALE, spec.resize, PAD_VALUE),
        outputs=tuple(_describe(outputs[name]) for name in boxes["outputs"]),
        boxes=BoxContract(boxes["coding"], ("ymin", "xmin", "ymax", "xmax"), MAX_LOG_RATIO),
        anchors=describe_anchors(spec),
        thresholds=metadata.thresholds,
        labels=metadata.categories,
        signatures=signatures,
    )


def _read_exits(interpreter: Any, metadata: Metadata) -> tuple[SignatureContract, ...]:
    if metadata.form != EXITS_FORM:
        return ()
    found = []
    for signature in exit_signatures(metadata.spec):
        tensors = signature_tensors(interpreter, signature.name)
        for there, expected in zip(tensors, (signature.inputs, signature.outputs), strict=True):
            if set(there) != set(expected):
                raise UserError(
                    f"expected {sorted(expected)} in the signature {signature.name}, got {sorted(there)}; convert again"
                )
        inputs = tuple(_describe(tensors[0][name]) for name in signature.inputs)
        outputs = tuple(_describe(tensors[1][name]) for name in signature.outputs)
        found.append(SignatureContract(signature.name, signature.pyramid, inputs, outputs))
    for before, after in zip(found, found[1:], strict=False):
        if before.outputs[2:] != after.inputs or before.outputs[:2] != after.outputs[:2]:
            raise UserError(f"{after.name} does not go on from what {before.name} gives; convert again")
    return tuple(found)


def _describe(tensor: Tensor) -> TensorContract:
    meaning = _MEANINGS.get(tensor.name, "features of a pyramid, for the next exit")
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
