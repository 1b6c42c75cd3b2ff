"""One photo from file to boxes: the whole way for this project's files, decode, resize and run for anybody else's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nasfpn_lite.converters.metadata import read_metadata
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import normalise, read_image


@dataclass(frozen=True)
class EndToEnd:
    """A call that takes one photo all the way, and what the way consists of."""

    call: Callable[[], Any]
    steps: tuple[str, ...]


def find_end_to_end(path: Path, interpreter: Any, *, image: Path, threads: int) -> EndToEnd | None:
    """Returns the longest way that this file allows, or None where its first input is no RGB image."""
    if is_ours(path):
        from nasfpn_lite.converters.load_detector import load_detector

        detector = load_detector(path, threads=threads)
        return EndToEnd(
            lambda: detector.detect(read_image(image)), ("decode", "resize", "normalise", "run", "post-process")
        )
    detail = interpreter.get_input_details()[0]
    shape, dtype = tuple(int(side) for side in detail["shape"]), np.dtype(detail["dtype"])
    if not is_image_shape(shape):
        return None

    def call() -> None:
        interpreter.set_tensor(detail["index"], make_image_input(read_image(image), shape, dtype))
        interpreter.invoke()
        for output in interpreter.get_output_details():
            interpreter.get_tensor(output["index"])

    return EndToEnd(call, ("decode", "resize", "normalise", "run"))


def is_ours(path: Path) -> bool:
    """Says whether the file carries this project's metadata."""
    try:
        read_metadata(path.read_bytes())
    except UserError:
        return False
    return True


def is_image_shape(shape: tuple[int, ...]) -> bool:
    """Says whether this is one RGB image, channels last or first."""
    return len(shape) == 4 and shape[0] == 1 and 3 in (shape[3], shape[1])


def make_image_input(image: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Brings a uint8 RGB photo (h, w, 3) to an input of (1, H, W, 3) or (1, 3, H, W), uint8, int8 or float in -1..1.

    Exact scales of foreign files are not known; the work done is the same.
    """
    channels_last = shape[3] == 3
    height, width = shape[1:3] if channels_last else shape[2:4]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if dtype == np.uint8:
        data = resized
    elif dtype == np.int8:
        data = (resized.astype(np.int16) - 128).astype(np.int8)
    else:
        data = normalise(resized).astype(dtype)
    return (data if channels_last else data.transpose(2, 0, 1))[None]
