"""From an image file to the network's input: one reading, one resizing and one normalisation for the whole project."""

import re
import zlib
from pathlib import Path

import cv2
import numpy as np

from nasfpn_lite.errors import UserError
from nasfpn_lite.pixels import PAD_VALUE, PIXEL_OFFSET, PIXEL_SCALE
from nasfpn_lite.specs import ResizeRule

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# In JPEG data 0xFF is a marker unless a stuffed zero, a restart marker or a fill byte follows.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
# JPEG, PNG and WebP name the block that holds the orientation; TIFF is built of such blocks.
_MAY_HOLD_ORIENTATION = re.compile(rb"(?i)exif|^II\*\x00|^MM\x00\*")


class ImageError(UserError):
    """An image file that cannot be used. The message names the file."""


class TruncatedImageError(ImageError):
    """An image file whose end is missing."""


def read_image(path: Path | str) -> np.ndarray:
    """Reads an image as (H, W, 3) uint8 RGB, upright (EXIF orientation applied), at its full size.

    Raises:
        ImageError: The file is missing, cut off, or no image.
    """
    return decode_image(read_image_bytes(path), path)


def read_image_bytes(path: Path | str) -> bytes:
    """Reads an image file undecoded; raises ImageError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: expected an image file, but cannot read it: {error.strerror}") from error


def decode_image(data: bytes, name: Path | str) -> np.ndarray:
    """Decodes the bytes of an image file as `read_image` does; `name` is for the error message."""
    if not data:
        raise ImageError(f"{name}: the file is empty; replace it or take it out of the dataset")
    # OpenCV fills the missing part of a cut file with grey and says nothing that a program can see.
    if not _is_complete(data):
        raise TruncatedImageError(f"{name}: the image is truncated; replace it or take it out of the dataset")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"{name}: OpenCV cannot decode this image: {error.err}") from error
    if image is None:
        raise ImageError(f"{name}: not an image that OpenCV can decode (expected JPEG, PNG, WebP, BMP or TIFF)")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def is_turned_by_exif(data: bytes, upright: np.ndarray) -> bool:
    """Says whether the EXIF orientation turns an image; `upright` is what `decode_image` made of the same bytes."""
    if not _MAY_HOLD_ORIENTATION.search(data):
        return False
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if stored is None:
        return False
    return stored.shape != upright.shape or not np.array_equal(stored[..., ::-1], upright)


def fit_image(
    image: np.ndarray, image_size: tuple[int, int], resize: ResizeRule
) -> tuple[np.ndarray, tuple[float, float]]:
    """Brings an image to the network's size.

    Args:
        image: (h, w, 3) uint8.
        image_size: (height, width) of the result.
        resize: "stretch", or "pad": keep the aspect ratio and fill up at the bottom and right with PAD_VALUE.

    Returns:
        The (height, width, 3) uint8 image and (scale_y, scale_x): box_in_network = box_yxyx * (sy, sx, sy, sx).
    """
    if resize not in ("stretch", "pad"):
        raise ValueError(f"resize must be 'stretch' or 'pad', got {resize!r}")
    height, width = image.shape[:2]
    new_height, new_width = image_size
    if resize == "pad":
        factor = min(new_height / height, new_width / width)
        new_height, new_width = max(round(height * factor), 1), max(round(width * factor), 1)
    scale = (new_height / height, new_width / width)
    if (new_height, new_width) != (height, width):
        shrinks = new_height <= height and new_width <= width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.resize(image, (new_width, new_height), interpolation=method)
    if (new_height, new_width) != tuple(image_size):
        canvas = np.full((*image_size, 3), PAD_VALUE, np.uint8)
        canvas[:new_height, :new_width] = image
        image = canvas
    return image, scale


def normalise(image: np.ndarray) -> np.ndarray:
    """Turns uint8 pixels of any shape into the network's float32 input, -1..1."""
    return (image.astype(np.float32) - np.float32(PIXEL_OFFSET)) / np.float32(PIXEL_SCALE)


def _is_complete(data: bytes) -> bool:
    """Says whether a JPEG, PNG, WebP or BMP file reaches its end; other files count as complete."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_has_end(data)
    if data.startswith(_PNG_SIGNATURE):
        return _png_has_end(data)
    if data[:4] == b"RIFF":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if data[:2] == b"BM":
        return len(data) >= int.from_bytes(data[2:6], "little")
    return True


def _jpeg_has_end(data: bytes) -> bool:
    # Segments are stepped over: the thumbnail in an EXIF segment has an end marker of its own.
    position = 2
    while (match := _JPEG_MARKER.search(data, position)) is not None:
        if match.group(1) == b"\xd9":
            return True
        position = match.end() + int.from_bytes(data[match.end() : match.end() + 2], "big")
    return False


def _png_has_end(data: bytes) -> bool:
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        body_end = position + 8 + length
        checksum = int.from_bytes(data[body_end : body_end + 4], "big")
        if zlib.crc32(data[position + 4 : body_end]) != checksum:
            return False
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position = body_end + 4
    return False
