"""From the turns of all rounds to a file's figures, or to the reasons why there are none."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.records import Coverage, FileFigures, Round, Turn
from nasfpn_lite.android_bench.session_options import LEAST_ROUNDS, SPREAD
from nasfpn_lite.benchmarks.statistics import estimate_median, percentile

WIDEST_TRUSTED_INTERVAL = 0.10  # of the median


def summarize(
    file: ModelFile,
    turns: Sequence[Turn],
    *,
    runner: str,
    reasons: Sequence[str],
    coverage: Coverage | None,
    accepted: Collection[str] = (),
) -> FileFigures:
    """Makes the figures of one file.

    Args:
        turns: One for each round.
        reasons: Why the whole session is not trustworthy.
        accepted: Codes of the doubts that the user takes.
    """
    found = [*reasons, *find_spread(turns, accepted)]
    untold = FileFigures(
        file=file.name,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        arithmetic=file.arithmetic,
        multiply_adds=file.multiply_adds,
        runner=runner,
        verdict="not trustworthy",
        reasons=tuple(found),
        latency_ms_p50=None,
        latency_ms_ci=None,
        ci_coverage=None,
        latency_ms_p90=None,
        p90_of=None,
        init_ms=None,
        peak_memory_bytes=None,
        memory_growth_bytes=None,
        coverage=coverage,
    )
    return untold if found else _fill(untold, turns)


def _fill(file: FileFigures, turns: Sequence[Turn]) -> FileFigures:
    latencies_ms = [turn.latency_ms for turn in turns]
    estimate = estimate_median(latencies_ms)
    tails_ms = [turn.latency_ms_p90 for turn in turns if turn.latency_ms_p90 is not None]
    of_runs = len(tails_ms) == len(turns)
    return replace(
        file,
        verdict="trustworthy",
        latency_ms_p50=estimate.median,
        latency_ms_ci=(estimate.low, estimate.high),
        ci_coverage=estimate.coverage,
        latency_ms_p90=percentile(tails_ms, 50) if of_runs else percentile(latencies_ms, 90),
        p90_of="runs" if of_runs else "rounds",
        init_ms=_median([turn.init_ms for turn in turns]),
        peak_memory_bytes=_largest([turn.peak_memory_bytes for turn in turns]),
        memory_growth_bytes=_largest([turn.memory_growth_bytes for turn in turns]),
    )


def find_spread(turns: Sequence[Turn], accepted: Collection[str] = ()) -> list[str]:
    """Says why rounds that differ are no measurement of one thing; nothing if they agree."""
    if len(turns) < LEAST_ROUNDS:
        return [f"only {len(turns)} of at least {LEAST_ROUNDS} rounds were measured"]
    width = estimate_median([turn.latency_ms for turn in turns]).relative_width
    if width > WIDEST_TRUSTED_INTERVAL and SPREAD not in accepted:
        return [
            f"the rounds differ: the median's interval is {width:.0%} of the median wide, more than "
            f"{WIDEST_TRUSTED_INTERVAL:.0%}; close other apps, let the phone rest, take more --rounds"
        ]
    return []


def split_rounds(rounds: Sequence[Round], index: int) -> tuple[Turn, ...]:
    """Returns the turns of the file of an index, one for each round."""
    return tuple(item.turns[index] for item in rounds)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return percentile(known, 50) if known else None


def _largest(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
