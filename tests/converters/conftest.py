"""A small trained-like detector and its .tflite files, converted once for all tests of this room."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasfpn_lite.converters.recipes import RECIPES
from nasfpn_lite.genotype import Genotype, MergingCell
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.specs import AnchorSpec, DetectorSpec, NeckSpec
from nasfpn_lite.variants import VARIANTS

# Anchors this small stay inside the image, so that cutting boxes before or after suppression makes no difference.
SMALL_ANCHORS = AnchorSpec(scale=0.4)
THRESHOLDS = PostprocessSpec(score_threshold=0.6, nms_iou=0.3, max_detections=40)


@dataclass(frozen=True)
class ConvertedDetector:
    """The Keras model, what it was converted with, and (recipe, form) -> file."""

    model: Any
    spec: DetectorSpec
    photos: np.ndarray
    files: dict[tuple[str, str], Path]


def make_small_spec() -> DetectorSpec:
    """64 x 128 pixels, three classes, one pyramid of 16 channels."""
    spec = VARIANTS["nasfpnlite_3x48"]
    neck = dataclasses.replace(spec.neck, width=16, repeats=1)
    return dataclasses.replace(spec, image_size=(64, 128), num_classes=3, neck=neck, anchors=SMALL_ANCHORS)


@pytest.fixture(scope="session")
def small_detector(tmp_path_factory: pytest.TempPathFactory) -> ConvertedDetector:
    from nasfpn_lite.converters.calibration import Calibration, make_synthetic_calibration
    from nasfpn_lite.converters.convert import Source, Target, convert_all
    from nasfpn_lite.data.records import Category

    spec = make_small_spec()
    photos = np.concatenate([make_synthetic_calibration(spec, seed=seed).images for seed in range(13)])
    model = _build_lively_model(spec, photos[:16])
    folder = tmp_path_factory.mktemp("converted")
    files = {(r, form): folder / f"{r}_{form}.tflite" for r in RECIPES for form in ("raw", "detect")}
    categories = (Category(2, "ant"), Category(5, "bee"), Category(9, "cow"))
    convert_all(
        Source.from_model(model, spec, categories),
        [Target(recipe, form, path) for (recipe, form), path in files.items()],
        calibration=Calibration(photos, "thirteen sets of patches"),
        thresholds=THRESHOLDS,
    )
    return ConvertedDetector(model, spec, photos, files)


@pytest.fixture(scope="session")
def small_exits(tmp_path_factory: pytest.TempPathFactory) -> ConvertedDetector:
    """Three pyramids of two cells and an exit after each; its raw files are those of the last exit."""
    from nasfpn_lite.converters.calibration import Calibration, make_synthetic_calibration
    from nasfpn_lite.converters.convert import Source, Target, convert_all
    from nasfpn_lite.data.records import Category

    spec = make_small_spec()
    cells = MergingCell(4, "attention", (0, 1)), MergingCell(3, "sum", (0, 2))
    neck = NeckSpec("nasfpn", 3, 4, width=16, repeats=3, genotype=Genotype(3, 4, cells))
    spec = dataclasses.replace(spec, neck=neck, exits=(1, 2, 3))
    photos = np.concatenate([make_synthetic_calibration(spec, seed=seed).images for seed in range(13)])
    model = _build_lively_model(spec, photos[:16])
    folder = tmp_path_factory.mktemp("exits")
    files = {(r, f): folder / f"{r}_{f}.tflite" for r in ("float32", "static_wi8_ai8") for f in ("raw", "exits")}
    convert_all(
        Source.from_model(model, spec, (Category(2, "ant"), Category(5, "bee"), Category(9, "cow"))),
        [Target(recipe, form, path) for (recipe, form), path in files.items()],
        calibration=Calibration(photos, "thirteen sets of patches"),
        thresholds=THRESHOLDS,
    )
    return ConvertedDetector(model, spec, photos, files)


def _build_lively_model(spec: DetectorSpec, photos: np.ndarray) -> Any:
    """ImageNet backbone, and random weights behind it whose scores differ from place to place.

    With a random backbone the smallest rounding would grow to noise, as it does in no trained network.
    """
    import keras

    from nasfpn_lite.backbones.pretrained import load_pretrained
    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.preprocess import normalise

    keras.utils.set_random_seed(7)
    model = build_detector(spec, bn_momentum=0.0, every_exit=True)
    for name in load_pretrained(model):
        model.get_layer(name).trainable = False  # keeps its statistics
    model(normalise(photos), training=True)
    layer = model.get_layer("head_class_predictor_pointwise")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * 40, np.full_like(bias, -2.0)])
    return model
