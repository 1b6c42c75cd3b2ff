"""The detector behind a path that a user names: a run folder or a .tflite file."""

from pathlib import Path

from nasfpn_lite.anytime import Anytime
from nasfpn_lite.converters.metadata import EXITS_FORM
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import Detector


def load_detector(path: Path, *, threads: int = 1) -> Detector:
    """Loads a run folder as a Keras model, or a .tflite file of ours into an interpreter.

    Args:
        threads: For a .tflite file; Keras takes what it wants.

    Raises:
        UserError: There is no such path, it is neither, or the run has not finished.
    """
    path = Path(path)
    if path.is_dir():
        # Keras is heavy, and a machine that only runs .tflite files has none.
        from nasfpn_lite.keras_detector import KerasDetector
        from nasfpn_lite.runs import load_run

        run = load_run(path)
        return KerasDetector(run.build_model(), run.spec, run.categories)
    if not path.is_file():
        raise UserError(f"expected a run folder or a .tflite file, but there is no {path}")
    if _form(path) == EXITS_FORM:
        return load_anytime(path, threads=threads)
    from nasfpn_lite.converters.tflite_detector import TFLiteDetector

    return TFLiteDetector(path, threads=threads)


def load_anytime(path: Path, *, threads: int = 1) -> Anytime:
    """Loads the exits of a run, as Keras models, or of a .tflite file of several.

    Raises:
        UserError: There is no such path, or it has no exits.
    """
    path = Path(path)
    if path.is_dir():
        from nasfpn_lite.keras_exits import KerasExits
        from nasfpn_lite.runs import load_run

        return Anytime(KerasExits.from_run(load_run(path)))
    from nasfpn_lite.converters.tflite_anytime import AnytimeDetector

    return AnytimeDetector(path, threads=threads)


def _form(path: Path) -> str | None:
    from nasfpn_lite.converters.metadata import read_metadata

    try:
        return read_metadata(path.read_bytes()).form
    except UserError:
        return None  # whoever loads it says what is wrong


def find_seed(path: Path) -> int | None:
    """Returns the training seed of a run or a file, which also divided a lone `instances.json`; None if unknown.

    Raises:
        UserError: The path leads to something else.
    """
    path = Path(path)
    if path.is_dir():
        from nasfpn_lite.runs import load_run

        return int(load_run(path).recipe.get("seed", 0))
    from nasfpn_lite.converters.metadata import read_metadata

    if not path.is_file():
        return None
    try:
        return read_metadata(path.read_bytes()).split_seed
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
