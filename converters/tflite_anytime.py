"""A .tflite of several exits as a detector under a deadline. Needs an interpreter, neither TensorFlow nor Keras."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.anytime import Anytime
from nasfpn_lite.converters.exit_signatures import IMAGE, exit_signatures
from nasfpn_lite.converters.interpreter import make_interpreter, signature_tensors
from nasfpn_lite.converters.metadata import EXITS_FORM, read_metadata
from nasfpn_lite.converters.tflite_detector import PreparedPhoto
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.postprocess import postprocess, to_original
from nasfpn_lite.preprocess import fit_image, normalise
from nasfpn_lite.specs import DetectorSpec

Arrays = Mapping[str, np.ndarray]


class TFLiteExits:
    """The exits of a file; satisfies `anytime.Exits`. Features go from one to the next as the file stores them."""

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        content = Path(path).read_bytes() if Path(path).is_file() else None
        if content is None:
            raise UserError(f"expected a .tflite file, but there is no file {path}")
        try:
            self.metadata = read_metadata(content)
            if self.metadata.form != EXITS_FORM:
                raise UserError(
                    f"expected a file of several exits, got a {self.metadata.form} file; "
                    f"make one with `nasfpn-lite convert RUN --form {EXITS_FORM}`"
                )
            self._interpreter = make_interpreter(content, threads=threads)
            self.signatures = exit_signatures(self.spec)
            self.tensors = {s.name: signature_tensors(self._interpreter, s.name) for s in self.signatures}
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        self._runners = [self._interpreter.get_signature_runner(s.name) for s in self.signatures]
        self._outputs = self.tensors[self.signatures[-1].name][1]
        self._levels = self.tensors[self.signatures[0].name][0][IMAGE].quantize(
            normalise(np.arange(256, dtype=np.uint8))
        )
        self._anchors = make_anchors(self.spec)

    @property
    def spec(self) -> DetectorSpec:
        """What the file detects with."""
        return self.metadata.spec

    @property
    def categories(self) -> tuple[Category, ...]:
        """What the file detects."""
        return self.metadata.categories

    def prepare(self, image: np.ndarray) -> tuple[Arrays, PreparedPhoto]:
        """Turns an upright (h, w, 3) uint8 RGB image of any size into what the first exit takes."""
        fitted, scale = fit_image(image, self.spec.image_size, self.spec.resize)
        photo = PreparedPhoto(self._levels[fitted][None], scale, (image.shape[0], image.shape[1]))
        return {IMAGE: photo.encoded}, photo

    def run(self, number: int, given: Arrays) -> tuple[Arrays, Arrays]:
        """Runs one signature; returns boxes and scores, and features, all of the file's own types."""
        found = self._runners[number - 1](**given)
        features = {name: found.pop(name) for name in self.signatures[number - 1].features}
        return found, features

    def finish(self, outputs: Arrays, photo: PreparedPhoto) -> Detections:
        """Turns boxes and scores, of the file's own types, into detections in the photo's pixels."""
        boxes, logits = (self._outputs[name].dequantize(outputs[name])[0] for name in (BOX_OUTPUT, CLASS_OUTPUT))
        found = postprocess(boxes, logits, self._anchors, self.metadata.thresholds, self.spec.image_size)
        return to_original(found, photo.scale, photo.size)


class AnytimeDetector(Anytime):
    """A file of several exits that answers within a budget.

    >>> AnytimeDetector("run_float32_exits.tflite").detect(image, budget_ms=30).exit
    """

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        """Loads a file of `nasfpn-lite convert --form exits` and measures its exits.

        Raises:
            UserError: There is no such file, or it is no file of several exits.
        """
        super().__init__(TFLiteExits(path, threads=threads))
