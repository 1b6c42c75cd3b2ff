"""A Keras model as a detector of whole images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import PostprocessSpec, postprocess, to_original
from nasfpn_lite.preprocess import fit_image, normalise
from nasfpn_lite.specs import DetectorSpec

_BATCH = 8


class KerasDetector:
    """Finds objects with a model of `build_detector`; satisfies `evaluate.Detector`."""

    def __init__(
        self,
        model: Any,
        spec: DetectorSpec,
        categories: tuple[Category, ...],
        *,
        thresholds: PostprocessSpec = PostprocessSpec(),  # noqa: B008 - frozen
    ) -> None:
        """Wraps a model; it may go on training, its weights are read at each call."""
        if len(categories) != spec.num_classes:
            raise UserError(f"expected {spec.num_classes} categories, one per class of the spec, got {len(categories)}")
        self.model = model
        self.spec = spec
        self.categories = categories
        self.thresholds = thresholds
        self._anchors = make_anchors(spec)

    def detect(self, image: np.ndarray) -> Detections:
        """Finds objects in an upright (h, w, 3) uint8 RGB image; boxes in its pixels."""
        return self._detect_batch([image], 1)[0]

    def detect_many(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Finds objects in images of any number and any sizes, several in one run of the network."""
        found: list[Detections] = []
        for first in range(0, len(images), _BATCH):
            found += self._detect_batch(images[first : first + _BATCH], _BATCH)
        return found

    def _detect_batch(self, images: Sequence[np.ndarray], batch_size: int) -> list[Detections]:
        # Always the same batch size: another one would make Keras trace the network again.
        size = self.spec.image_size
        batch = np.zeros((batch_size, *size, 3), dtype=np.float32)
        scales = []
        for index, image in enumerate(images):
            fitted, scale = fit_image(image, size, self.spec.resize)
            batch[index] = normalise(fitted)
            scales.append(scale)
        outputs = self.model.predict_on_batch(batch)
        box_encodings, class_logits = np.asarray(outputs["box_encodings"]), np.asarray(outputs["class_logits"])
        found = []
        for index, (image, scale) in enumerate(zip(images, scales, strict=True)):
            in_network = postprocess(box_encodings[index], class_logits[index], self._anchors, self.thresholds, size)
            found.append(to_original(in_network, scale, image.shape[:2]))
        return found
