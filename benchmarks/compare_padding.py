"""Compares MobileNetV2's features under "same" padding with those under the padding its weights were trained with.

    python -m nasfpn_lite.benchmarks.compare_padding PHOTO... --size 320

Prints, for each way, the cosine similarity of C3, C4 and C5 with symmetric padding's, averaged over places. "moved"
takes into account that "same" padding samples 1, 2, 4, ... pixels further right and down at each stride: there the
reference sees the photo moved by 7, 15 and 31 pixels, so that what remains below 1 is the effect of the border alone.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

from nasfpn_lite.backbones.mobilenet_v2 import build_mobilenet_v2
from nasfpn_lite.backbones.pretrained import load_pretrained
from nasfpn_lite.cli.common import positive_int
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import normalise, read_image

STRIDES = {"C3": 8, "C4": 16, "C5": 32}
MARGIN = 31  # how far "same" padding moves C5
Features = dict[str, np.ndarray]


def build(size: int, *, symmetric: bool, bn_momentum: float = 0.9) -> keras.Model:
    """Returns the pretrained backbone of one kind of padding."""
    image = keras.Input((size, size, 3))
    taps = build_mobilenet_v2(
        keras, image, top_channels=None, expanded_c4=False, bn_momentum=bn_momentum, symmetric_padding=symmetric
    )
    model = keras.Model(image, taps)
    load_pretrained(model)
    return model


def features(model: keras.Model, images: np.ndarray) -> Features:
    """Returns the taps of a batch of photos."""
    parts = [model(images[i : i + 8], training=False) for i in range(0, len(images), 8)]
    return {tap: np.concatenate([keras.ops.convert_to_numpy(part[tap]) for part in parts]) for tap in STRIDES}


def flip_kernels(model: keras.Model) -> None:
    """Mirrors every 3x3 kernel left to right."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            layer.kernel.assign(keras.ops.flip(layer.kernel, axis=1))


def recalibrate(model: keras.Model, images: np.ndarray) -> None:
    """Replaces the batch norms' moving statistics by the photos' own, layer after layer in one forward pass."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    batches = [images[i : i + 16] for i in range(0, len(images), 16)]
    sums: list[Any] = [0.0] * (2 * len(norms))
    for batch in batches:
        for norm in norms:
            norm.momentum = 0.0
        model(batch, training=True)
        for i, norm in enumerate(norms):
            sums[2 * i] += keras.ops.convert_to_numpy(norm.moving_mean)
            sums[2 * i + 1] += keras.ops.convert_to_numpy(norm.moving_variance)
    for i, norm in enumerate(norms):
        norm.moving_mean.assign(sums[2 * i] / len(batches))
        norm.moving_variance.assign(sums[2 * i + 1] / len(batches))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the cosine similarity of two (B, h, w, channels) maps at each place."""
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def read_photos(paths: list[Path], size: int) -> np.ndarray:
    """Returns squares of `size` + MARGIN pixels, so that a photo can be moved by MARGIN without an edge."""
    photos = []
    for path in paths:
        photo = read_image(path)
        side = size + MARGIN
        scale = side / min(photo.shape[:2])
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:side, :side]
        photos.append(cv2.resize(photo, (side, side)))
    return normalise(np.stack(photos))


def compare(photos: np.ndarray, size: int) -> dict[str, Features]:
    """Returns way -> tap -> cosine similarity with symmetric padding at each place."""

    def crop(dy: int, dx: int) -> np.ndarray:
        return photos[:, dy : dy + size, dx : dx + size]

    symmetric, same = build(size, symmetric=True), build(size, symmetric=False)
    mirrored = build(size, symmetric=False)
    flip_kernels(mirrored)
    reference = features(symmetric, crop(0, 0))
    mirror_reference = {k: v[:, :, ::-1] for k, v in features(symmetric, crop(0, 0)[:, :, ::-1]).items()}

    def against(tested: Features, expected: Callable[[str], np.ndarray]) -> Features:
        return {tap: cosine(tested[tap], expected(tap)) for tap in STRIDES}

    plain, flipped = features(same, crop(0, 0)), features(mirrored, crop(0, 0))
    ways = {
        "symmetric of the photo mirrored": against(mirror_reference, reference.__getitem__),
        "symmetric of the photo moved": against(
            reference, lambda tap: features(symmetric, crop(STRIDES[tap] - 1, STRIDES[tap] - 1))[tap]
        ),
        "same": against(plain, reference.__getitem__),
        "same, moved": against(plain, lambda tap: features(symmetric, crop(STRIDES[tap] - 1, STRIDES[tap] - 1))[tap]),
        "same, mirrored kernels": against(flipped, mirror_reference.__getitem__),
        "same, mirrored kernels, moved": against(
            flipped,
            lambda tap: features(symmetric, crop(STRIDES[tap] - 1, 0)[:, :, ::-1])[tap][:, :, ::-1],
        ),
    }
    for name, model in (("same", same), ("symmetric", symmetric)):
        recalibrate(model, crop(0, 0))
        recalibrated = features(model, crop(0, 0))
        ways[f"{name}, statistics recomputed"] = against(recalibrated, reference.__getitem__)
    return ways


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--size", type=positive_int, default=320)
    try:
        _run(parser.parse_args(argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(args: argparse.Namespace) -> None:
    if args.size < 192 or args.size % 64:
        raise UserError(f"--size must be a multiple of 64 and at least 192, got {args.size}")
    ways = compare(read_photos(args.photos, args.size), args.size)
    print("| features | C3 | C4 | C5 | C5 inside | C5 at the border |\n|---|---|---|---|---|---|")
    for way, taps in ways.items():
        inside = taps["C5"][:, 2:-2, 2:-2].mean()
        edge = np.concatenate([taps["C5"][:, 0].ravel(), taps["C5"][:, -1].ravel()]).mean()
        means = [taps[tap].mean() for tap in STRIDES] + [inside, edge]
        print(f"| {way} | " + " | ".join(f"{value:.3f}" for value in means) + " |")


if __name__ == "__main__":
    sys.exit(main())
