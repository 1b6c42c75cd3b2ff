"""The made photos: the same for a seed, another for another, and labelled correctly."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from nasfpn_lite.benchmarks.demo_set import make_demo_set, make_scene, write_photo
from nasfpn_lite.benchmarks.demo_sprites import KINDS
from nasfpn_lite.data.coco import load_split


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.*")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_demo_set(tmp_path_factory.mktemp("demo"), train=6, val=2, test=3)


def test_same_seed_same_bytes(folder, tmp_path):
    assert _hash(make_demo_set(tmp_path / "again", train=6, val=2, test=3)) == _hash(folder)
    assert _hash(make_demo_set(tmp_path / "other", seed=1, train=6, val=2, test=3)) != _hash(folder)


def test_a_larger_set_begins_with_the_smaller(folder, tmp_path):
    larger = make_demo_set(tmp_path / "larger", train=7, val=0, test=0)
    assert (larger / "train/train_0005.jpg").read_bytes() == (folder / "train/train_0005.jpg").read_bytes()


def test_splits_share_no_photo(folder):
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*.jpg")]
    assert len(digests) == len(set(digests)) == 11


def test_it_is_a_coco_folder(folder):
    split = load_split(folder, "test")
    assert [category.name for category in split.categories] == ["leaf", "mug", "key", "coin", "cookie"]
    assert len(split.images) == 3
    document = json.loads((folder / "instances_train.json").read_text())
    ids = [annotation["id"] for annotation in document["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    for image in document["images"]:
        assert cv2.imread(str(folder / "train" / image["file_name"])).shape[:2] == (image["height"], image["width"])


@pytest.mark.parametrize("seed", range(4))
def test_boxes_lie_in_the_photo_and_fit_their_kind(seed):
    scene = make_scene(np.random.default_rng(seed))
    height, width = scene.image.shape[:2]
    assert height != width
    assert len(scene.boxes_yxyx) == len(scene.classes) >= 1
    for box, kind in zip(scene.boxes_yxyx, scene.classes, strict=True):
        assert 0 <= box[0] < box[2] <= height
        assert 0 <= box[1] < box[3] <= width
        assert 12 <= max(box[2] - box[0], box[3] - box[1]) <= KINDS[kind].size_px[1] * 1.2


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_box_reaches_where_its_thing_ends(kind):
    sprite = kind.draw(np.random.default_rng(3), 80.0, 0.4, (0.6, 0.8))
    rows = np.flatnonzero((sprite.alpha > 0.5).any(axis=1))
    assert 35 <= rows[-1] - rows[0] + 1 <= 84
    assert sprite.alpha[0].max() == sprite.alpha[:, -1].max() == 0  # nothing is cut off at the sprite's edge
    assert sprite.rgb.shape == (*sprite.alpha.shape, 3)
    assert 0 <= sprite.rgb.min() <= sprite.rgb.max() <= 1


def test_photo_of_a_given_size(tmp_path):
    path = write_photo(tmp_path / "photo.jpg", size=(120, 200), seed=5)
    assert cv2.imread(str(path)).shape == (120, 200, 3)
