"""A .tflite of ours as a detector: photo in, detections out. Needs an interpreter, not TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.converters.interpreter import Tensor, make_interpreter, signature_tensors
from nasfpn_lite.converters.metadata import DETECT_OUTPUTS, Metadata, read_metadata
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import postprocess, to_original
from nasfpn_lite.preprocess import fit_image, normalise
from nasfpn_lite.specs import DetectorSpec


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo as a file takes it.

    Attributes:
        encoded: (1, height, width, 3) of the file's own type and size.
        scale: (scale_y, scale_x) from the photo to the network's pixels.
        size: (height, width) of the photo.
    """

    encoded: np.ndarray
    scale: tuple[float, float]
    size: tuple[int, int]


class TFLiteDetector:
    """Runs a raw or detect file; the file's own metadata say how."""

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        content = Path(path).read_bytes() if Path(path).is_file() else None
        if content is None:
            raise UserError(f"expected a .tflite file, but there is no file {path}")
        try:
            self.metadata: Metadata = read_metadata(content)
            self._interpreter = make_interpreter(content, threads=threads)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        inputs, self._outputs = signature_tensors(self._interpreter)
        self._input = inputs["image"]
        # One entry per pixel value: normalising and quantizing become a look-up.
        self._levels = self._input.quantize(normalise(np.arange(256, dtype=np.uint8)))
        self._anchors = make_anchors(self.spec)

    @property
    def spec(self) -> DetectorSpec:
        """What the file detects with."""
        return self.metadata.spec

    @property
    def categories(self) -> tuple[Category, ...]:
        """What the file detects."""
        return self.metadata.categories

    @property
    def input(self) -> Tensor:
        """The file's input."""
        return self._input

    @property
    def outputs(self) -> dict[str, Tensor]:
        """The file's outputs by their names in its signature."""
        return dict(self._outputs)

    def detect(self, image: np.ndarray) -> Detections:
        """Finds objects in an upright (h, w, 3) uint8 RGB image of any size; boxes are in its pixels."""
        photo = self.prepare(image)
        return self.finish(photo, self.run_stored(photo.encoded))

    def prepare(self, image: np.ndarray) -> PreparedPhoto:
        """Turns an upright (h, w, 3) uint8 RGB image of any size into what the file takes, here or elsewhere."""
        fitted, scale = fit_image(image, self.spec.image_size, self.spec.resize)
        return PreparedPhoto(self.encode(fitted), scale, (image.shape[0], image.shape[1]))

    def finish(self, photo: PreparedPhoto, stored: Mapping[str, np.ndarray]) -> Detections:
        """Turns the outputs of a photo, of the file's own types, into detections in the photo's pixels."""
        return to_original(self.decode(self.dequantize(stored)), photo.scale, photo.size)

    def run(self, fitted: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network on one image of its own size, uint8; returns float32 outputs by name, without the batch."""
        return self.dequantize(self.run_stored(self.encode(fitted)))

    def encode(self, fitted: np.ndarray) -> np.ndarray:
        """Turns an image of the network's size, uint8, into what the file takes, (1, h, w, 3) of its own type."""
        return self._levels[fitted][None]

    def run_stored(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network on what `encode` made; returns the outputs as the file gives them, with the batch."""
        self._interpreter.set_tensor(self._input.index, encoded)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(tensor.index) for name, tensor in self._outputs.items()}

    def dequantize(self, stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Turns outputs of the file's own types, of this machine or another, into what `decode` takes."""
        return {name: tensor.dequantize(stored[name])[0] for name, tensor in self._outputs.items()}

    def decode(self, outputs: dict[str, np.ndarray]) -> Detections:
        """Turns `run`'s outputs into detections in the network's pixels."""
        if self.metadata.form == "raw":
            return postprocess(
                outputs["box_encodings"],
                outputs["class_logits"],
                self._anchors,
                self.metadata.thresholds,
                self.spec.image_size,
            )
        boxes, classes, scores, count = (outputs[name] for name in DETECT_OUTPUTS)
        found = int(count)
        height, width = self.spec.image_size
        pixels = boxes[:found] * np.array([height, width, height, width], np.float32)
        return Detections(pixels, scores[:found], np.rint(classes[:found]).astype(np.int32))
