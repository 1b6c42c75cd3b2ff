"""Holds a .tflite against its reference, stage by stage on real images: where does what it computes drift away?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import all_tensors, make_interpreter
from nasfpn_lite.converters.metadata import read_metadata
from nasfpn_lite.converters.parity_stages import Stage, find_tensors, list_stages
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import normalise
from nasfpn_lite.runs import Run

_BATCH = 8


@dataclass(frozen=True)
class StageParity:
    """What was measured at one stage.

    Attributes:
        snr_db: 10 log10(sum of reference**2 / sum of error**2) over all images; infinite where nothing differs, None
            where the file has no tensor for the stage.
        max_abs_error: The largest single error, in the units of the stage; None as above.
        tolerance_db: The lowest `snr_db` that the file's recipe allows here.
    """

    stage: Stage
    snr_db: float | None
    max_abs_error: float | None
    tolerance_db: float

    @property
    def within(self) -> bool:
        """Whether the stage was found and is as exact as it has to be."""
        return self.snr_db is not None and self.snr_db >= self.tolerance_db


@dataclass(frozen=True)
class Parity:
    """A drift curve: the stages in an order in which each comes after all that it is computed from."""

    recipe: str
    images: int
    stages: tuple[StageParity, ...]

    @property
    def missing(self) -> tuple[Stage, ...]:
        """Stages that the file has no tensor for."""
        return tuple(entry.stage for entry in self.stages if entry.snr_db is None)

    @property
    def collapse(self) -> StageParity | None:
        """The first stage outside its tolerance."""
        return next((entry for entry in self.stages if entry.snr_db is not None and not entry.within), None)

    @property
    def within(self) -> bool:
        """Whether every stage was found and is as exact as it has to be."""
        return all(entry.within for entry in self.stages)

    def verdict(self) -> str:
        """Returns one or two sentences that say what is wrong and where, or that nothing is."""
        sentences = []
        if self.collapse is not None:
            first = self.collapse
            sentences.append(
                f"{self.recipe} leaves its tolerance first at {first.stage.words} ({first.stage.name}): "
                f"{_in_db(first.snr_db)}, at least {_in_db(first.tolerance_db)} is asked for."
            )
        if self.missing:
            names = ", ".join(stage.name for stage in self.missing)
            sentences.append(f"{len(self.missing)} of {len(self.stages)} stages are not in the file: {names}.")
        if not sentences:
            worst = min(self.stages, key=lambda entry: entry.snr_db - entry.tolerance_db if entry.snr_db else 0.0)
            sentences.append(
                f"{self.recipe} stays within its tolerance at all {len(self.stages)} stages; closest to it is "
                f"{worst.stage.words} with {_in_db(worst.snr_db)}, at least {_in_db(worst.tolerance_db)} is asked for."
            )
        return " ".join(sentences)


def measure_parity(source: Any, tflite_path: Path, images: np.ndarray) -> Parity:
    """Measures how far a .tflite is from the Keras model it was made of.

    Args:
        source: A `Run`, or a model of `build_detector`.
        images: (n, H, W, 3) uint8 RGB, already fitted to the network's size.

    Raises:
        UserError: The file is none of ours, or was made of another detector.
    """
    spec = read_metadata(_read(tflite_path)).spec
    if isinstance(source, Run):
        if source.spec != spec:
            raise UserError(f"expected a file made of {source.folder}, but {tflite_path} holds another detector")
        source = source.build_model()
    names = [stage.name for stage in list_stages(spec)]
    return compare(keras_activations(source, names, images), tflite_path, images)


def keras_activations(model: Any, names: Sequence[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns layer name -> (n, ...) float32 outputs of the layers of a Keras model.

    Args:
        images: (n, H, W, 3) uint8 RGB.
    """
    import keras

    parts = keras.Model(model.input, [model.get_layer(name).output for name in names])
    inputs = normalise(images)
    batches = [parts.predict_on_batch(inputs[first : first + _BATCH]) for first in range(0, len(inputs), _BATCH)]
    return {name: np.concatenate([batch[index] for batch in batches]) for index, name in enumerate(names)}


def compare(reference: dict[str, np.ndarray], tflite_path: Path, images: np.ndarray) -> Parity:
    """Holds a .tflite against activations from anywhere.

    Args:
        reference: Stage name -> (n, ...) float32, for every stage of `list_stages`.
        images: The (n, H, W, 3) uint8 images that the reference was computed from.

    Raises:
        UserError: The file is none of ours.
        ValueError: The reference lacks a stage or is of another number of images.
    """
    content = _read(tflite_path)
    try:
        metadata = read_metadata(content)
    except UserError as error:
        raise UserError(f"{tflite_path}: {error}") from error
    stages = list_stages(metadata.spec)
    _check_reference(reference, stages, len(images))
    shapes = {name: values.shape[1:] for name, values in reference.items()}
    places = find_tensors(Graph(content), [stage.name for stage in stages], shapes)
    sums = _sum_errors(content, places, reference, images)
    return Parity(
        metadata.recipe,
        len(images),
        tuple(
            StageParity(stage, *sums.get(stage.name, (None, None)), tolerance_db(metadata.recipe, stage.kind))
            for stage in stages
        ),
    )


def signal_to_noise(signal: float, noise: float) -> float:
    """Returns 10 log10(signal / noise) of two sums of squares; what is not a number counts as all noise."""
    if not (math.isfinite(signal) and math.isfinite(noise)):
        return -math.inf
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def _sum_errors(
    content: bytes, places: dict[str, int], reference: dict[str, np.ndarray], images: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Returns stage name -> (snr_db, max_abs_error)."""
    interpreter = make_interpreter(content, preserve_all_tensors=True)
    tensors = all_tensors(interpreter)
    image_tensor = tensors[int(interpreter.get_input_details()[0]["index"])]
    signal, noise, largest = (dict.fromkeys(places, 0.0) for _ in range(3))
    for number, image in enumerate(images):
        interpreter.set_tensor(image_tensor.index, image_tensor.quantize(normalise(image))[None])
        interpreter.invoke()
        for name, index in places.items():
            expected = reference[name][number].astype(np.float64)
            error = tensors[index].dequantize(interpreter.get_tensor(index))[0] - expected
            signal[name] += float(np.square(expected).sum())
            noise[name] += float(np.square(error).sum())
            largest[name] = max(largest[name], float(np.abs(error).max()))
    return {name: (signal_to_noise(signal[name], noise[name]), largest[name]) for name in places}


def tolerance_db(recipe, kind):
    return {"float32": 90.0, "float16":50.0, "dynamic_wi8_afp32":20.0,"static_wi8_ai8":10.0}[recipe]


def _check_reference(reference: dict[str, np.ndarray], stages: Sequence[Stage], images: int) -> None:
    for stage in stages:
        if stage.name not in reference:
            raise ValueError(f"the reference lacks {stage.name}; it needs every stage of list_stages")
        if len(reference[stage.name]) != images:
            raise ValueError(f"expected {images} images in the reference of {stage.name}, got {len(reference[stage.name])}")


def _read(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"expected a .tflite file, but cannot read {path}: {error.strerror}") from error


def _in_db(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.1f} dB"
