"""Accuracy of a .tflite on a phone: it runs there, on photos prepared here, and is scored here as on the host."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.converters.stored_tensors import Difference
    from nasfpn_lite.converters.tflite_detector import PreparedPhoto, TFLiteDetector
    from nasfpn_lite.data.records import ImageRecord, Split
    from nasfpn_lite.evaluate import Evaluation

BATCH_BYTES = 64 * 2**20  # of inputs and outputs that lie on the phone at once

Progress = Callable[[int, int], None]


class EvalError(UserError):
    """A phone's outputs are not those of the file."""


class Model(Protocol):
    """Whatever runs the file elsewhere; see `phone_model.PhoneModel`."""

    def run(self, inputs: Sequence[bytes]) -> list[dict[str, bytes]]:
        """Returns the outputs of each input, by name."""
        ...


@dataclass(frozen=True)
class DeviceEvaluation:
    """How good a file is on a phone, beside the same file here.

    Attributes:
        phone, host: The seconds of the phone are those of transfers and runs, those of the host of runs alone.
        differences: Of each output, over all images.
        images_apart: How many images have an output that is not the same to the last bit.
    """

    phone: "Evaluation"
    host: "Evaluation"
    differences: tuple["Difference", ...]
    images_apart: int


def evaluate_on_phone(
    detector: "TFLiteDetector",
    split: "Split",
    model: Model,
    *,
    batch_bytes: int = BATCH_BYTES,
    progress: Progress | None = None,
) -> DeviceEvaluation:
    """Runs the file on the phone and here on every image of a split, and scores both.

    Args:
        detector: The file here: it prepares photos, decodes outputs and gives those that the phone's are held against.
        model: The same file on the phone.
        batch_bytes: Bound of the inputs and outputs that lie on the phone, and here on disk, at once.
        progress: Called with (images done, all images) after every batch.

    Raises:
        UserError: The detector lacks a class of the split, or an image cannot be read.
        EvalError: The phone's outputs are not those of the file.
        AdbError: The phone went away or cannot run the file.
    """
    from nasfpn_lite.converters.stored_tensors import join_differences
    from nasfpn_lite.data.coco import read_record
    from nasfpn_lite.evaluate import match_classes, score

    run = _Run(detector, match_classes(detector.categories, split.categories))
    done = 0
    for records in _batches(split.images, _images_per_batch(detector, batch_bytes)):
        run.take(records, [detector.prepare(read_record(record)) for record in records], model)
        done += len(records)
        if progress is not None:
            progress(done, len(split.images))
    differences = join_differences(run.differences)
    return DeviceEvaluation(
        phone=score(split, run.found["phone"], seconds=run.seconds["phone"]),
        host=score(split, run.found["host"], seconds=run.seconds["host"]),
        differences=tuple(differences.values()),
        images_apart=sum(any(item.share > 0 for item in image.values()) for image in run.differences),
    )


class _Run:
    """What grows batch by batch."""

    def __init__(self, detector: "TFLiteDetector", class_ids: list[int | None]) -> None:
        self._detector, self._class_ids = detector, class_ids
        self.found: dict[str, list[dict[str, Any]]] = {"phone": [], "host": []}
        self.seconds = {"phone": 0.0, "host": 0.0}
        self.differences: list[dict[str, Difference]] = []

    def take(self, records: Sequence["ImageRecord"], photos: Sequence["PreparedPhoto"], model: Model) -> None:
        from nasfpn_lite.converters.stored_tensors import compare_stored, write_stored

        there = self._timed("phone", lambda: model.run([write_stored(photo.encoded) for photo in photos]))
        here = self._timed("host", lambda: [self._detector.run_stored(photo.encoded) for photo in photos])
        for record, photo, data, host in zip(records, photos, there, here, strict=True):
            phone = read_outputs(self._detector, data)
            self.differences.append(compare_stored(self._detector.outputs, phone, host))
            for name, outputs in (("phone", phone), ("host", host)):
                self._add(name, record, self._detector.finish(photo, outputs))

    def _add(self, name: str, record: "ImageRecord", detections: Any) -> None:
        from nasfpn_lite.evaluate import to_coco_results

        self.found[name] += to_coco_results(record.id, detections, self._class_ids)

    def _timed(self, name: str, call: Callable[[], list[Any]]) -> list[Any]:
        start = time.perf_counter()
        result = call()
        self.seconds[name] += time.perf_counter() - start
        return result


def read_outputs(detector: "TFLiteDetector", data: dict[str, bytes]) -> dict[str, Any]:
    """Returns one image's outputs as arrays of the file's own types.

    Raises:
        EvalError: There are others than the file has, or one is of another size.
    """
    from nasfpn_lite.converters.stored_tensors import read_stored

    expected = detector.outputs
    if set(data) != set(expected):
        raise EvalError(f"expected the outputs {sorted(expected)} from the phone, got {sorted(data)}")
    try:
        return {name: read_stored(tensor, data[name]) for name, tensor in expected.items()}
    except UserError as error:
        raise EvalError(f"the phone gave something else than the file's outputs: {error}") from error


def _images_per_batch(detector: "TFLiteDetector", batch_bytes: int) -> int:
    tensors = (detector.input, *detector.outputs.values())
    return max(1, batch_bytes // sum(tensor.size_bytes for tensor in tensors))


def _batches(records: Sequence["ImageRecord"], size: int) -> Iterator[Sequence["ImageRecord"]]:
    for first in range(0, len(records), size):
        yield records[first : first + size]
