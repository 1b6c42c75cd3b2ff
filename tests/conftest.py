"""Fixtures that every test may use."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with datasets of real photos and peer models, beside the checkout; nothing in the package needs it."""
    folder = Path(os.environ.get("NASFPN_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "datasets").is_dir():
        pytest.skip("real photos are not here")
    return folder


@pytest.fixture(scope="session")
def find_peer(shared_dir: Path) -> Callable[[str], Path]:
    """Finds another project's .tflite by its name, or skips the test."""

    def find(name: str) -> Path:
        path = shared_dir / "peers" / name
        if not path.is_file():
            pytest.skip(f"the peer {name} is not here")
        return path

    return find


@pytest.fixture(scope="session")
def tiny_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO folder of made-up photos, 96 x 128: two classes, a bright box each; 6 train, 2 val, 2 test images.

    Category ids have a gap (1 and 7), as real ones do.
    """
    folder = tmp_path_factory.mktemp("tiny_coco")
    for first_id, (split, count) in zip((1, 101, 201), (("train", 6), ("val", 2), ("test", 2)), strict=True):
        _write_split(folder, split, range(first_id, first_id + count))
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a network that never saw a photo but finds much, with the classes of `tiny_coco`; seed 5."""
    import keras

    from nasfpn_lite.data.records import Category
    from nasfpn_lite.detector import build_detector
    from nasfpn_lite.runs import WEIGHTS_FILE, write_run_description
    from nasfpn_lite.variants import get_spec
    from nasfpn_lite.weights import save_arrays, to_arrays

    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(5)  # what a network of random weights finds is luck: here the same in every order
    spec = get_spec("fpnlite_64", size="64x128", num_classes=2)
    write_run_description(folder, spec, (Category(1, "blue"), Category(7, "red")), {"seed": 5})
    arrays = to_arrays(build_detector(spec))
    arrays["head_class_predictor_pointwise/bias"][:] = -0.5
    save_arrays(arrays, folder / WEIGHTS_FILE)
    return folder


def _write_split(folder: Path, split: str, image_ids: range) -> None:
    height, width, side = 96, 128, 40
    images, annotations = [], []
    (folder / split).mkdir()
    for image_id in image_ids:
        rng = np.random.default_rng(image_id)
        photo = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
        x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        second = image_id % 2 == 0
        photo[y : y + side, x : x + side] = (30, 30, 250) if second else (250, 200, 30)
        name = f"{image_id:03}.png"
        cv2.imwrite(str(folder / split / name), photo)
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        box = {"bbox": [x, y, side, side], "area": side * side, "iscrowd": 0, "category_id": 7 if second else 1}
        annotations.append({"id": image_id, "image_id": image_id, **box})
    categories = [{"id": 1, "name": "blue"}, {"id": 7, "name": "red"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (folder / f"instances_{split}.json").write_text(json.dumps(data), encoding="utf-8")
