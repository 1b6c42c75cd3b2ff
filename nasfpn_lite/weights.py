"""A model's weights as one .npz, keyed "layer/variable": portable between backends and Keras implementations."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.errors import UserError
from nasfpn_lite.files import write_bytes_atomically


def to_arrays(model: Any) -> dict[str, np.ndarray]:
    """Returns {"layer/variable": array} of a flat functional model."""
    return {key: np.array(variable) for key, variable in _variables(model).items()}


def set_arrays(model: Any, arrays: dict[str, np.ndarray], *, source: str = "the given arrays") -> None:
    """Puts arrays into the model.

    Raises:
        UserError: Names or shapes differ; the message names the first few. Nothing is changed then.
    """
    variables = _variables(model)
    missing, unknown = sorted(set(variables) - set(arrays)), sorted(set(arrays) - set(variables))
    wrong = [k for k in variables if k in arrays and tuple(variables[k].shape) != arrays[k].shape]
    if missing or unknown or wrong:
        raise UserError(
            f"{source} holds the weights of another model: {len(missing)} missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}, {len(wrong)} of another shape {wrong[:3]}; "
            "use the spec that the weights were trained with"
        )
    for key, variable in variables.items():
        variable.assign(arrays[key].astype(np.float32))


def save_weights(model: Any, path: Path) -> None:
    """Writes the model's weights to an .npz, whole or not at all."""
    save_arrays(to_arrays(model), path)


def load_weights(model: Any, path: Path) -> None:
    """Reads weights that `save_weights` wrote.

    Raises:
        UserError: The file is missing, damaged or of another model.
    """
    set_arrays(model, load_arrays(path), source=str(path))


def save_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Writes named arrays to an .npz, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes_atomically(path, buffer.getvalue())


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz.

    Raises:
        UserError: The file is missing, damaged or no .npz.
    """
    return parse_arrays(read_bytes(path), source=str(path))


def read_bytes(path: Path) -> bytes:
    """Reads a file of weights.

    Raises:
        UserError: It is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"expected weights in {path}, but there is no such file") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error}") from error


def parse_arrays(data: bytes, *, source: str) -> dict[str, np.ndarray]:
    """Returns all arrays of an .npz that was read.

    Raises:
        UserError: It is damaged or no .npz.
    """
    try:
        loaded = np.load(io.BytesIO(data))
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with loaded:
            return {key: loaded[key] for key in loaded.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{source} is damaged or no .npz file: {error}") from error


def variable_name(variable: Any) -> str:
    """Returns "kernel" for Keras 3's `kernel` and for tf_keras's `block_1_depthwise/depthwise_kernel:0` alike."""
    name = variable.name.split("/")[-1].split(":")[0]
    return "kernel" if name == "depthwise_kernel" else name


def _variables(model: Any) -> dict[str, Any]:
    return {f"{layer.name}/{variable_name(v)}": v for layer in model.layers for v in layer.weights}
