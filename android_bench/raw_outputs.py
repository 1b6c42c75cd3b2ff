"""What the project's own runner writes when it runs a model on a folder of inputs: one file of raw bytes an output."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfpn_lite.errors import UserError

INDEX = "outputs.json"  # written last


class RawOutputError(UserError):
    """Outputs that are not whole."""


@dataclass(frozen=True)
class RawTensor:
    """One output of all runs.

    Attributes:
        name: In the model's signature.
        dtype: NumPy's name of the type, in the byte order of the machine that ran it (little-endian on phones).
        shape: Of one run.
        size_bytes: Of one run.
    """

    name: str
    path: Path
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int

    def read(self, run: int) -> bytes:
        """Returns the bytes of one run, counted from 0 in the order of the inputs' names."""
        with self.path.open("rb") as file:
            file.seek(run * self.size_bytes)
            return file.read(self.size_bytes)


@dataclass(frozen=True)
class RawOutputs:
    """All outputs of all runs.

    Attributes:
        inputs: File names, in the order of the runs.
        tensors: By name.
    """

    inputs: tuple[str, ...]
    tensors: dict[str, RawTensor]


def read_raw_outputs(folder: Path) -> RawOutputs:
    """Reads a folder that the runner wrote.

    Raises:
        RawOutputError: The runner did not come to its end, or a file was cut on its way.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        inputs = tuple(index["inputs"])
        tensors = [_read_tensor(folder, entry) for entry in index["outputs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RawOutputError(f"expected the runner's {INDEX} in {folder}, got none that is whole: {error}") from error
    for tensor in tensors:
        size_bytes = tensor.path.stat().st_size if tensor.path.is_file() else 0
        if size_bytes != len(inputs) * tensor.size_bytes:
            raise RawOutputError(
                f"expected {len(inputs)} x {tensor.size_bytes} bytes in {tensor.path}, got {size_bytes}: run it again"
            )
    return RawOutputs(inputs, {tensor.name: tensor for tensor in tensors})


def _read_tensor(folder: Path, entry: dict[str, Any]) -> RawTensor:
    name = Path(entry["file"]).name  # what a phone says is not to lead out of the folder
    return RawTensor(entry["name"], folder / name, entry["dtype"], tuple(entry["shape"]), int(entry["size_bytes"]))
