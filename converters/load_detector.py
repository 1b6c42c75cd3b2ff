"""The detector behind a path that a user names: a run folder or a .tflite file."""

from pathlib import Path

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
    from nasfpn_lite.converters.tflite_detector import TFLiteDetector

    return TFLiteDetector(path, threads=threads)


def find_seed(path: Path) -> int | None:
    """Returns the seed of a run, which also divided an `instances.json`; None for a file, which does not know it."""
    from nasfpn_lite.runs import load_run

    return int(load_run(path).recipe.get("seed", 0)) if Path(path).is_dir() else None
