"""The record of a sustained run, as it stands in its JSON file."""

from dataclasses import dataclass
from typing import Literal

from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.records import HowMeasured, Origin, Phone, Verdict

SUSTAINED_SCHEMA: Literal["nasfpn-lite/android-sustained"] = "nasfpn-lite/android-sustained"
SUSTAINED_VERSION: Literal[1] = 1

Order = Literal["the same", "changed", "not shown"]


@dataclass(frozen=True)
class Cycle:
    """One turn of each file, in the order of the files.

    Attributes:
        minutes: From the start of the load to the end of this cycle.
        thermal_status: Android's, after it; None where the phone does not tell.
        outside_c: The higher of skin and battery after it.
    """

    minutes: float
    latencies_ms: tuple[float, ...]
    thermal_status: int | None
    outside_c: float | None


@dataclass(frozen=True)
class Drift:
    """One file's first minute against its last.

    Attributes:
        slowdown: Last / first: 1.3 is a file that takes 1.3 times as long in the end.
    """

    file: str
    sha256: str
    runner: str
    first_ms: float
    last_ms: float
    slowdown: float


@dataclass(frozen=True)
class Ranking:
    """The order of the files, fastest first, in the first minute and in the last.

    Attributes:
        order: "changed" where a shown difference turned; "not shown" where there are too few cycles to tell, or files
            so close that their medians changed places.
        turned: Pairs (faster in the end, slower in the end) whose order is another than in the beginning.
        window_cycles: How many cycles the first and the last minute have.
    """

    order: Order
    first: tuple[str, ...]
    last: tuple[str, ...]
    turned: tuple[tuple[str, str], ...]
    window_cycles: tuple[int, int]


@dataclass(frozen=True)
class SustainedResult:
    """All of one sustained run on one phone.

    Attributes:
        minutes: That were asked for.
        reasons: Why it is not trustworthy, and has no figures; heat is none here, it is what is measured.
        names: Of the files, in the order of the cycles' latencies; older records lack them.
    """

    schema: Literal["nasfpn-lite/android-sustained"]
    version: Literal[1]
    origin: Origin
    phone: Phone
    how: HowMeasured
    minutes: float
    verdict: Verdict
    reasons: tuple[str, ...]
    files: tuple[Drift, ...]
    cycles: tuple[Cycle, ...]
    ranking: Ranking | None
    before: Conditions
    after: Conditions
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for index, cycle in enumerate(self.cycles):
            if self.files and len(cycle.latencies_ms) != len(self.files):
                raise RecordError(
                    f"cycles[{index}].latencies_ms",
                    f"expected {len(self.files)} entries, got {len(cycle.latencies_ms)}",
                )
        if (self.verdict == "trustworthy") == bool(self.reasons):
            raise RecordError("reasons", f"expected reasons just where it is not trustworthy, this is {self.verdict}")
