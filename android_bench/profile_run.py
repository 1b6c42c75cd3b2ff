"""A file profiled on a phone: turns with the profiler between turns without, and its rows brought back to layers."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.bench_log import LogError, parse_log
from nasfpn_lite.android_bench.conditions import read_conditions
from nasfpn_lite.android_bench.doubts import find_doubts
from nasfpn_lite.android_bench.layers import name_layers
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.op_profile import OperatorTime, parse_profile
from nasfpn_lite.android_bench.origin import now_utc, read_commit, read_versions
from nasfpn_lite.android_bench.page_words import format_ms
from nasfpn_lite.android_bench.profile_record import (
    PROFILE_SCHEMA,
    PROFILE_VERSION,
    LayerProfile,
    ProfileResult,
    make_layer_profile,
)
from nasfpn_lite.android_bench.records import Origin
from nasfpn_lite.android_bench.session import how_measured, look_at_phone
from nasfpn_lite.android_bench.session_options import SPREAD, SessionError, SessionOptions

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device
    from nasfpn_lite.android_bench.runners import Runner

DEFAULT_TURNS = 3
MOST_UNMATCHED = 0.1  # of the time: beyond, sums of layers mean little
# A run takes longer than its rows: calls, the edges of delegates. In logs of quiet turns of both runners that was up to
# a seventh of it, in the smallest models less than a tenth of a millisecond; a quarter leaves room for unlike turns.
MOST_APART, MOST_APART_MS = 0.25, 0.1


@dataclass(frozen=True)
class Turns:
    """What the turns gave.

    Attributes:
        latency_ms: Without the profiler; median.
        rows: With the median time of each.
    """

    latency_ms: float
    rows: tuple[OperatorTime, ...]


def measure_profile(
    device: "Device", runner: "Runner", file: ModelFile, options: SessionOptions, *, turns: int = DEFAULT_TURNS
) -> ProfileResult:
    """Profiles a file on a phone.

    Raises:
        SessionError: It cannot be run, or the runner gives no profile of it.
        AdbError: The phone went away.
    """
    layered = name_layers(file.path)
    device.check_ready()
    started = now_utc()
    start = look_at_phone(device, options)
    measured = _take_turns(device, runner, file, options, mask=start.phone.mask, turns=turns)
    doubts = find_doubts(start.before, read_conditions(device, watched=start.cores), cores=start.cores)
    profile = make_layer_profile(measured.rows, layered)
    reasons = tuple(doubt.text for doubt in doubts if doubt.code not in options.accepted) + find_gaps(profile)
    if SPREAD not in options.accepted:
        reasons += find_discord(measured.latency_ms, profile.total_ms)
    return ProfileResult(
        schema=PROFILE_SCHEMA,
        version=PROFILE_VERSION,
        origin=Origin(read_versions(device.adb.read_version(), runner.hash_files()), read_commit(), started, now_utc()),
        phone=start.phone,
        # It waits for no phone, discards nothing, and asks for no share of delegates.
        how=replace(how_measured(runner.name, options), rounds=turns, patience_s=None, repeats=None, min_coverage=None),
        verdict="not trustworthy" if reasons else "trustworthy",
        reasons=reasons,
        file=file.name,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        latency_ms=measured.latency_ms,
        profile=profile,
    )


def find_gaps(profile: LayerProfile) -> tuple[str, ...]:
    """Says why a profile's layers are not to be relied on; nothing if they are."""
    if profile.unmatched_ms <= MOST_UNMATCHED * profile.total_ms:
        return ()
    share = profile.unmatched_ms / profile.total_ms
    return (f"{share:.0%} of the time is in rows that belong to no layer surely",)


def find_discord(latency_ms: float, rows_ms: float) -> tuple[str, ...]:
    """Says where turns without the profiler and rows of turns with it are not of the same run; nothing if they are.

    Args:
        latency_ms: Of a run without the profiler.
        rows_ms: Sum of all rows.
    """
    if abs(latency_ms - rows_ms) <= MOST_APART * latency_ms + MOST_APART_MS:
        return ()
    return (
        f"the rows add up to {format_ms(rows_ms)} ms, a run without the profiler takes {format_ms(latency_ms)} ms, "
        f"which differ by more than {MOST_APART:.0%}: so something held up some turns; close other apps, let the phone "
        "rest, take more --turns",
    )


def _take_turns(
    device: "Device", runner: "Runner", file: ModelFile, options: SessionOptions, *, mask: str, turns: int
) -> Turns:
    from nasfpn_lite.android_bench.turns import find_hint, make_settings
    from nasfpn_lite.android_bench.workspace import Workspace

    plain = make_settings(options)
    latencies: list[float] = []
    profiles: list[tuple[OperatorTime, ...]] = []
    with Workspace(device) as workspace:
        *_, model = workspace.push_all({**runner.files, file.path: "model.tflite"}, executables=runner.executables)
        for _ in range(turns):
            for settings in (plain, replace(plain, profile=True)):
                argv = runner.command(workspace.folder, model, settings)
                result = workspace.run(argv, timeout_s=options.turn_timeout_s, mask=mask)
                try:
                    log = parse_log(result.stdout, result.stderr)
                    if settings.profile:
                        profiles.append(parse_profile(result.stdout))
                    else:
                        latencies.append(log.timings.average_ms)
                except LogError as error:
                    raise SessionError(f"{file.name} was not profiled: {error}{find_hint(error)}") from error
    return Turns(statistics.median(latencies), join_profiles(profiles))


def join_profiles(profiles: Sequence[Sequence[OperatorTime]]) -> tuple[OperatorTime, ...]:
    """Returns the rows of one model with the median of their times in several turns.

    Raises:
        SessionError: Not all turns have the same rows.
    """
    joined = []
    for rows in zip(*profiles, strict=False):
        first = rows[0]
        if any((row.kind, row.node_type, row.index) != (first.kind, first.node_type, first.index) for row in rows):
            raise SessionError(f"expected the same rows in each turn's profile, got {first.node_type} in one alone")
        times = [row.average_ms for row in rows]
        joined.append(replace(first, average_ms=statistics.median(times), first_ms=rows[0].first_ms))
    if any(len(rows) != len(joined) for rows in profiles):
        raise SessionError(f"expected the same rows in each turn's profile, got {[len(rows) for rows in profiles]}")
    return tuple(joined)
