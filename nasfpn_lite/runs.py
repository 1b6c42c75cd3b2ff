"""The run folder: all that one training leaves behind, and reading it back."""

import importlib.metadata
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite import __version__
from nasfpn_lite.data.records import Category, category_dicts
from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_text_atomically
from nasfpn_lite.specs import DetectorSpec

SPEC_FILE, CATEGORIES_FILE, RECIPE_FILE = "spec.json", "categories.json", "recipe.json"
VERSIONS_FILE, LOG_FILE = "versions.json", "log.csv"
WEIGHTS_FILE, CHECKPOINT_FILE, SKIPPED_FILE = "weights.npz", "checkpoint.npz", "skipped.json"
_PACKAGES = (
    *("keras", "tensorflow", "tf_keras", "tensorflow-model-optimization", "jax", "numpy", "grain"),
    *("opencv-python-headless", "pycocotools", "ai-edge-litert"),
)


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        recipe: The content of recipe.json: {"variant", "preset", "seed", "data", "backbone_weights", "recipe": {...},
            "images", "backend"}.
    """

    folder: Path
    spec: DetectorSpec
    categories: tuple[Category, ...]
    recipe: dict[str, Any]

    def build_model(self) -> Any:
        """Builds the detector with the trained weights, as a Keras model."""
        from nasfpn_lite.detector import build_detector
        from nasfpn_lite.weights import load_weights

        model = build_detector(self.spec)
        load_weights(model, self.folder / WEIGHTS_FILE)
        return model


def load_run(folder: Path) -> Run:
    """Reads a run folder.

    Raises:
        UserError: It is none, or its training has not finished.
    """
    folder = Path(folder)
    if not (folder / SPEC_FILE).is_file():
        raise UserError(f"expected a run folder (with {SPEC_FILE}), got {folder}; `nasfpn-lite train -o RUN` makes one")
    if not (folder / WEIGHTS_FILE).is_file():
        raise UserError(f"the training in {folder} has not finished; go on with `nasfpn-lite train ... --resume`")
    return Run(
        folder=folder,
        spec=DetectorSpec.from_dict(read_json(folder / SPEC_FILE)),
        categories=tuple(Category(**entry) for entry in read_json(folder / CATEGORIES_FILE)),
        recipe=read_json(folder / RECIPE_FILE),
    )


def write_run_description(
    folder: Path, spec: DetectorSpec, categories: tuple[Category, ...], recipe: dict[str, Any]
) -> None:
    """Writes everything about a run that is known before it starts."""
    for name, data in (
        (SPEC_FILE, spec.to_dict()),
        (CATEGORIES_FILE, category_dicts(categories)),
        (RECIPE_FILE, recipe),
        (VERSIONS_FILE, collect_versions()),
    ):
        write_text_atomically(folder / name, json.dumps(data, indent=1) + "\n")


def collect_versions() -> dict[str, str]:
    """Returns versions of this package, of Python and of the installed packages that results depend on."""
    versions = {"nasfpn-lite": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run.

    Raises:
        UserError: The file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
