"""Pictures of detections: boxes with names and scores."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nasfpn_lite.data.records import Category, Detections, ImageRecord
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_bytes_atomically

SMALLEST_SIDE = 640  # smaller images are enlarged to this length of their longer side, so that labels stay readable
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TALL_AND_DEEP = "Bg|"
_GOLDEN_RATIO = 0.618034  # steps of this share of the colour circle never come close to each other
_JPEG_QUALITY = 92

Color = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Item:
    """One box to draw: yxyx in pixels of the drawing."""

    box_yxyx: np.ndarray
    label: str
    color: Color


def draw_detections(
    image: np.ndarray, detections: Detections, categories: Sequence[Category], *, min_score: float = 0.3
) -> np.ndarray:
    """Draws what a detector found.

    Args:
        image: (h, w, 3) uint8 RGB; stays as it is.
        min_score: Detections below are left out.

    Returns:
        (h', w', 3) uint8 RGB, of the same size; images under SMALLEST_SIDE are enlarged.
    """
    canvas, scale = _enlarge(image)
    kept = np.flatnonzero(detections.scores >= min_score)
    items = [
        _Item(
            detections.boxes_yxyx[i] * scale,
            f"{categories[detections.classes[i]].name} {detections.scores[i]:.0%}",
            class_color(int(detections.classes[i])),
        )
        for i in kept
    ]
    return _draw(canvas, items)


def draw_ground_truth(image: np.ndarray, record: ImageRecord, categories: Sequence[Category]) -> np.ndarray:
    """Draws the annotated boxes of an image, in the same manner as `draw_detections`."""
    canvas, scale = _enlarge(image)
    items = [
        _Item(box * scale, categories[label].name + (" (crowd)" if crowd else ""), class_color(int(label)))
        for box, label, crowd in zip(record.boxes_yxyx, record.classes, record.crowd, strict=True)
    ]
    return _draw(canvas, items)


def class_color(label: int) -> Color:
    """Returns the RGB colour of a class number: neighbours differ clearly."""
    saturation, value = ((0.85, 1.0), (0.6, 0.95), (1.0, 0.85))[label % 3]
    red, green, blue = colorsys.hsv_to_rgb((0.58 + label * _GOLDEN_RATIO) % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def save_image(image: np.ndarray, path: Path) -> None:
    """Writes (h, w, 3) uint8 RGB as the kind of file that the suffix names, whole or not at all."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:
        raise UserError(f"cannot write {path}: {error.err}; use the suffix .jpg or .png") from error
    if not done:
        raise UserError(f"cannot write {path} as an image; use the suffix .jpg or .png")
    write_bytes_atomically(path, data.tobytes())


def _enlarge(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns a copy, enlarged if it is small, and the factors for boxes_yxyx."""
    height, width = image.shape[:2]
    factor = SMALLEST_SIDE / max(height, width)
    if factor <= 1:
        return np.ascontiguousarray(image).copy(), np.ones(4, np.float32)
    new_height, new_width = max(round(height * factor), 1), max(round(width * factor), 1)
    canvas = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_CUBIC)
    scale_y, scale_x = new_height / height, new_width / width
    return canvas, np.array([scale_y, scale_x, scale_y, scale_x], np.float32)


def _line_width(canvas: np.ndarray) -> int:
    return max(2, round(max(canvas.shape[:2]) / 320))


def _font_scale(canvas: np.ndarray) -> float:
    return max(0.45, max(canvas.shape[:2]) / 1600)


def _draw(canvas: np.ndarray, items: Sequence[_Item]) -> np.ndarray:
    """Draws all boxes, then all labels, so that no box hides a name; the first items lie on top."""
    width = _line_width(canvas)
    for item in reversed(items):
        top, left, bottom, right = (int(round(float(value))) for value in item.box_yxyx)
        cv2.rectangle(canvas, (left, top), (right, bottom), item.color, width, cv2.LINE_AA)
    taken: list[Rectangle] = []
    for item in items:
        taken.append(_draw_label(canvas, item, taken))
    return canvas


def _draw_label(canvas: np.ndarray, item: _Item, taken: Sequence[Rectangle]) -> Rectangle:
    scale = _font_scale(canvas)
    text_width, ascent, descent = _measure(item.label, scale)
    pad = max(2, ascent // 4)
    height, width = ascent + descent + pad, text_width + 2 * pad
    left, top = _place_label(canvas, item.box_yxyx, (height, width), taken)
    cv2.rectangle(canvas, (left, top), (left + width - 1, top + height - 1), item.color, cv2.FILLED)
    _put_text(canvas, item.label, (left + pad, top + pad // 2 + ascent), scale, _text_color(item.color))
    return left, top, left + width, top + height


def _place_label(
    canvas: np.ndarray, box_yxyx: np.ndarray, size: tuple[int, int], taken: Sequence[Rectangle]
) -> tuple[int, int]:
    """Chooses the first free place: above the box, inside at its top, below it, inside at its bottom."""
    height, width = size
    top, left, bottom, _ = (int(round(float(value))) for value in box_yxyx)
    left = max(0, min(left, canvas.shape[1] - width))
    places = [top - height, top, bottom, bottom - height]
    inside = [y for y in places if 0 <= y <= canvas.shape[0] - height]
    free = [y for y in inside if not any(_overlap((left, y, left + width, y + height), other) for other in taken)]
    best = (free or inside or [0])[0]
    return left, best


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _text_color(background: Color) -> Color:
    # Weights of perceived brightness, ITU-R BT.601.
    brightness = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]
    return (0, 0, 0) if brightness > 140 else (255, 255, 255)


def _measure(text: str, scale: float) -> tuple[int, int, int]:
    """Returns the width of a text, and the height above and below the base line that any text needs."""
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, _text_thickness(scale))
    (_, ascent), descent = cv2.getTextSize(_TALL_AND_DEEP, _FONT, scale, _text_thickness(scale))
    return width, ascent, descent


def _put_text(canvas: np.ndarray, text: str, origin: tuple[int, int], scale: float, color: Color) -> None:
    cv2.putText(canvas, text, origin, _FONT, scale, color, _text_thickness(scale), cv2.LINE_AA)


def _text_thickness(scale: float) -> int:
    return max(1, round(scale * 1.5))
