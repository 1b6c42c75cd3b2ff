"""The exits of a Keras model, each as a network of its own; for `anytime.Anytime`."""

from typing import Any

import numpy as np

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.exit_parts import ExitParts
from nasfpn_lite.exits import feature_names
from nasfpn_lite.layer_names import BOX_OUTPUT, CLASS_OUTPUT
from nasfpn_lite.postprocess import PostprocessSpec, postprocess, to_original
from nasfpn_lite.preprocess import fit_image, normalise
from nasfpn_lite.runs import WEIGHTS_FILE, Run
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.weights import load_weights


class KerasExits:
    """The exits of a run that was trained with them; satisfies `anytime.Exits`."""

    def __init__(self, model: Any, spec: DetectorSpec, categories: tuple[Category, ...]) -> None:
        """Takes a model of `build_detector(spec, every_exit=True)`."""
        self.spec, self.categories = spec, categories
        parts = ExitParts(model, spec)
        self._parts = [parts.part(number) for number in range(1, parts.count + 1)]
        self._features = feature_names(spec)
        self._anchors = make_anchors(spec)

    @classmethod
    def from_run(cls, run: Run) -> "KerasExits":
        """Builds the networks of a run.

        Raises:
            UserError: It was trained without exits.
        """
        from nasfpn_lite.detector import build_detector

        if not run.spec.exits:
            raise UserError(f"{run.folder} was trained without exits; train with --exits every")
        model = build_detector(run.spec, every_exit=True)
        load_weights(model, run.folder / WEIGHTS_FILE)
        return cls(model, run.spec, run.categories)

    def prepare(self, image: np.ndarray) -> tuple[Any, Any]:
        """Turns an upright (h, w, 3) uint8 RGB image of any size into what the first exit takes."""
        fitted, scale = fit_image(image, self.spec.image_size, self.spec.resize)
        return normalise(fitted)[None], (scale, image.shape[:2])

    def run(self, number: int, given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Runs one exit; returns boxes and scores, and features."""
        found = self._parts[number - 1].predict_on_batch(given)
        return found, {name: found.pop(name) for name in self._features if name in found}

    def finish(self, outputs: dict[str, Any], photo: Any) -> Detections:
        """Turns boxes and scores into detections in the photo's pixels."""
        boxes, logits = (np.asarray(outputs[name])[0] for name in (BOX_OUTPUT, CLASS_OUTPUT))
        scale, size = photo
        found = postprocess(boxes, logits, self._anchors, PostprocessSpec(), self.spec.image_size)
        return to_original(found, scale, size)
