"""What a file would take on a phone, from profiles of other files there: each kind of operator by its own simple rule.

milliseconds = a * multiply-adds + b * bytes moved + c, with a, b and c of at least 0, fitted by least squares.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nasfpn_lite.android_bench.least_squares import fit_nonnegative
from nasfpn_lite.android_bench.profile_record import OperatorWork, ProfileResult
from nasfpn_lite.errors import UserError

LEAST_FILES = 2
NEGLIGIBLE = 0.001  # of the predicted time
RANGE_TOLERANCE = 1.05  # how far beyond what was measured still counts as measured


class ModelError(UserError):
    """Profiles that no model can be fitted on."""


@dataclass(frozen=True)
class KindRule:
    """The rule of one kind of operator.

    Attributes:
        observations: Operators that it was fitted on.
        multiply_adds, bytes_moved: Least and most among them.
    """

    kind: str
    ms_per_multiply_add: float
    ms_per_byte: float
    constant_ms: float
    observations: int
    multiply_adds: tuple[int, int]
    bytes_moved: tuple[int, int]

    def predict_ms(self, work: OperatorWork) -> float:
        """Returns what an operator of this kind takes in a profile."""
        return self.ms_per_multiply_add * work.multiply_adds + self.ms_per_byte * work.bytes_moved + self.constant_ms

    def find_outside(self, work: OperatorWork) -> tuple[str, ...]:
        """Returns in what an operator lies outside the range of those that were measured."""
        named = (
            ("multiply-adds", work.multiply_adds, self.multiply_adds),
            ("bytes", work.bytes_moved, self.bytes_moved),
        )
        outside = []
        for name, value, (least, most) in named:
            if value > most * RANGE_TOLERANCE:
                outside.append(f"more {name} than any that was measured")
            elif value * RANGE_TOLERANCE < least:
                outside.append(f"fewer {name} than any that was measured")
        return tuple(outside)


@dataclass(frozen=True)
class LeftOut:
    """A file as a model says that was fitted on all the others.

    Attributes:
        predicted_ms: None where the others lack one of its kinds of operators.
    """

    file: str
    measured_ms: float
    predicted_ms: float | None


@dataclass(frozen=True)
class LatencyModel:
    """Rules by kind, and how good they are.

    Attributes:
        factor: How much longer a run takes than the rules say of its operators: a profile leaves out the rest and adds
            its own, and rules that fit each operator best need not fit their sum.
        setting: What all profiles have in common, in words.
        left_out: The cross-validation.
    """

    rules: Mapping[str, KindRule]
    factor: float
    setting: str
    left_out: tuple[LeftOut, ...]

    @property
    def errors(self) -> tuple[float, ...]:
        """Returns how far the cross-validation was off, as logarithms of predicted over measured."""
        return tuple(math.log(item.predicted_ms / item.measured_ms) for item in self.left_out if item.predicted_ms)


@dataclass(frozen=True)
class Prediction:
    """What a file would take.

    Attributes:
        latency_ms: Without the operators of unknown kinds.
        interval_ms: As wide as the largest error of the cross-validation; None where there is none, or operators lack.
        coverage: Share of files like those measured that fall into the interval; None where there are doubts.
        operators_ms: Of each operator that there is a rule for, by its position; they add up to latency_ms.
        doubts: Where it goes beyond what was measured, in words; empty if nowhere.
    """

    latency_ms: float
    interval_ms: tuple[float, float] | None
    coverage: float | None
    operators_ms: Mapping[int, float]
    doubts: tuple[str, ...]


def fit_model(results: Sequence[ProfileResult]) -> LatencyModel:
    """Fits a model on profiles of several files on one phone.

    Raises:
        ModelError: They are of too few files, of different settings, or not trustworthy.
    """
    setting = check_results(results)
    left_out = []
    for group in _by_file(results).values():
        others = [result for result in results if result.sha256 != group[0].sha256]
        rules, factor = _fit(others)
        predicted_ms = factor * _sum_rules_ms(rules, group[0]) if _knows_all(rules, group[0]) else None
        measured_ms = statistics.median(result.latency_ms for result in group)
        left_out.append(LeftOut(group[0].file, measured_ms, predicted_ms))
    return LatencyModel(*_fit(results), setting, tuple(left_out))


def check_results(results: Sequence[ProfileResult]) -> str:
    """Returns in words what all profiles have in common.

    Raises:
        ModelError: As `fit_model` does.
    """
    doubtful = [f"{result.file}: {reason}" for result in results for reason in result.reasons]
    if doubtful:
        raise ModelError(f"expected trustworthy profiles, got {'; '.join(doubtful)}: leave these out, or measure again")
    if len(_by_file(results)) < LEAST_FILES:
        raise ModelError(
            f"expected profiles of at least {LEAST_FILES} files, got {len(_by_file(results))}: profile more of them "
            "with `nasfpn-lite android profile`"
        )
    settings = sorted({_describe_setting(result) for result in results})
    if len(settings) > 1:
        raise ModelError(f"expected profiles of one phone and setting, got {'; '.join(settings)}: take those of one")
    return settings[0]


def predict(model: LatencyModel, works: Sequence[OperatorWork]) -> Prediction:
    """Says what a file would take whose operators have this to do."""
    times = {
        work.position: model.rules[work.kind].predict_ms(work) * model.factor
        for work in works
        if work.kind in model.rules
    }
    latency_ms = sum(times.values())
    errors = model.errors
    doubts = tuple(_find_doubts(model, works, times))
    spread = math.exp(max(map(abs, errors))) if errors and len(times) == len(works) else None
    return Prediction(
        latency_ms=latency_ms,
        interval_ms=None if spread is None else (latency_ms / spread, latency_ms * spread),
        coverage=len(errors) / (len(errors) + 1) if errors and not doubts else None,
        operators_ms=times,
        doubts=doubts,
    )


def _find_doubts(model: LatencyModel, works: Sequence[OperatorWork], times: Mapping[int, float]) -> Iterator[str]:
    unknown = Counter(work.kind for work in works if work.kind not in model.rules)
    if unknown:
        named = ", ".join(f"{kind} ({count})" for kind, count in unknown.items())
        yield f"kinds of operators that were never measured, so that their time is missing: {named}"
    outside: dict[tuple[str, str], list[float]] = {}
    for work in works:
        if work.kind in model.rules:
            for text in model.rules[work.kind].find_outside(work):
                outside.setdefault((work.kind, text), []).append(times[work.position])
    counts = Counter(work.kind for work in works)
    total_ms = sum(times.values()) or 1.0
    for (kind, text), found in outside.items():
        share = sum(found) / total_ms
        if share < NEGLIGIBLE and text.startswith("fewer"):
            continue  # small operators take hardly more than the smallest that was measured
        yield f"{kind}: {text} ({len(found)} of {counts[kind]} operators, {share:.1%} of the predicted time)"


def _fit(results: Sequence[ProfileResult]) -> tuple[dict[str, KindRule], float]:
    observed: dict[str, list[tuple[OperatorWork, float]]] = {}
    for result in results:
        for operator in result.profile.operators:
            # Without a row of its own it is fused into a neighbour and takes no time, unless its row was not found.
            if operator.ms is not None or result.profile.unmatched_ms == 0:
                observed.setdefault(operator.work.kind, []).append((operator.work, operator.ms or 0.0))
    rules = {kind: _fit_kind(kind, found) for kind, found in observed.items()}
    factors = [result.latency_ms / total for result in results if (total := _sum_rules_ms(rules, result)) > 0]
    if not factors:
        raise ModelError("expected profiles with times of operators, got none: see the problems that they name")
    return rules, statistics.median(factors)


def _fit_kind(kind: str, observed: Sequence[tuple[OperatorWork, float]]) -> KindRule:
    rows = [(float(work.multiply_adds), float(work.bytes_moved), 1.0) for work, _ in observed]
    per_multiply_add, per_byte, constant_ms = fit_nonnegative(rows, [ms for _, ms in observed])
    multiply_adds = [work.multiply_adds for work, _ in observed]
    bytes_moved = [work.bytes_moved for work, _ in observed]
    return KindRule(
        kind,
        per_multiply_add,
        per_byte,
        constant_ms,
        len(observed),
        (min(multiply_adds), max(multiply_adds)),
        (min(bytes_moved), max(bytes_moved)),
    )


def _sum_rules_ms(rules: Mapping[str, KindRule], result: ProfileResult) -> float:
    works = [operator.work for operator in result.profile.operators]
    return sum(rules[work.kind].predict_ms(work) for work in works if work.kind in rules)


def _knows_all(rules: Mapping[str, KindRule], result: ProfileResult) -> bool:
    return all(operator.work.kind in rules for operator in result.profile.operators)


def _by_file(results: Sequence[ProfileResult]) -> dict[str, list[ProfileResult]]:
    files: dict[str, list[ProfileResult]] = {}
    for result in results:
        files.setdefault(result.sha256, []).append(result)
    return files


def _describe_setting(result: ProfileResult) -> str:
    phone, how = result.phone, result.how
    xnnpack = {True: "XNNPACK on", False: "XNNPACK off", None: "XNNPACK as the runner has it"}[how.xnnpack]
    simulated = ", simulated" if phone.simulated else ""
    return (
        f"{phone.model or 'unknown phone'} ({phone.fingerprint or 'unknown build'}{simulated}), cores {phone.mask}, "
        f"threads: {how.threads}, {how.runner}, {xnnpack}"
    )
