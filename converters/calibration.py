"""Images that show the quantizer what ranges occur: photos through the training preprocessing, or made-up ones."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasfpn_lite.converters.recipes import MIN_CALIBRATION_IMAGES
from nasfpn_lite.data.records import Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.specs import DetectorSpec

logger = logging.getLogger(__name__)

SYNTHETIC = "synthetic"
MAX_CALIBRATION_IMAGES = MIN_CALIBRATION_IMAGES  # more takes longer and changes ranges little
_SYNTHETIC_IMAGES = 8
_PATCHES = 8  # made-up images are as many colour patches a side


@dataclass(frozen=True)
class Calibration:
    """Calibration images.

    Attributes:
        images: (n, H, W, 3) uint8 RGB, already fitted to the network's size.
        source: Where they come from, for the metadata; SYNTHETIC for made-up ones.
        few: Whether fewer than MIN_CALIBRATION_IMAGES will do.
    """

    images: np.ndarray
    source: str
    few: bool = False


def make_synthetic_calibration(spec: DetectorSpec, *, seed: int = 0) -> Calibration:
    """Makes noisy colour patches: enough for random weights, useless for trained ones."""
    rng = np.random.default_rng(seed)
    height, width = spec.image_size
    patches = rng.integers(0, 256, (_SYNTHETIC_IMAGES, _PATCHES, _PATCHES, 3))
    images = patches.repeat(height // _PATCHES, axis=1).repeat(width // _PATCHES, axis=2)
    noise = rng.integers(-40, 41, images.shape)
    return Calibration(np.clip(images + noise, 0, 255).astype(np.uint8), SYNTHETIC)


def load_calibration(
    split: Split, spec: DetectorSpec, *, source: str, seed: int = 0, force: bool = False
) -> Calibration:
    """Reads photos of a split through the preprocessing of training and prediction.

    Args:
        split: MAX_CALIBRATION_IMAGES of its images are drawn by the seed if it holds more.
        force: Go on with fewer than MIN_CALIBRATION_IMAGES.

    Raises:
        UserError: Too few usable images.
    """
    from nasfpn_lite.preprocess import fit_image

    order = np.random.default_rng(seed).permutation(len(split.images))
    images: list[np.ndarray] = []
    for index in order:
        if len(images) == MAX_CALIBRATION_IMAGES:
            break
        image = _read(split.images[index].path)
        if image is not None:
            images.append(fit_image(image, spec.image_size, spec.resize)[0])
    check_enough(len(images), source, force=force)
    return Calibration(np.stack(images), source, few=force)


def check_enough(count: int, source: str, *, force: bool) -> None:
    """Refuses calibration with few images, which gives ranges that the next photo leaves."""
    if count == 0 or (count < MIN_CALIBRATION_IMAGES and not force):
        raise UserError(
            f"calibration needs at least {MIN_CALIBRATION_IMAGES} images, got {count} from {source}; "
            "give a folder with more (--data), or go on at the price of accuracy with --few-images"
        )


def as_batches(images: np.ndarray) -> Sequence[np.ndarray]:
    """Returns the network's inputs, (1, H, W, 3) float32 each."""
    from nasfpn_lite.preprocess import normalise

    return [normalise(image)[None] for image in images]


def _read(path: Path) -> np.ndarray | None:
    from nasfpn_lite.preprocess import ImageError, read_image

    try:
        return read_image(path)
    except ImageError as error:
        logger.warning("left out of the calibration: %s", error)
        return None
