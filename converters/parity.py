"""Holds a .tflite against its reference, stage by stage on real images: where does what it computes drift away?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import all_tensors, make_interpreter
from nasfpn_lite.converters.metadata import Metadata, read_metadata
from nasfpn_lite.converters.parity_stages import Stage, find_sources, find_tensors, layer_of, list_stages
from nasfpn_lite.converters.parity_tolerances import tolerance_db
from nasfpn_lite.converters.qat_recipe import QAT_FOLDER, TRAINED_FILE
from nasfpn_lite.converters.recipes import get_recipe
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import normalise
from nasfpn_lite.runs import Run


@dataclass(frozen=True)
class StageParity:
    """What was measured at one stage.

    Attributes:
        snr_db: 10 log10(sum of reference**2 / sum of error**2) over all images; infinite where nothing differs, None
            where the file has no tensor for the stage.
        max_abs_error: The largest single error, in the units of the stage; None as above.
        fall_db: How much lower `snr_db` is than at the worst stage next before it: what is lost here, not before.
            None where there is no stage before, or as above.
        tolerance_db: The lowest `snr_db` that the file's recipe allows here.
    """

    stage: Stage
    snr_db: float | None
    max_abs_error: float | None
    fall_db: float | None
    tolerance_db: float

    @property
    def margin_db(self) -> float:
        """How far the stage is above its tolerance; minus infinity for one that is not in the file."""
        return -math.inf if self.snr_db is None else self.snr_db - self.tolerance_db

    @property
    def within(self) -> bool:
        """Whether the stage was found and is as exact as it has to be."""
        return self.margin_db >= 0.0


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
    def steepest(self) -> StageParity | None:
        """The stage that loses most against what it is computed from, whether or not that is tolerable."""
        falling = [entry for entry in self.stages if entry.fall_db is not None and entry.fall_db > 0.0]
        return max(falling, key=lambda entry: entry.fall_db or 0.0, default=None)

    @property
    def within(self) -> bool:
        """Whether every stage was found and is as exact as it has to be."""
        return all(entry.within for entry in self.stages)

    def verdict(self) -> str:
        """Says in a few sentences whether the file is within its tolerance, and where most is lost."""
        sentences = []
        if self.missing:
            names = ", ".join(stage.name for stage in self.missing)
            sentences.append(f"{len(self.missing)} of {len(self.stages)} stages are not in the file: {names}.")
        if self.collapse is not None:
            sentences.append(f"{self.recipe} leaves its tolerance first at {_describe(self.collapse)}.")
        if self.within:
            closest = min(self.stages, key=lambda entry: entry.margin_db)
            sentences.append(
                f"{self.recipe} is within its tolerance at all {len(self.stages)} stages; "
                f"closest to it is {_describe(closest)}."
            )
        if self.steepest is not None:
            after, fall = self.steepest.snr_db or 0.0, self.steepest.fall_db or 0.0
            sentences.append(
                f"The steepest fall is at {_name(self.steepest.stage)}: from {after + fall:.1f} to {after:.1f} dB."
            )
        return " ".join(sentences)


def _describe(entry: StageParity) -> str:
    return f"{_name(entry.stage)}: {entry.snr_db:.1f} dB, at least {entry.tolerance_db:.1f} dB asked for"


def _name(stage: Stage) -> str:
    return stage.words if stage.name in stage.words else f"{stage.words} ({stage.name})"


def measure_parity(source: Any, tflite_path: Path, images: np.ndarray) -> Parity:
    """Measures how far a .tflite is from the Keras model it was made of.

    Args:
        source: A `Run`, or a model of `build_detector`. Of a file that was trained on int8 grids the reference is what
            that training ended with, in float: its drift is the quantization's alone.
        images: (n, H, W, 3) uint8 RGB, already fitted to the network's size.

    Raises:
        UserError: The file is none of ours, or was made of another detector.
    """
    _, metadata, _ = _open(tflite_path)
    spec = metadata.spec
    if isinstance(source, Run):
        if source.spec != spec:
            raise UserError(f"expected a file made of {source.folder}, but {tflite_path} holds another detector")
        source = _build_reference(source, metadata.recipe, tflite_path)
    names = [stage.name for stage in list_stages(spec)]
    return compare(keras_activations(source, names, images), tflite_path, images)


def _build_reference(run: Run, recipe: str, tflite_path: Path) -> Any:
    """Builds the float network of a file: the run's own, or what a training on int8 grids made of it."""
    if not get_recipe(recipe).trained:
        return run.build_model()
    from nasfpn_lite.converters.networks import load_trained

    trained = tflite_path.parent / QAT_FOLDER / TRAINED_FILE
    if not trained.is_file():
        raise UserError(f"expected the weights of {tflite_path} in {trained}; leave it where `quantize` wrote it")
    return load_trained(run.spec, trained)[0]


def keras_activations(model: Any, names: Sequence[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns layer name -> (n, ...) float32 outputs of the layers of a Keras model.

    Args:
        images: (n, H, W, 3) uint8 RGB.
    """
    import keras

    present = {layer.name for layer in model.layers}
    parts = keras.Model(model.input, [model.get_layer(layer_of(name, present)).output for name in names])
    inputs = normalise(images)
    # One at a time: the early layers of many images would fill the memory.
    rows = [[keras.ops.convert_to_numpy(x) for x in parts(image[None], training=False)] for image in inputs]
    return {name: np.concatenate([row[index] for row in rows]) for index, name in enumerate(names)}


def compare(reference: dict[str, np.ndarray], tflite_path: Path, images: np.ndarray) -> Parity:
    """Holds a .tflite against activations from anywhere.

    Args:
        reference: Stage name -> (n, ...) float32, for every stage of `list_stages`.
        images: The (n, H, W, 3) uint8 images that the reference was computed from.

    Raises:
        UserError: The file is none of ours.
        ValueError: The reference lacks a stage or is of another number of images.
    """
    content, metadata, graph = _open(tflite_path)
    stages = list_stages(metadata.spec)
    _check_reference(reference, stages, len(images))
    shapes = {name: values.shape[1:] for name, values in reference.items()}
    folded = get_recipe(metadata.recipe).integer_activations
    places = find_tensors(graph, [stage.name for stage in stages], shapes, folded=folded)
    measured = _measure(content, places, reference, images)
    falls = _falls({name: snr for name, (snr, _) in measured.items()}, find_sources(graph, places))
    entries = []
    for stage in stages:
        snr_db, largest = measured.get(stage.name, (None, None))
        allowed = tolerance_db(metadata.recipe, stage.kind)
        entries.append(StageParity(stage, snr_db, largest, falls.get(stage.name), allowed))
    return Parity(metadata.recipe, len(images), tuple(entries))


def signal_to_noise(signal: float, noise: float) -> float:
    """Returns 10 log10(signal / noise) of two sums of squares; what is not a number counts as all noise."""
    if not (math.isfinite(signal) and math.isfinite(noise)):
        return -math.inf
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def _measure(
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


def _falls(snr_db: dict[str, float], sources: dict[str, tuple[str, ...]]) -> dict[str, float]:
    falls = {}
    for name, before in sources.items():
        worst = min((snr_db[source] for source in before), default=math.inf)
        if math.isfinite(worst) and math.isfinite(snr_db[name]):
            falls[name] = worst - snr_db[name]
    return falls


def _check_reference(reference: dict[str, np.ndarray], stages: Sequence[Stage], images: int) -> None:
    for stage in stages:
        if stage.name not in reference:
            raise ValueError(f"the reference lacks {stage.name}; it needs every stage of list_stages")
        if len(reference[stage.name]) != images:
            raise ValueError(f"expected {images} images at {stage.name}, got {len(reference[stage.name])}")


def _open(path: Path) -> tuple[bytes, Metadata, Graph]:
    try:
        content = Path(path).read_bytes()
        return content, read_metadata(content), Graph(content)
    except OSError as error:
        raise UserError(f"expected a .tflite file, but cannot read {path}: {error.strerror}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
