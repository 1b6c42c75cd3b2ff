"""A small COCO folder for tests to break."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def jpeg_bytes(height: int, width: int, *, orientation: int | None = None, shade: int = 200) -> bytes:
    """Returns a grey JPEG whose upper left quarter is black, if wanted with an EXIF orientation."""
    image = np.full((height, width, 3), shade, np.uint8)
    image[: height // 2, : width // 2] = 0
    data = cv2.imencode(".jpg", image)[1].tobytes()
    if orientation is None:
        return data
    # A TIFF block, big-endian, with one entry: tag 0x0112 (orientation), type 3 (short), count 1.
    tiff = (
        b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + bytes([orientation]) + b"\x00" * 6
    )
    body = b"Exif\x00\x00" + tiff
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


class CocoFolder:
    """A sound COCO folder, one split, two images of 60x40 (width x height), a box each; change it, then `write`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document: dict[str, Any] = {
            "images": [
                {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40},
                {"id": 2, "file_name": "b.jpg", "width": 60, "height": 40},
            ],
            "annotations": [
                {"id": 11, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 30], "area": 600, "iscrowd": 0},
                {"id": 12, "image_id": 2, "category_id": 2, "bbox": [0, 0, 60, 40], "area": 2400, "iscrowd": 0},
            ],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        }
        self.add_image("train/a.jpg", jpeg_bytes(40, 60, shade=100))
        self.add_image("train/b.jpg", jpeg_bytes(40, 60, shade=150))
        self.write()

    def add_image(self, name: str, data: bytes) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)

    def write(self, document: Any = None, name: str = "instances_train.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(self.document if document is None else document), encoding="utf-8")
        return path
