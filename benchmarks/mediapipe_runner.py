"""Runs MediaPipe Tasks' ObjectDetector; `mediapipe_check` starts this file with a Python that has mediapipe.

    python mediapipe_runner.py MODEL JOB.json > detections.json

The job lists {"image", "repeats"}: a .npy of (h, w, 3) uint8 RGB, and how often each pixel is repeated both ways.
Prints for each a list of {"name", "score", "box_xywh"}, in repeated pixels. Imports nothing of this package, which is
not installed there.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(argv: list[str]) -> int:
    """Prints the detections as JSON."""
    model, job = argv
    tasks = importlib.import_module("mediapipe.tasks.python")
    vision = importlib.import_module("mediapipe.tasks.python.vision")
    options = vision.ObjectDetectorOptions(base_options=tasks.BaseOptions(model_asset_path=model))
    found = []
    with vision.ObjectDetector.create_from_options(options) as detector:
        for item in json.loads(Path(job).read_text(encoding="utf-8")):
            image = np.load(item["image"]).repeat(item["repeats"], axis=0).repeat(item["repeats"], axis=1)
            found.append(_detect(detector, image))
    print(json.dumps(found))
    return 0


def _detect(detector: Any, image: np.ndarray) -> list[dict[str, Any]]:
    mediapipe = importlib.import_module("mediapipe")
    result = detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image))
    found = []
    for detection in result.detections:
        best, box = detection.categories[0], detection.bounding_box
        box_xywh = [box.origin_x, box.origin_y, box.width, box.height]
        found.append({"name": best.category_name, "score": best.score, "box_xywh": box_xywh})
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
