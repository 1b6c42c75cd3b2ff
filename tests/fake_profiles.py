"""Profiles of files that nobody measured, for what reads them."""

from collections.abc import Sequence

from nasfpn_lite.android_bench.layers import LayerTime
from nasfpn_lite.android_bench.profile_record import (
    PROFILE_SCHEMA,
    PROFILE_VERSION,
    LayerProfile,
    OperatorFigures,
    OperatorWork,
    OtherRow,
    ProfileResult,
)
from nasfpn_lite.android_bench.records import HowMeasured, Origin, Phone

Work = tuple[str, int, int, float | None]  # kind, multiply-adds, bytes, milliseconds


def make_result(
    file: str,
    works: Sequence[Work],
    *,
    overhead_ms: float = 0.0,
    unmatched_ms: float = 0.0,
    phone: str = "Pixel",
    mask: str = "08",
    reasons: tuple[str, ...] = (),
) -> ProfileResult:
    """Makes a profile; a run takes as long as all operators and the overhead."""
    operators = tuple(
        OperatorFigures(OperatorWork(place, kind, multiply_adds, size), "backbone", "backbone block 0", (kind,), ms)
        for place, (kind, multiply_adds, size, ms) in enumerate(works)
    )
    total_ms = sum(operator.ms or 0.0 for operator in operators) + unmatched_ms
    others = (OtherRow("Copy:1", None, None, unmatched_ms),) if unmatched_ms else ()
    layers = (LayerTime("backbone", "backbone block 0", total_ms - unmatched_ms, len(operators)),)
    profile = LayerProfile(operators, others, layers, (), unmatched_ms, total_ms)
    return ProfileResult(
        PROFILE_SCHEMA,
        PROFILE_VERSION,
        Origin({"nasfpn-lite": "0"}, None, "2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z"),
        Phone("S", phone, f"{phone}/build", "arm64-v8a", 29, False, (), "big", mask, ()),
        HowMeasured("nasfpn_runner", 1, True, 50, 1, 1.0, 3, ()),
        "not trustworthy" if reasons else "trustworthy",
        reasons,
        file,
        file,
        1000,
        total_ms + overhead_ms,
        profile,
    )
