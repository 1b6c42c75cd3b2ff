"""Sustained runs that nobody measured, for what shows them."""

from nasfpn_lite.android_bench.sustained_record import Cycle, Drift, Ranking, SustainedResult
from tests.fake_measured_phone import make_conditions, make_result

RESULT = make_result([10.0, 10.2, 9.9, 10.1, 10.0, 10.3])


def make_sustained(order="changed", files=2) -> SustainedResult:
    names = tuple(f"{name}.tflite" for name in "abcdef"[:files])
    return SustainedResult(
        schema="nasfpn-lite/android-sustained",
        version=1,
        origin=RESULT.origin,
        phone=RESULT.phone,
        how=RESULT.how,
        minutes=2.0,
        verdict="trustworthy",
        reasons=(),
        files=tuple(Drift(name, "00", "benchmark_model", 10.0, 15.0, 1.5) for name in names),
        cycles=tuple(Cycle(float(i), (10.0 + i,) * files, i, 30.0) for i in (1, 2)),
        ranking=Ranking(order, names, names[::-1], ((names[-1], names[0]),) if order == "changed" else (), (6, 6)),
        before=make_conditions(),
        after=make_conditions(thermal_status=2),
    )
