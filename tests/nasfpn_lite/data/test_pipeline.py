"""The training pipeline: a batch depends on (seed, step, shard) and nothing else, and no broken file stops it."""

import itertools
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.data import pipeline
from nasfpn_lite.data.augment import AugmentSpec
from nasfpn_lite.data.pipeline import make_training_data
from nasfpn_lite.data.records import Category, ImageRecord, Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.targets import assign_targets
from nasfpn_lite.variants import get_spec

SPEC = get_spec("nasfpnlite_3x48", size="64x128", num_classes=3)
BOX = [8, 16, 40, 64]


def make_split(folder: Path, count: int, boxes: list[list[float]] | None = None) -> Split:
    """Writes images whose brightness is 10 times their number; box i has class i."""
    folder.mkdir(parents=True, exist_ok=True)
    array = np.array([BOX] if boxes is None else boxes, np.float32).reshape(-1, 4)
    records = []
    for number in range(count):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), np.full((96, 160, 3), number * 10, np.uint8))
        classes = np.arange(len(array), dtype=np.int32)
        crowd, areas = np.zeros(len(array), bool), np.ones(len(array))
        records.append(ImageRecord(number, path, 96, 160, array, classes, crowd, areas))
    return Split("train", tuple(records), tuple(Category(k, f"class {k}") for k in range(3)))


def make_data(split, **changes):
    values = {"batch_size": 4, "seed": 0, "augment": AugmentSpec(), "workers": 0} | changes
    return make_training_data(split, SPEC, **values)


def take(data, count, start=0):
    iterator = data.iterate(start)
    try:
        return list(itertools.islice(iterator, count))
    finally:
        iterator.close()


def assert_equal_batches(first, second):
    assert len(first) == len(second)
    for (images, targets), (other_images, other_targets) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        for name in ("class_logits", "box_encodings"):
            np.testing.assert_array_equal(targets[name], other_targets[name])


def numbers(images):
    """Reads the record numbers from the brightness of unaugmented images."""
    return [round((float(value) + 1) * 127.5 / 10) for value in images[:, 0, 0, 0]]


def test_a_batch_without_augmentation(tmp_path):
    data = make_data(make_split(tmp_path, 4), augment=None)
    images, targets = take(data, 1)[0]
    anchors = make_anchors(SPEC)
    assert images.shape == (4, 64, 128, 3)
    assert images.dtype == np.float32
    assert sorted(numbers(images)) == [0, 1, 2, 3]
    assert images[numbers(images).index(0)].max() == -1.0
    # (96, 160) is stretched to (64, 128): 2/3 and 4/5.
    scaled = np.array([[16 / 3, 12.8, 80 / 3, 51.2]], np.float32)
    labels, box_targets = assign_targets(scaled, np.array([0]), anchors)
    assert targets["class_logits"].dtype == np.int32
    assert targets["box_encodings"].dtype == np.float32
    assert targets["class_logits"].shape == (4, len(anchors))
    for k in range(4):
        np.testing.assert_array_equal(targets["class_logits"][k], labels)
        np.testing.assert_allclose(targets["box_encodings"][k], box_targets, atol=1e-5)
    assert (labels == 0).any()


def test_any_step_can_be_the_first(tmp_path):
    data = make_data(make_split(tmp_path, 9))
    batches = take(data, 9)
    assert_equal_batches(take(data, 2, start=7), batches[7:])
    assert_equal_batches(take(make_data(make_split(tmp_path, 9)), 1, start=8), batches[8:])


def test_mosaics_can_be_made_from_any_step_on(tmp_path):
    mosaics = AugmentSpec(mosaic=0.5)
    data = make_data(make_split(tmp_path, 9), augment=mosaics)
    batches = take(data, 9)
    assert_equal_batches(take(data, 2, start=7), batches[7:])
    assert_equal_batches(take(make_data(make_split(tmp_path, 9), augment=mosaics, workers=3), 9), batches)
    shards = [take(make_data(make_split(tmp_path, 9), augment=mosaics, batch_size=2, shard=(i, 2)), 1) for i in (0, 1)]
    for index in (0, 1):
        np.testing.assert_array_equal(shards[index][0][0], batches[0][0][2 * index : 2 * index + 2])


def test_mosaics_name_all_their_photos_and_leave_the_others_as_they_are(tmp_path):
    split = make_split(tmp_path, 12)
    plain, half, all_of_them = (make_data(split, augment=AugmentSpec(mosaic=share)) for share in (0, 0.5, 1))
    assert {len(all_of_them.files(step)) for step in range(6)} == {16}
    counts = [len(half.files(step)) for step in range(30)]
    assert set(counts) <= {4, 7, 10, 13, 16} and len(set(counts)) > 2
    same = [
        np.array_equal(a, b)
        for (images, _), (others, _) in zip(take(plain, 9), take(half, 9), strict=True)
        for a, b in zip(images, others, strict=True)
    ]
    assert 8 < sum(same) < 28
    greys = [len(np.unique(np.rint((image + 1) * 127.5 / 10))) for image in take(all_of_them, 1)[0][0]]
    assert max(greys) >= 3


@pytest.mark.parametrize("changes", [{"workers": 1}, {"workers": 4}, {"cache_bytes": 0}, {"cache_bytes": 100_000}])
def test_threads_and_cache_change_nothing(tmp_path, changes):
    split = make_split(tmp_path, 9)
    assert_equal_batches(take(make_data(split, **changes), 7), take(make_data(split), 7))


def test_seeds_differ_and_decide(tmp_path):
    split = make_split(tmp_path, 12)
    orders = {}
    for seed in (0, 1, 2**40):
        data, again = make_data(split, seed=seed), make_data(split, seed=seed)
        orders[seed] = [data.files(step) for step in range(6)]
        assert orders[seed] == [again.files(step) for step in range(6)]
    assert orders[0] != orders[1]
    assert orders[0][3:] != orders[1][:3]  # seed 1 is not seed 0 one epoch later
    images = [take(make_data(split, seed=seed), 1)[0][0] for seed in (0, 1)]
    assert not np.array_equal(*images)


def test_augmentation_differs_from_epoch_to_epoch(tmp_path):
    data = make_data(make_split(tmp_path, 1), batch_size=1)
    (first, _), (second, _) = take(data, 2)
    assert not np.array_equal(first, second)


def test_an_epoch_is_a_permutation_without_remainder(tmp_path):
    data = make_data(make_split(tmp_path, 10))
    assert data.steps_per_epoch == 2
    epochs = [[path for step in (2 * e, 2 * e + 1) for path in data.files(step)] for e in range(20)]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert len({path for epoch in epochs for path in epoch}) == 10  # the remainder is another one each time


def test_a_set_smaller_than_a_batch_is_repeated(tmp_path):
    data = make_data(make_split(tmp_path, 3), batch_size=8)
    assert data.steps_per_epoch == 1
    assert take(data, 1)[0][0].shape[0] == 8
    counts = [data.files(0).count(path) for path in set(data.files(0))]
    assert sorted(counts) == [2, 3, 3]


def test_files_names_the_batch(tmp_path):
    data = make_data(make_split(tmp_path, 9), augment=None)
    for step, (images, _) in enumerate(take(data, 5)):
        assert [int(path.stem) for path in data.files(step)] == numbers(images)


def test_shards_share_an_epoch(tmp_path):
    split = make_split(tmp_path, 13)
    shards = [make_data(split, batch_size=3, shard=(index, 2)) for index in range(2)]
    assert [shard.steps_per_epoch for shard in shards] == [2, 2]
    for epoch in range(3):
        files = [{p for step in (0, 1) for p in shard.files(2 * epoch + step)} for shard in shards]
        assert [len(f) for f in files] == [6, 6]
        assert not files[0] & files[1]


def test_shards_augment_differently(tmp_path):
    split = make_split(tmp_path, 1)
    first, second = (take(make_data(split, batch_size=1, shard=(index, 2)), 1)[0][0] for index in range(2))
    assert not np.array_equal(first, second)


def test_shards_make_up_the_unsharded_batch(tmp_path):
    split = make_split(tmp_path, 8)
    whole = take(make_data(split), 5)
    halves = [make_data(split, batch_size=2, shard=(index, 2)) for index in range(2)]
    for step, parts in enumerate(zip(*(take(half, 5) for half in halves), strict=True)):
        np.testing.assert_array_equal(whole[step][0], np.concatenate([images for images, _ in parts]))
        for name in ("class_logits", "box_encodings"):
            np.testing.assert_array_equal(whole[step][1][name], np.concatenate([t[name] for _, t in parts]))
    assert_equal_batches(take(halves[1].unsharded(), 5), whole)
    assert halves[1].unsharded().files(3) == halves[0].files(3) + halves[1].files(3)


@pytest.mark.parametrize("workers", [0, 3])
def test_unreadable_images_are_skipped_counted_and_named(tmp_path, caplog, workers):
    split = make_split(tmp_path, 6)
    (tmp_path / "2.png").write_bytes(b"no image")
    (tmp_path / "3.png").unlink()
    data = make_data(split, augment=None, batch_size=3, workers=workers)
    with caplog.at_level(logging.WARNING):
        batches = take(data, 6)
    seen = [numbers(images) for images, _ in batches]
    assert {n for batch in seen for n in batch} == {0, 1, 4, 5}
    assert sum(batch.count(4) for batch in seen[:2]) == 3  # itself, and for 2 and 3
    assert set(data.skipped) == {tmp_path / "2.png", tmp_path / "3.png"}
    assert all(path.name in reason for path, reason in data.skipped.items())
    assert sum("2.png" in message for message in caplog.messages) == 1
    assert sum("3.png" in message for message in caplog.messages) == 1
    assert [[int(path.stem) for path in data.files(step)] for step in range(6)] == seen
    assert_equal_batches(take(make_data(split, augment=None, batch_size=3), 2, start=4), batches[4:])


@pytest.mark.parametrize("workers", [0, 1])
def test_no_readable_image_is_an_error(tmp_path, workers):
    split = make_split(tmp_path, 2)
    for record in split.images:
        record.path.write_bytes(b"")
    with pytest.raises(UserError, match="none of the 2 training images"):
        take(make_data(split, workers=workers), 1)


def test_images_without_boxes_are_background(tmp_path):
    _, targets = take(make_data(make_split(tmp_path, 4, boxes=[])), 1)[0]
    assert (targets["class_logits"] == -1).all()
    assert not targets["box_encodings"].any()


def test_unusable_boxes_are_left_out(tmp_path):
    boxes = [BOX, [10, 10, 10, 30], [np.nan, 0, 10, 10], [500, 500, 600, 600]]
    _, targets = take(make_data(make_split(tmp_path, 4, boxes), augment=None), 1)[0]
    assert set(np.unique(targets["class_logits"])) == {-1, 0}
    assert np.isfinite(targets["box_encodings"]).all()


@pytest.mark.parametrize("augment", [None, AugmentSpec()])
def test_crowds_are_ignored(tmp_path, augment):
    split = make_split(tmp_path, 4, boxes=[[0, 0, 96, 160]])
    for record in split.images:
        record.crowd[:] = True
    _, targets = take(make_data(split, augment=augment), 1)[0]
    assert set(np.unique(targets["class_logits"])) == {-2, -1}
    assert not targets["box_encodings"].any()


def test_small_sets_are_decoded_once(tmp_path, monkeypatch):
    reads = []
    read_record = pipeline.read_record
    monkeypatch.setattr(pipeline, "read_record", lambda record: reads.append(record.id) or read_record(record))
    split = make_split(tmp_path, 4)
    take(make_data(split), 5)
    assert len(reads) == len(set(reads)) == 4
    reads.clear()
    take(make_data(split, cache_bytes=0), 5)
    assert len(reads) == 20


@pytest.mark.parametrize("changes", [{"batch_size": 0}, {"workers": -1}, {"shard": (2, 2)}, {"shard": (-1, 2)}])
def test_bad_numbers_are_refused(tmp_path, changes):
    with pytest.raises(UserError, match="got"):
        make_data(make_split(tmp_path, 1), **changes)


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(UserError, match="'train' has none"):
        make_data(make_split(tmp_path, 0))
