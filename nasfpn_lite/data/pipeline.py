"""Training batches: read, augment, match to anchors, batch. Any batch can be made from its number alone."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import grain
import numpy as np

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.data.augment import AugmentSpec, augment, keep_visible, reduce_image
from nasfpn_lite.data.coco import read_record
from nasfpn_lite.data.mosaic import PHOTOS, Photo, make_mosaic
from nasfpn_lite.data.records import ImageRecord, Split
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import ImageError, fit_image, normalise
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.targets import IGNORED, assign_targets

Example = tuple[np.ndarray, np.ndarray, np.ndarray]
Batch = tuple[np.ndarray, dict[str, np.ndarray]]
Numbers = tuple[int, ...]  # of the records that make up one training image

DEFAULT_CACHE_BYTES = 2**30
PREFETCHED_BATCHES_PER_WORKER = 2

logger = logging.getLogger(__name__)


def make_training_data(  # noqa: PLR0913
    split: Split,
    spec: DetectorSpec,
    *,
    batch_size: int,
    seed: int,
    augment: AugmentSpec | None,
    shard: tuple[int, int] = (0, 1),
    workers: int = 1,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
) -> "TrainingData":
    """Makes the training batches of a split.

    Args:
        batch_size: Images per batch of this process.
        seed: Decides order and augmentation.
        augment: None only fits the images to the network, as prediction does.
        shard: (index, count) of this process; all processes pass the same seed and batch size.
        workers: Threads that make batches ahead; 0 makes them when asked. The batches are the same.
        cache_bytes: Decoded and reduced images are kept in memory up to this size; 0 for none.

    Raises:
        UserError: The split has no images, or a number is out of range.
    """
    index, count = shard
    if not split.images:
        raise UserError(f"training needs at least one image, the split {split.name!r} has none")
    if batch_size < 1 or workers < 0 or not 0 <= index < count:
        raise UserError(
            "expected batch_size >= 1, workers >= 0 and shard (index, count) with 0 <= index < count, "
            f"got {batch_size}, {workers} and {shard}"
        )
    loader = _Loader(split.images, spec, augment, cache_bytes)
    return TrainingData(loader, batch_size=batch_size, seed=seed, shard=shard, workers=workers)


class TrainingData:
    """Endless, repeatable training batches; batch s is a function of (seed, s, shard) alone.

    A checkpoint of the input is the number of the next step: `iterate(start_step=s)` goes on from there. The shards'
    batches of a step, one after another, are the batch that a single process would see, image for image.

    Each epoch is a new permutation of the images, cut to whole batches over all shards. A set smaller than that is
    repeated until it fills one step.

    Attributes:
        batch_size: Images per batch of this process.
        steps_per_epoch: Batches per epoch and process, at least 1.
    """

    def __init__(self, loader: "_Loader", *, batch_size: int, seed: int, shard: tuple[int, int], workers: int) -> None:
        index, count = shard
        images = len(loader.images)
        global_batch = batch_size * count
        self.batch_size = batch_size
        self.steps_per_epoch = max(images // global_batch, 1)
        self._loader = loader
        self._workers = workers
        self._seed, self._count = seed, count
        # Grain numbers its epochs' seeds upwards from one seed: unmixed, seed 1 would be seed 0 one epoch later.
        order_seed, rng_seed, choice_seed = np.random.SeedSequence(seed).generate_state(3).tolist()
        order = grain.MapDataset.range(images).shuffle(seed=order_seed).repeat(-(-global_batch // images))
        chosen = order.random_map(loader.choose, seed=choice_seed)

        def batches(records: grain.MapDataset) -> grain.MapDataset:
            whole = records[: self.steps_per_epoch * global_batch]
            return whole.batch(batch_size, batch_fn=list)[index::count].repeat()

        self._numbers = batches(chosen)
        # Before the cut into shards, so that the generator of an image comes from its place among all shards' images.
        self._batches = batches(chosen.random_map(loader.make_example, seed=rng_seed)).map(_to_batch)

    def iterate(self, start_step: int = 0) -> Iterator[Batch]:
        """Yields batches from a step on, without end.

        Yields:
            images (B, H, W, 3) float32 in -1..1, and targets for the model's outputs: "class_logits" (B, N) int32
            labels and "box_encodings" (B, N, 5) float32, both as `assign_targets` makes them.
        """
        options = grain.ReadOptions(
            num_threads=self._workers, prefetch_buffer_size=self._workers * PREFETCHED_BATCHES_PER_WORKER
        )
        iterator = iter(self._batches.to_iter_dataset(options))
        iterator.set_state({"next_index": start_step})
        try:
            yield from iterator
        finally:
            iterator.close()

    def unsharded(self) -> "TrainingData":
        """Returns the batches of all shards together, as a single process would see them."""
        if self._count == 1:
            return self
        size = self.batch_size * self._count
        return TrainingData(self._loader, batch_size=size, seed=self._seed, shard=(0, 1), workers=self._workers)

    def files(self, step: int) -> list[Path]:
        """Returns the image files of a batch without reading them; a skipped file's stand-in where it is known."""
        numbers = [number for chosen in self._numbers[step] for number in chosen]
        return [self._loader.images[self._loader.stand_in(number)].path for number in numbers]

    @property
    def skipped(self) -> dict[Path, str]:
        """The files that could not be read so far, and why. Each time, the next readable image takes the place."""
        return dict(self._loader.skipped)


class _Loader:
    """Makes training examples of record numbers; remembers decoded images and unreadable files."""

    def __init__(
        self,
        images: tuple[ImageRecord, ...],
        spec: DetectorSpec,
        augment: AugmentSpec | None,
        cache_bytes: int,
    ) -> None:
        self.images = images
        self.skipped: dict[Path, str] = {}
        self._spec = spec
        self._augment = augment
        self._anchors = make_anchors(spec)
        self._cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._free_bytes = cache_bytes
        self._lock = threading.Lock()

    def choose(self, number: int, rng: np.random.Generator) -> Numbers:
        """Returns the record itself, or for a mosaic three others with it."""
        if self._augment is None or not rng.random() < self._augment.mosaic:
            return (number,)
        return (number, *rng.integers(len(self.images), size=PHOTOS - 1).tolist())

    def make_example(self, numbers: Numbers, rng: np.random.Generator) -> Example:
        """Returns image (H, W, 3) uint8, labels (N,) and box targets (N, 5) of one record or of a mosaic of four."""
        photos = [self._load_photo(number) for number in numbers]
        image, boxes, classes = photos[0]
        size = self._spec.image_size
        if self._augment is None:
            boxes, classes = keep_visible(boxes, classes, size)
        elif len(photos) > 1:
            image, boxes, classes = make_mosaic(photos, self._augment, size, self._spec.resize, rng)
        else:
            image, boxes, classes = augment(image, boxes, classes, self._augment, size, self._spec.resize, rng)
        crowd = classes < 0
        return image, *assign_targets(boxes[~crowd], classes[~crowd], self._anchors, boxes[crowd])

    def _load_photo(self, number: int) -> Photo:
        """Returns a record's or its stand-in's image, boxes in its pixels, and classes, IGNORED for a crowd."""
        number, image, scale = self._load_readable(number)
        record = self.images[number]
        boxes = record.boxes_yxyx.reshape(-1, 4) * np.tile(scale, 2).astype(np.float32)
        classes = np.where(record.crowd, IGNORED, record.classes).astype(np.int32)
        return image, boxes, classes

    def stand_in(self, number: int) -> int:
        """Returns the first record from `number` on, around the end, that is not known to be unreadable."""
        for step in range(len(self.images)):
            candidate = (number + step) % len(self.images)
            if self.images[candidate].path not in self.skipped:
                return candidate
        first, reason = next(iter(self.skipped.items()))
        raise UserError(f"none of the {len(self.images)} training images can be read; the first: {first}: {reason}")

    def _load_readable(self, number: int) -> tuple[int, np.ndarray, np.ndarray]:
        while True:
            number = self.stand_in(number)
            try:
                return number, *self._load(number)
            except ImageError as error:
                self._skip(self.images[number].path, str(error))

    def _skip(self, path: Path, reason: str) -> None:
        with self._lock:
            known = path in self.skipped
            self.skipped[path] = reason
        if not known:
            logger.warning("skipping an unreadable training image: %s", reason)

    def _load(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the image fitted or reduced to what augmentation needs, and its (scale_y, scale_x)."""
        if number in self._cache:
            return self._cache[number]
        original = read_record(self.images[number])
        if self._augment is None:
            image, fitted = fit_image(original, self._spec.image_size, self._spec.resize)
            scale = np.array(fitted)
        else:
            image = reduce_image(original, self._augment, self._spec.image_size, self._spec.resize)
            scale = np.array(image.shape[:2]) / original.shape[:2]
        with self._lock:
            if number not in self._cache and image.nbytes <= self._free_bytes:
                self._cache[number] = image, scale
                self._free_bytes -= image.nbytes
        return image, scale


def _to_batch(examples: list[Example]) -> Batch:
    images, labels, box_targets = (np.stack(parts) for parts in zip(*examples, strict=True))
    return normalise(images), {"class_logits": labels, "box_encodings": box_targets}
