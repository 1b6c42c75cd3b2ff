"""The boundary between int8 and float: the fewest stages in float with which a file stays within an AP budget.

Every judgement is of a real file, scored beside float32; what `sensitivity` foretells only says what to try first.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nasfpn_lite.compare import Budget
from nasfpn_lite.converters.budget import REFERENCE_RECIPE, Judged, Judgement, Scoring, certify, judge, keep
from nasfpn_lite.converters.calibration import Calibration
from nasfpn_lite.converters.certificate import certificate_path
from nasfpn_lite.converters.convert import (
    Converted,
    Source,
    Target,
    check_free,
    convert_measured,
    make_job,
    run_process,
    write_job,
)
from nasfpn_lite.converters.interpreter import time_interleaved
from nasfpn_lite.converters.load_detector import load_detector
from nasfpn_lite.converters.recipes import SELECTIVE

PLAIN_RECIPE = "static_wi8_ai8"

Within = Callable[[tuple[str, ...]], bool]
Say = Callable[[str], None]


@dataclass(frozen=True)
class KeptStage:
    """A stage that stays in float, and what that costs.

    Attributes:
        error_share: See `sensitivity.Sensitivity`.
        latency_ms_without: Of the same file with this stage in int8 too.
        violations: What that file would lose beyond the budget.
    """

    stage: str
    error_share: float
    latency_ms_without: float
    violations: tuple[str, ...]


@dataclass(frozen=True)
class Boundary:
    """What a search found.

    Attributes:
        judged: The file, at its name only if it is within the budget; of no use otherwise: everything is in float.
        stages: In float; () if plain int8 is within the budget.
        latency_ms: Medians on one thread: "float32", "plain int8" (unless this file is it), "this file".
        tried: Number of files that were scored.
    """

    judged: Judged
    stages: tuple[KeptStage, ...]
    latency_ms: dict[str, float]
    tried: int


def find_smallest(order: Sequence[str], within: Within, cost: Callable[[str], float]) -> tuple[str, ...] | None:
    """Finds stages that are enough, none of which can be left out.

    Tries no stage, then the first 1, 2, 4, ... of `order`, then bisects, then leaves out what is not needed: many at
    once, at last each by itself.

    Args:
        order: All stages, the most promising first.
        within: Whether a file with just these stages in float is within the budget; asked once for each set.
        cost: Of a stage; the dear ones are left out first.

    Returns:
        Stages in the order of `order`; None if even all are not enough.
    """
    if within(()):
        return ()
    failed, size = 0, min(1, len(order))
    while not within(tuple(order[:size])):
        if size == len(order):
            return None
        failed, size = size, min(2 * size, len(order))
    while size - failed > 1:
        middle = (size + failed) // 2
        failed, size = (failed, middle) if within(tuple(order[:middle])) else (middle, size)
    return _leave_out(tuple(order[:size]), within, cost)


def _leave_out(kept: tuple[str, ...], within: Within, cost: Callable[[str], float]) -> tuple[str, ...]:
    width = max(1, len(kept) // 2)
    while True:
        dear_first, before = sorted(kept, key=lambda stage: -cost(stage)), kept
        for start in range(0, len(dear_first), width):
            chunk = dear_first[start : start + width]
            rest = tuple(stage for stage in kept if stage not in chunk)
            if within(rest):
                kept = rest
        if width > 1:
            width //= 2
        elif kept == before:  # each was tried against just this set
            return kept


def convert_automatically(  # noqa: PLR0913 - four of them are keywords
    source: Source,
    targets: tuple[Target, str],
    scoring: Scoring,
    budget: Budget,
    *,
    calibration: Calibration,
    commands: Callable[[Target], dict[str, str]],
    say: Say,
    force: bool = False,
) -> Boundary:
    """Makes an int8 file with as few stages in float as the budget allows.

    Args:
        targets: The plain int8 file, and the name (in the same folder) of a file with stages in float.
        commands: As for `convert_within_budget`.
        say: Takes a line about what is tried.

    Raises:
        UserError, ConversionError: As for `convert_within_budget`.
    """
    plain, selective_name = targets
    folder = plain.path.parent
    paths = [plain.path, folder / selective_name]
    check_free([*paths, *map(certificate_path, paths)], force=force)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".judging-") as name:
        trials = _Trials(source, plain, Path(name), scoring, budget, calibration, say)
        if trials.within(()):
            kept: tuple[str, ...] | None = ()
        else:
            say("measuring what each stage's int8 costs at the outputs")
            trials.measure_stages()
            kept = find_smallest(list(trials.shares), trials.within, lambda stage: trials.costs[stage])
        final = tuple(trials.shares) if kept is None else kept
        target = replace(plain, path=paths[0])
        if final:
            target = Target(SELECTIVE.name, plain.form, paths[1], final)
        return _finish(trials, target, commands)


def _finish(trials: "_Trials", target: Target, commands: Callable[[Target], dict[str, str]]) -> Boundary:
    stages = target.float_stages
    made, judgement = trials.made[stages], trials.judgements[stages]
    tried = len(trials.judgements)
    if not judgement.within_budget:
        return Boundary(Judged(replace(made, path=target.path), judgement), (), {}, tried)
    trials.say("timing the files in turns")
    without = [tuple(other for other in stages if other != stage) for stage in stages]
    timed = [trials.reference_path, *(trials.made[s].path for s in ((), stages, *without))]
    float32_ms, plain_ms, this_ms, *without_ms = time_interleaved(timed)
    certificate = certify(made.path, judgement, trials.scoring, trials.calibration, commands(target))
    size_bytes = keep(made.path, target.path, certificate)
    rows = tuple(
        KeptStage(stage, trials.shares[stage], latency_ms, trials.judgements[rest].violations)
        for stage, rest, latency_ms in zip(stages, without, without_ms, strict=True)
    )
    latency_ms = {"float32": float32_ms, **({"plain int8": plain_ms} if stages else {}), "this file": this_ms}
    return Boundary(Judged(replace(made, path=target.path, size_bytes=size_bytes), judgement), rows, latency_ms, tried)


class _Trials:
    """Converts sets of stages and scores them, each set once."""

    def __init__(  # noqa: PLR0913 - the parts of one job
        self,
        source: Source,
        plain: Target,
        folder: Path,
        scoring: Scoring,
        budget: Budget,
        calibration: Calibration,
        say: Say,
    ) -> None:
        self.source, self.plain, self.folder, self.scoring = source, plain, folder, scoring
        self.budget, self.calibration, self.say = budget, calibration, say
        self.ranges: dict[str, tuple[float, float]] | None = None
        self.shares: dict[str, float] = {}
        self.costs: dict[str, int] = {}
        self.made: dict[tuple[str, ...], Converted] = {}
        self.judgements: dict[tuple[str, ...], Judgement] = {}
        self.reference_path = folder / "reference.tflite"
        self.reference: list[dict[str, Any]] | None = None

    def measure_stages(self) -> None:
        """Fills shares and costs; shares are in the order in which stages are tried."""
        with tempfile.TemporaryDirectory(prefix="nasfpn-lite-stages-") as name:
            job = make_job(self.source, self.calibration, ranges=self.ranges)
            write_job(Path(name), job, self.source, self.calibration)
            stages = run_process("sensitivity_worker", Path(name))["stages"]
        self.shares = {entry["stage"]: entry["error_share"] for entry in stages}
        self.costs = {entry["stage"]: entry["multiply_adds"] for entry in stages}

    def within(self, stages: tuple[str, ...]) -> bool:
        if stages not in self.judgements:
            self.say(f"trying {_name(stages)}")
            self.made[stages] = self._convert(stages)
            judgement = judge(self.made[stages].path, self._detect_reference(), self.scoring, self.budget)
            self.judgements[stages] = judgement
            verdict = "within" if judgement.within_budget else "over"
            self.say(f"  AP {judgement.comparison.ap.difference or 0.0:+.2f} points: {verdict} the budget")
        return self.judgements[stages].within_budget

    def _convert(self, stages: tuple[str, ...]) -> Converted:
        path = self.folder / f"{len(self.made)}.tflite"
        recipe = SELECTIVE.name if stages else PLAIN_RECIPE
        targets = [Target(recipe, self.plain.form, path, stages)]
        if not self.reference_path.exists():
            targets.append(Target(REFERENCE_RECIPE, self.plain.form, self.reference_path))
        made, self.ranges = convert_measured(self.source, targets, self.calibration, ranges=self.ranges, force=True)
        return made[0]

    def _detect_reference(self) -> list[dict[str, Any]]:
        if self.reference is None:
            self.reference = self.scoring.detect(load_detector(self.reference_path, threads=self.scoring.threads))
        return self.reference


def _name(stages: tuple[str, ...]) -> str:
    if not stages:
        return "plain int8"
    shown = ", ".join(stages[:6]) + (", ..." if len(stages) > 6 else "")
    return f"{len(stages)} in float: {shown}"
