"""The one place that imports a TFLite interpreter or TensorFlow's converter: either can be swapped here alone."""

import importlib
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfpn_lite.errors import UserError

SIGNATURE = "serving_default"
_INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
# The levels of an image lie halfway between two quantization steps; what float arithmetic misses by must not decide.
_TIE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    Attributes:
        index: What `set_tensor` and `get_tensor` of the interpreter take.
        scale: Real value of one quantization step; 0.0 for a tensor that is not quantized.
        zero_point: Quantized value of 0.0.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float
    zero_point: int

    @property
    def size_bytes(self) -> int:
        """Returns the size of its values."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Turns real values into the tensor's own type; out of range is held at the ends, ties go up."""
        if self.scale == 0.0:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.floor(values / self.scale + (0.5 + _TIE_TOLERANCE)) + self.zero_point
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, values: np.ndarray) -> np.ndarray:
        """Turns values of the tensor's own type into float32."""
        if self.scale == 0.0:
            return values.astype(np.float32)
        return (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


def make_interpreter(model: Path | str | bytes, *, threads: int = 1, preserve_all_tensors: bool = False) -> Any:
    """Loads a .tflite and allocates its tensors.

    Args:
        preserve_all_tensors: Keep what every operator computes, so that `get_tensor` may read it after a run. XNNPACK
            still runs the operators, each by itself.

    Raises:
        UserError: No such file, no TFLite model, or no interpreter is installed.
    """
    if isinstance(model, bytes):
        content, name = model, "the model"
    else:
        content, name = _read(Path(model)), str(model)
    interpreter_class = _find_interpreter()
    try:
        with _quiet_stderr(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors", UserWarning)  # takes more memory
            options = {"experimental_preserve_all_tensors": True} if preserve_all_tensors else {}
            interpreter = interpreter_class(model_content=content, num_threads=threads, **options)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{name} cannot be loaded as a TFLite model: {error}") from error
    return interpreter


def signature_tensors(interpreter: Any, signature: str = SIGNATURE) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns inputs and outputs by their names in a signature: the order inside the file plays no part.

    Raises:
        UserError: The model has no such signature, or a damaged one.
    """
    names = list(interpreter.get_signature_list())
    if signature not in names:
        raise UserError(f"expected a model with the signature {signature!r}, got {names or 'none'}")
    runner = interpreter.get_signature_runner(signature)
    try:
        inputs = {name: _tensor(name, detail) for name, detail in runner.get_input_details().items()}
        outputs = {name: _tensor(name, detail) for name, detail in runner.get_output_details().items()}
    except ValueError as error:  # it points to tensors that are not there
        raise UserError(f"the signature {signature!r} is damaged: {error}; convert the file again") from error
    return inputs, outputs


def all_tensors(interpreter: Any) -> dict[int, Tensor]:
    """Returns every tensor by its index, which is also its place in the file."""
    return {int(detail["index"]): _tensor(detail["name"], detail) for detail in interpreter.get_tensor_details()}


def time_interleaved(paths: Sequence[Path], *, rounds: int = 15, runs: int = 3) -> list[float]:
    """Returns the median latency of each file in ms, on one thread and an input of zeros.

    Every file is run in every round, and the time is that of the processor: what other programs take is not in it.
    """
    interpreters = [make_interpreter(path) for path in paths]
    times: list[list[float]] = [[] for _ in paths]
    for _ in range(rounds):
        for interpreter, measured in zip(interpreters, times, strict=True):
            interpreter.invoke()  # the others have used the caches
            for _ in range(runs):
                start = time.thread_time()
                interpreter.invoke()
                measured.append((time.thread_time() - start) * 1e3)
    return [float(np.median(measured)) for measured in times]


def load_converter() -> Any:
    """Returns TensorFlow's module with the TFLite converter, its chatter silenced.

    Raises:
        UserError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        tensorflow = importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        raise UserError('conversion needs TensorFlow; install it with: pip install "nasfpn-lite[train]"') from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow.lite


def _tensor(name: str, detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        name=name,
        index=int(detail["index"]),
        shape=tuple(int(side) for side in detail["shape"]),
        dtype=np.dtype(detail["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"expected a .tflite file, but cannot read {path}: {error.strerror}") from error


def _find_interpreter() -> Any:
    for module in _INTERPRETERS:
        try:
            return importlib.import_module(module).Interpreter
        except ModuleNotFoundError as error:
            if error.name != module.partition(".")[0]:
                raise
    raise UserError('running a .tflite needs an interpreter; install it with: pip install "nasfpn-lite[tflite]"')


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keeps what the native code writes to stderr from the terminal; its errors come as exceptions."""
    sys.stderr.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
