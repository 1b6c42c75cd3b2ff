"""Random crops, flips and colours of a training image and its boxes. NumPy and OpenCV only."""

from dataclasses import dataclass

import cv2
import numpy as np

from nasfpn_lite.boxes import area, clip
from nasfpn_lite.errors import UserError
from nasfpn_lite.pixels import PAD_VALUE
from nasfpn_lite.specs import ResizeRule

MIN_VISIBLE = 0.3  # an object of which less is left is no example of its class
MIN_SIDE_PX = 2.0  # far below the smallest anchor; also keeps log(side) finite


@dataclass(frozen=True)
class AugmentSpec:
    """How training images are varied.

    Attributes:
        scale_min, scale_max: Bounds of the random scale over the size that fits the network.
        rotate_90: Also turn by 0 to 3 quarters, for photos without an upside, such as microscopy.
        brightness: Largest shift, as a share of the full range; 0 for none.
        contrast, saturation: Largest change of the factor, 0.2 for 0.8 to 1.2; 0 for none.
    """

    scale_min: float = 0.8
    scale_max: float = 1.2
    horizontal_flip: bool = True
    vertical_flip: bool = False
    rotate_90: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max:
            raise UserError(f"augmentation needs 0 < scale_min <= scale_max, got {self.scale_min}, {self.scale_max}")
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"augmentation {name} must be in 0..1, got {getattr(self, name)}")


def augment(  # noqa: PLR0913
    image: np.ndarray,
    boxes_yxyx: np.ndarray,
    classes: np.ndarray,
    spec: AugmentSpec,
    image_size: tuple[int, int],
    resize: ResizeRule,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns, scales, crops or pads, flips and colours an image; the boxes follow.

    The scale is that of the resize rule times a random factor. Where the scaled image is larger than the network's
    input, a random window is cut out; where it is smaller, it stands at a random place on grey 127.

    Args:
        image: (h, w, 3) uint8 RGB. Reduce a far larger image first (`reduce_image`): sampling here is bilinear.
        boxes_yxyx: (n, 4) float32 in pixels of `image`.
        classes: (n,) int32; negative ones are regions to ignore and stay however little of them is visible.

    Returns:
        image (H, W, 3) uint8 of `image_size`, boxes (m, 4) float32 cut at its borders, in its pixels, and classes
        (m,). Boxes are dropped that keep less than 30 % of their area or a side below 2 px.

    Source: tensorflow/tpu, official/retinanet (scale jitter 0.8 to 1.2, crop, flip). Differs: padding on all sides.
    """
    draws = rng.random(9)  # always as many, so that one option does not change the others' luck
    if spec.rotate_90:
        image, boxes_yxyx = _turn(image, boxes_yxyx, quarters=int(draws[0] * 4))
    jitter = spec.scale_min + draws[1] * (spec.scale_max - spec.scale_min)
    scale = jitter * _fit_scale(image.shape[:2], image_size, resize)
    # Where the scaled image's corner lies in the output: negative when cropped, positive when padded.
    offset = draws[2:4] * (np.array(image_size) - scale * image.shape[:2])
    flips = (spec.vertical_flip and draws[4] < 0.5, spec.horizontal_flip and draws[5] < 0.5)
    image = _place(image, scale, offset, image_size)
    boxes = (boxes_yxyx * np.tile(scale, 2) + np.tile(offset, 2)).astype(np.float32)
    image, boxes = _flip(image, boxes, *flips)
    return _recolour(image, spec, draws[6:]), *keep_visible(boxes, classes, image_size)


def keep_visible(
    boxes_yxyx: np.ndarray, classes: np.ndarray, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts boxes at the borders and drops those of which less than 30 % is left or a side below 2 px."""
    cut = clip(boxes_yxyx, image_size)
    large = (cut[:, 2:] - cut[:, :2] >= MIN_SIDE_PX).all(axis=1)
    seen = (area(cut) >= MIN_VISIBLE * area(boxes_yxyx)) | (classes < 0)
    keep = large & seen
    return cut[keep], classes[keep]


def reduce_image(image: np.ndarray, spec: AugmentSpec, image_size: tuple[int, int], resize: ResizeRule) -> np.ndarray:
    """Returns an image as large as the largest scale of `augment` needs, averaged where smaller; never larger."""
    size = np.array(image.shape[:2])
    scale = _fit_scale(image.shape[:2], image_size, resize)
    if spec.rotate_90:
        scale = np.maximum(scale, _fit_scale(image.shape[1::-1], image_size, resize)[::-1])
    height, width = np.minimum(size, np.ceil(size * scale * spec.scale_max)).astype(int).tolist()
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _fit_scale(size: tuple[int, ...], image_size: tuple[int, int], resize: ResizeRule) -> np.ndarray:
    """Returns (scale_y, scale_x) that fit a picture of (height, width) into the network's input."""
    scale = np.array(image_size) / np.array(size)
    return scale if resize == "stretch" else np.full(2, scale.min())


def _turn(image: np.ndarray, boxes: np.ndarray, quarters: int) -> tuple[np.ndarray, np.ndarray]:
    """Turns counter-clockwise by quarters."""
    height, width = image.shape[:2]
    for _ in range(quarters):
        top, left, bottom, right = boxes.T
        boxes = np.stack([width - right, top, width - left, bottom], axis=1)
        height, width = width, height
    return np.ascontiguousarray(np.rot90(image, quarters)), boxes


def _place(image: np.ndarray, scale: np.ndarray, offset: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Samples `image` times `scale` at `offset` into a grey image of `image_size`."""
    # Pixel i covers i..i+1, so its centre i + 0.5 comes from (i + 0.5 - offset) / scale, less 0.5 as an index.
    shift = (0.5 - offset) / scale - 0.5
    matrix = np.array([[1 / scale[1], 0, shift[1]], [0, 1 / scale[0], shift[0]]])
    height, width = image_size
    # Borders are repeated, then painted over: a constant border would bleed into the image's own edge.
    placed = cv2.warpAffine(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    start = np.maximum(np.rint(offset), 0).astype(int)
    stop = np.maximum(np.rint(offset + scale * image.shape[:2]), 0).astype(int)
    placed[: start[0]] = placed[stop[0] :] = PAD_VALUE
    placed[:, : start[1]] = placed[:, stop[1] :] = PAD_VALUE
    return placed


def _flip(image: np.ndarray, boxes: np.ndarray, vertical: bool, horizontal: bool) -> tuple[np.ndarray, np.ndarray]:
    height, width = image.shape[:2]
    if vertical:
        image, boxes = (
            cv2.flip(image, 0),
            np.stack([height - boxes[:, 2], boxes[:, 1], height - boxes[:, 0], boxes[:, 3]], axis=1),
        )
    if horizontal:
        image, boxes = (
            cv2.flip(image, 1),
            np.stack([boxes[:, 0], width - boxes[:, 3], boxes[:, 2], width - boxes[:, 1]], axis=1),
        )
    return image, boxes


def _recolour(image: np.ndarray, spec: AugmentSpec, draws: np.ndarray) -> np.ndarray:
    brightness, contrast, saturation = (2 * draws - 1) * (spec.brightness, spec.contrast, spec.saturation)
    if saturation:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, 1 + saturation, grey, -saturation, 0)
    if brightness or contrast:
        values = (np.arange(256) - PAD_VALUE) * (1 + contrast) + PAD_VALUE + 255 * brightness
        image = cv2.LUT(image, np.clip(np.rint(values), 0, 255).astype(np.uint8))
    return image
