"""The demo's data: photos of a table with things on it, made by code and the same for the same seed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nasfpn_lite.benchmarks.demo_sprites import KINDS, Sprite
from nasfpn_lite.benchmarks.demo_tables import make_table
from nasfpn_lite.files import write_bytes_atomically, write_text_atomically

TRAIN_IMAGES, VAL_IMAGES, TEST_IMAGES = 240, 32, 60
JPEG_QUALITY = 92
LEAST_VISIBLE = 0.8  # of every thing's area; the rest may lie under others
MOST_ON_OTHERS = 0.25  # of a thing's area: nothing lies in a mug
_PHOTO_SIZES = ((240, 320), (240, 320), (320, 240), (256, 320), (288, 352))  # height, width
_TRIES = 40
_SPLIT_NUMBERS = {"train": 1, "val": 2, "test": 3}


@dataclass(frozen=True)
class Scene:
    """One photo and what lies on the table.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        boxes_yxyx: (n, 4) float32 pixels, around what is visible.
        classes: (n,) int32, index into KINDS.
    """

    image: np.ndarray
    boxes_yxyx: np.ndarray
    classes: np.ndarray


def make_demo_set(
    folder: Path, *, seed: int = 0, train: int = TRAIN_IMAGES, val: int = VAL_IMAGES, test: int = TEST_IMAGES
) -> Path:
    """Writes a COCO folder: instances_<split>.json beside <split>/*.jpg; returns the folder."""
    for split, count in (("train", train), ("val", val), ("test", test)):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(count):
            random = np.random.default_rng([seed, _SPLIT_NUMBERS[split], number])
            scene = make_scene(random)
            name = f"{split}_{number:04d}.jpg"
            _write_jpeg(folder / split / name, scene.image)
            height, width = scene.image.shape[:2]
            images.append({"id": number + 1, "file_name": name, "height": height, "width": width})
            annotations += _to_annotations(scene, image_id=number + 1, first_id=len(annotations) + 1)
        categories = [{"id": number + 1, "name": kind.name} for number, kind in enumerate(KINDS)]
        data = {"images": images, "annotations": annotations, "categories": categories}
        write_text_atomically(folder / f"instances_{split}.json", json.dumps(data))
    return folder


def write_photo(path: Path, *, size: tuple[int, int], seed: int) -> Path:
    """Writes one scene of (height, width) pixels as a JPEG."""
    _write_jpeg(path, make_scene(np.random.default_rng(seed), size=size).image)
    return path


def make_scene(random: np.random.Generator, *, size: tuple[int, int] | None = None) -> Scene:
    """Makes one photo with up to seven things on a table."""
    height, width = size or _PHOTO_SIZES[random.integers(len(_PHOTO_SIZES))]
    turn = random.uniform(0, 2 * np.pi)
    light = (float(np.sin(turn)), float(np.cos(turn)))
    image = make_table(random, (height, width), light)
    owners = np.full((height, width), -1, np.int16)
    areas: list[int] = []
    classes: list[int] = []
    for _ in range(int(random.integers(2, 8))):
        kind = int(random.integers(len(KINDS)))
        low, high = KINDS[kind].size_px
        size_px = low * (high / low) ** random.uniform()
        sprite = KINDS[kind].draw(random, size_px, random.uniform(0, 2 * np.pi), light)
        corner = _find_place(random, owners, areas, sprite.alpha > 0.5)
        if corner is not None:
            _put(image, sprite, corner, light)
            mask = sprite.alpha > 0.5
            _window(owners, corner, mask)[mask] = len(areas)
            areas.append(int(mask.sum()))
            classes.append(kind)
    boxes = np.array([_box_of(owners == number) for number in range(len(areas))], np.float32).reshape(-1, 4)
    return Scene(_expose(random, image, light), boxes, np.array(classes, np.int32))


def _window(array: np.ndarray, corner: tuple[int, int], like: np.ndarray) -> np.ndarray:
    return array[corner[0] : corner[0] + like.shape[0], corner[1] : corner[1] + like.shape[1]]


def _find_place(
    random: np.random.Generator, owners: np.ndarray, areas: list[int], mask: np.ndarray
) -> tuple[int, int] | None:
    room = owners.shape[0] - mask.shape[0], owners.shape[1] - mask.shape[1]
    if min(room) < 1:
        return None
    visible = np.bincount(owners[owners >= 0], minlength=len(areas))
    for _ in range(_TRIES):
        corner = int(random.integers(room[0])), int(random.integers(room[1]))
        covered = _window(owners, corner, mask)[mask]
        hidden = np.bincount(covered[covered >= 0], minlength=len(areas))
        fits = np.all(visible - hidden >= LEAST_VISIBLE * np.array(areas))
        if fits and hidden.sum() <= MOST_ON_OTHERS * mask.sum():
            return corner
    return None


def _put(image: np.ndarray, sprite: Sprite, corner: tuple[int, int], light: tuple[float, float]) -> None:
    """Lays a sprite and its soft shadow on the table, in place."""
    reach = int(sprite.height_px * 2.5) + 6
    shadow = np.pad(sprite.alpha, reach)
    shift = np.array([[1, 0, -light[1] * sprite.height_px], [0, 1, -light[0] * sprite.height_px]], np.float32)
    shadow = cv2.warpAffine(shadow, shift, shadow.shape[::-1])
    shadow = 0.55 * cv2.GaussianBlur(shadow, (0, 0), 1.0 + sprite.height_px * 0.45)
    top, left = corner[0] - reach, corner[1] - reach
    y, x = max(top, 0), max(left, 0)
    target = image[y : top + shadow.shape[0], x : left + shadow.shape[1]]
    target *= 1 - shadow[y - top :, x - left :][: target.shape[0], : target.shape[1], None]
    target = _window(image, corner, sprite.alpha)
    target += sprite.alpha[..., None] * (sprite.rgb - target)


def _expose(random: np.random.Generator, image: np.ndarray, light: tuple[float, float]) -> np.ndarray:
    """Adds what a camera adds: light that falls off, white balance, exposure, a little grain."""
    height, width = image.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    falloff = 1 + random.uniform(0.08, 0.24) * (y * light[0] + x * light[1]) - 0.08 * (y**2 + x**2)
    warmth = random.uniform(-0.06, 0.08)
    gain = np.float32(random.uniform(0.82, 1.12)) * np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    grain = cv2.GaussianBlur(random.standard_normal((height, width), np.float32), (0, 0), 0.6)
    photo = image * (falloff.astype(np.float32)[..., None] * gain)
    photo += np.float32(random.uniform(0.004, 0.014)) * grain[..., None]
    return np.round(np.clip(photo, 0, 1) * 255).astype(np.uint8)


def _box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _to_annotations(scene: Scene, *, image_id: int, first_id: int) -> list[dict[str, Any]]:
    annotations = []
    for offset, (box, kind) in enumerate(zip(scene.boxes_yxyx.tolist(), scene.classes.tolist(), strict=True)):
        y0, x0, y1, x1 = box
        annotations.append(
            {
                "id": first_id + offset,
                "image_id": image_id,
                "category_id": kind + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
            }
        )
    return annotations


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    write_bytes_atomically(path, data.tobytes())
