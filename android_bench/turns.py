"""Turns on the phone: the runner started once with one file, and its log read."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, cast

from nasfpn_lite.android_bench.adb import LAST_ADVICE, AdbError, AdbTimeoutError, DeviceLostError
from nasfpn_lite.android_bench.bench_log import BenchLog, LogError, parse_latencies, parse_log
from nasfpn_lite.android_bench.coverage import check_coverage, describe, read_coverage, read_share
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.op_profile import parse_profile
from nasfpn_lite.android_bench.phone_files import READ_TIMEOUT_S, read_many
from nasfpn_lite.android_bench.records import Coverage, Turn
from nasfpn_lite.android_bench.runners import Runner, RunSettings
from nasfpn_lite.android_bench.session_options import SessionError, SessionOptions
from nasfpn_lite.android_bench.topology import CPU_FOLDER, mask_to_cores, parse_core_list
from nasfpn_lite.android_bench.turn_watch import TurnWatch, make_watch_command, parse_watch
from nasfpn_lite.android_bench.workspace import Workspace, remove_folder
from nasfpn_lite.benchmarks.statistics import percentile
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device, ShellResult

_XNNPACK_UNKNOWN = re.compile(r"ignored them: [^.]*--use_xnnpack")
_MODEL_ADVICE = "try the file on this computer with `nasfpn-lite bench`; if that fails too, convert it again"
WARMUP_MIN_S = 0.5  # benchmark_model's own


class Bench:
    """A runner and files on a phone; they are pushed before the first turn, and removed at the end of the block."""

    def __init__(
        self, device: "Device", files: Sequence[ModelFile], runner: Runner, options: SessionOptions, mask: str
    ) -> None:
        self._device, self._files, self._runner = device, tuple(files), runner
        self._options, self._mask = options, mask
        self._stack = ExitStack()
        self._workspace: Workspace | None = None
        self._remote: tuple[str, ...] = ()
        self._online: tuple[int, ...] | None = None
        self._watched = 0

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def remove_left(self, folder: str) -> None:
        """Removes the folder of an earlier session that lost its phone; does nothing where it is gone."""
        remove_folder(self._device, folder)

    def open(self) -> str:
        """Makes the folder on the phone and returns its path; nothing is in it yet."""
        if self._workspace is None:
            self._workspace = self._stack.enter_context(Workspace(self._device))
        return self._workspace.folder

    def warm_up(self) -> tuple[Coverage, ...]:
        """Runs each file once, so that its pages and code are loaded, and finds out what delegates take of it.

        Raises:
            SessionError: A file cannot be run, or delegates take less of it than the options ask for.
        """
        return tuple(self._warm_up(index) for index in range(len(self._files)))

    def take(self, index: int) -> Turn:
        """Measures one file once.

        Raises:
            SessionError: It cannot be run.
            DeviceLostError, AdbTimeoutError: The phone went away, or the runner did not end.
        """
        settings = make_settings(self._options)
        log, result = self._run(index, settings)
        timings = log.timings
        texts = self._read_left()
        return Turn(
            runs=timings.runs,
            latency_ms=timings.average_ms,
            latency_ms_min=timings.min_ms,
            latency_ms_max=timings.max_ms,
            latency_ms_p90=self._read_p90(texts),
            init_ms=log.init_ms,
            peak_memory_bytes=log.peak_memory_bytes,
            memory_growth_bytes=log.memory_growth_bytes,
            seconds=result.seconds,
            watch=_read_watch(texts),
        )

    def _watch_path(self) -> str:
        return f"{self.open()}/clocks{self._watched}.txt"

    def _make_watch(self) -> list[str]:
        if self._online is None:
            online = self._device.shell(["cat", f"{CPU_FOLDER}/online"], timeout_s=READ_TIMEOUT_S, check=False)
            self._online = parse_core_list(online.stdout)
        self._watched += 1  # a file of its own: the last turn's sampling may not have ended yet
        return make_watch_command(mask_to_cores(self._mask), self._online, self._watch_path())

    def _read_left(self) -> dict[str, str]:
        """Returns what the last turn wrote into the folder: its sampling, and each run's latency."""
        commands = {"watch": f"cat {self._watch_path()}"}
        if self._runner.latencies_file is not None:
            commands["latencies"] = f"cat {self.open()}/{self._runner.latencies_file}"
        return read_many(self._device, commands=commands)

    def _read_p90(self, texts: Mapping[str, str]) -> float | None:
        """Returns the 90th percentile of the last turn's runs, from a runner that writes down each."""
        if self._runner.latencies_file is None:
            return None
        return percentile(parse_latencies(texts.get("latencies", "")), 90)

    def _warm_up(self, index: int) -> Coverage:
        settings = make_settings(replace(self._options, runs=1, warmup_runs=1, min_s=0.0))
        settings = replace(settings, profile=True)
        _, result = self._run(index, settings)
        try:
            operators = parse_profile(result.stdout)
        except LogError:
            operators = ()  # a runner without profiles; the log itself may still tell
        found = read_coverage(result.stdout + result.stderr, operators=operators)
        name = self._files[index].name
        if self._options.gpu:
            _check_gpu(name, result.stdout + result.stderr, self._options.min_coverage)
        # benchmark_model says so itself, which its log's traps catch; our own runner measures the plain kernels.
        if self._options.xnnpack and found.share == 0:
            raise SessionError(
                f"{name}: XNNPACK was asked for and takes none of the {found.nodes} operators, so that the plain "
                "kernels would run: see what `nasfpn-lite inspect` says of them, or measure those with --xnnpack off"
            )
        try:
            check_coverage(found, self._options.min_coverage)
        except UserError as error:
            raise SessionError(f"{name}: {error}") from error
        return Coverage(
            found.delegates, found.nodes, found.delegated_nodes, found.partitions, found.share, describe(found)
        )

    def _run(self, index: int, settings: RunSettings) -> tuple[BenchLog, "ShellResult"]:
        workspace = self._push_once()
        name = self._files[index].name
        argv = self._runner.command(workspace.folder, self._remote[index], settings)
        watch = self._make_watch()
        try:
            result = workspace.run(argv, timeout_s=self._options.turn_timeout_s, mask=self._mask, watch=watch)
        except AdbError as error:
            raise _explain(name, error) from error
        try:
            log = parse_log(result.stdout, result.stderr)
            _check_obeyed(log, settings)
            return log, result
        except LogError as error:
            raise SessionError(f"{name} was not measured: {error}{find_hint(error)}") from error

    def _push_once(self) -> Workspace:
        self.open()
        workspace = cast(Workspace, self._workspace)
        if not self._remote:
            models = {file.path: f"model{index}.tflite" for index, file in enumerate(self._files)}
            remotes = workspace.push_all({**self._runner.files, **models}, executables=self._runner.executables)
            self._remote = remotes[-len(models) :]
        return workspace


def make_settings(options: SessionOptions) -> RunSettings:
    """Returns what a session's options ask of one start of the runner."""
    return RunSettings(
        threads=options.threads,
        runs=options.runs,
        warmup_runs=options.warmup_runs,
        min_s=options.min_s,
        max_s=options.max_s,
        warmup_min_s=min(WARMUP_MIN_S, options.min_s),
        xnnpack=options.xnnpack,
        gpu=options.gpu,
    )


def _check_gpu(name: str, log: str, least_share: float) -> None:
    """Checks that the GPU runs the model: what it leaves, XNNPACK takes in silence.

    Raises:
        SessionError: It took nothing, or less than the least share, or the log does not tell.
    """
    share = read_share(log, "GPU")
    if not share:
        took = "does not tell what the GPU took" if share is None else "tells that the GPU took none of the operators"
        raise SessionError(f"{name}: --gpu was asked for, but the log {took}: measure without it")
    if share < least_share:
        raise SessionError(
            f"{name}: expected the GPU to run at least {least_share:.0%} of the operators, got {share:.1%}: change the "
            "operators that stay outside, or lower the minimum"
        )


def _check_obeyed(log: BenchLog, settings: RunSettings) -> None:
    """Checks that the runner did what it was asked: what it says of itself would else stand under another label.

    Raises:
        LogError: It used other threads, or did fewer runs.
    """
    if log.threads not in (None, settings.threads):
        raise LogError(f"expected {settings.threads} thread(s), but the runner used {log.threads}: take another build")
    if log.timings.runs < settings.runs:
        raise LogError(f"expected at least {settings.runs} runs, but the runner did {log.timings.runs}")


def _explain(name: str, error: AdbError) -> Exception:
    """Adds what the runner's own log says to the error of a runner that failed; others stay as they are."""
    # For a phone that went away the exit code is adb's own.
    if isinstance(error, (DeviceLostError, AdbTimeoutError)) or not error.exit_code:
        return error
    if error.exit_code > 128:  # ended by a signal: its log is cut, and that is no reason
        return SessionError(f"{name} was not measured: {error}")
    try:
        parse_log(error.stdout, error.stderr)
    except LogError as reason:
        return SessionError(f"{name} was not measured: {reason}\n{str(error).replace(LAST_ADVICE, _MODEL_ADVICE)}")
    return SessionError(f"{name} was not measured: the runner failed after its last run\n{error}")


def find_hint(error: LogError) -> str:
    """Returns which options of ours mend a run that failed, as the end of a message; nothing if none does."""
    unknown = _XNNPACK_UNKNOWN.search(str(error))
    options = {"--xnnpack runner": unknown, "--max-seconds, --runs": "max_secs" in str(error)}
    return "".join(f"; on the command line: {option}" for option, fits in options.items() if fits)


def _read_watch(texts: Mapping[str, str]) -> TurnWatch | None:
    watch = parse_watch(texts.get("watch", ""))
    return watch if watch.samples else None
