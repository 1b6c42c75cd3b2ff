"""A .tflite on a phone that takes inputs and gives its outputs, run by the project's own runner."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from nasfpn_lite.android_bench.adb import AdbError
from nasfpn_lite.android_bench.device import Device
from nasfpn_lite.android_bench.raw_outputs import RawOutputError, RawOutputs, read_raw_outputs
from nasfpn_lite.android_bench.runners import Runner
from nasfpn_lite.android_bench.workspace import HOUSEKEEPING_TIMEOUT_S, Workspace

START_TIMEOUT_S = 120.0  # for the runner to load a model
INPUT_TIMEOUT_S = 30.0  # for each input: an emulated phone takes seconds
_MODEL, _INPUTS, _OUTPUTS = "model.tflite", "inputs", "outputs"


class PhoneModel:
    """Pushes the runner and the file at the beginning of the block; nothing stays on the phone after it."""

    def __init__(self, device: Device, runner: Runner, model: Path, *, threads: int = 1, xnnpack: bool = True) -> None:
        self._device, self._runner, self._model = device, runner, model
        self._threads, self._xnnpack = threads, xnnpack
        self._stack = ExitStack()
        self._workspace = Workspace(device)

    def __enter__(self) -> "PhoneModel":
        """Pushes.

        Raises:
            DeviceLostError: The phone is not ready.
            AdbError: The phone cannot take a file.
        """
        with self._stack:  # an error in here must not leave the folder behind
            self._stack.enter_context(self._workspace)
            files = {**self._runner.files, self._model: _MODEL}
            self._workspace.push_all(files, executables=self._runner.executables)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def run(self, inputs: Sequence[bytes]) -> list[dict[str, bytes]]:
        """Runs the model on each input; all of them and their outputs lie on the phone at once.

        Args:
            inputs: What the model takes, in its own type and shape.

        Returns:
            For each input its outputs by their names in the model's signature, as the model stores them.

        Raises:
            AdbError: The phone went away, is full, or cannot run the model.
            RawOutputError: What came back is not whole.
        """
        with tempfile.TemporaryDirectory() as folder:
            try:
                self._push_inputs(inputs, Path(folder, _INPUTS))
                self._start(len(inputs))
                outputs = self._pull_outputs(Path(folder, _OUTPUTS))
            finally:
                self._clear()
            if len(outputs.inputs) != len(inputs):
                raise RawOutputError(f"expected outputs of {len(inputs)} inputs, got those of {len(outputs.inputs)}")
            return [{name: tensor.read(run) for name, tensor in outputs.tensors.items()} for run in range(len(inputs))]

    def _push_inputs(self, inputs: Sequence[bytes], folder: Path) -> None:
        folder.mkdir()
        names: dict[Path, str] = {}
        for number, data in enumerate(inputs):
            path = folder / f"{number:08}"  # the runner goes by the order of the names
            path.write_bytes(data)
            names[path] = f"{_INPUTS}/{path.name}"
        self._workspace.push_all(names)

    def _start(self, count: int) -> None:
        workspace = self._workspace
        command = self._runner.folder_command(
            workspace.folder,
            workspace.path(_MODEL),
            input_folder=workspace.path(_INPUTS),
            output_folder=workspace.path(_OUTPUTS),
            threads=self._threads,
            xnnpack=self._xnnpack,
        )
        workspace.run(command, timeout_s=START_TIMEOUT_S + INPUT_TIMEOUT_S * count)

    def _pull_outputs(self, folder: Path) -> RawOutputs:
        listed = self._device.shell(["ls", self._workspace.path(_OUTPUTS)], timeout_s=HOUSEKEEPING_TIMEOUT_S)
        for name in listed.stdout.split():  # the runner gives them no names with blanks
            self._workspace.pull(f"{_OUTPUTS}/{name}", folder / name)
        return read_raw_outputs(folder)

    def _clear(self) -> None:
        # The folder goes at the end anyway; where the phone went away, its error is the one to hear of.
        folders = [self._workspace.path(name) for name in (_INPUTS, _OUTPUTS)]
        with suppress(AdbError):
            self._device.shell(["rm", "-rf", *folders], timeout_s=HOUSEKEEPING_TIMEOUT_S, check=False)
