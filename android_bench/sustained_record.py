"""The record of a sustained run, as it stands in its JSON file."""

from dataclasses import dataclass
from typing import Literal

from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.records import Coverage, HowMeasured, Origin, Phone, Verdict
from nasfpn_lite.android_bench.turn_watch import TurnWatch, find_throttling

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
        watches: Clocks and cores during each turn, None where they could not be read; older records lack them.
    """

    minutes: float
    latencies_ms: tuple[float, ...]
    thermal_status: int | None
    outside_c: float | None
    watches: tuple[TurnWatch | None, ...] = ()

    def is_throttled(self) -> bool:
        """Whether the clocks were held back during one of its turns."""
        return any(watch is not None and find_throttling("", watch) for watch in self.watches)

    def clock_share(self) -> float | None:
        """Returns the clock of its slowest turn, as a share of what the hardware can; None where nothing tells."""
        shares = [watch.clock_share_median for watch in self.watches if watch is not None]
        return min((share for share in shares if share is not None), default=None)


@dataclass(frozen=True)
class LoadedFile:
    """One of the files that kept the phone busy, whatever came of it.

    Attributes:
        arithmetic: What most multiply-adds compute with: "int8", "float" ...; None where that could not be read.
        coverage: What delegates took of it; None if the load never began.
    """

    file: str
    sha256: str
    size_bytes: int
    arithmetic: str | None
    coverage: Coverage | None


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
        order: "changed" where a shown difference turned; "the same" where each pair shows the same difference both
            times; "not shown" where there are too few cycles, or files too close, to tell.
        turned: Pairs (faster in the end, slower in the end) whose order is another than in the beginning.
        unshown: Pairs that show no difference in the first minute, or none in the last; older records lack them.
        window_cycles: How many cycles the first and the last minute have.
    """

    order: Order
    first: tuple[str, ...]
    last: tuple[str, ...]
    turned: tuple[tuple[str, str], ...]
    window_cycles: tuple[int, int]
    unshown: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SustainedResult:
    """All of one sustained run on one phone.

    Attributes:
        minutes: That were asked for.
        reasons: Why it is not trustworthy, and has no figures; heat is none here, it is what is measured.
        files: Empty where it is not trustworthy.
        ranking: None where it is not trustworthy, and for a single file.
        names: Of the files, in the order of the cycles' latencies; older records lack them, and `loaded`.
        loaded: What those files are, in the same order.
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
    loaded: tuple[LoadedFile, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.names or self.files)
        for index, cycle in enumerate(self.cycles):
            if count and len(cycle.latencies_ms) != count:
                problem = f"expected {count} entries, got {len(cycle.latencies_ms)}"
                raise RecordError(f"cycles[{index}].latencies_ms", problem)
        if (self.verdict == "trustworthy") == bool(self.reasons):
            raise RecordError("reasons", f"expected reasons just where it is not trustworthy, this is {self.verdict}")


def describe_throttling(result: SustainedResult) -> list[str]:
    """Says when a load made the clocks fall, and how far; nothing if it did not, or where the clocks are unknown."""
    throttled = [cycle for cycle in result.cycles if cycle.is_throttled()]
    if not throttled or result.how.gpu:  # while the GPU works, the cores rest
        return []
    shares = [share for cycle in throttled if (share := cycle.clock_share()) is not None]
    fell = f"; their clock fell to {min(shares):.0%}" if shares else ""
    begin = throttled[0].minutes
    return [
        f"the cores throttled in {len(throttled)} of {len(result.cycles)} cycles, first after {begin:.1f} minutes{fell}"
    ]
