"""The records of a session on a phone, as they stand in its JSON file."""

from dataclasses import dataclass
from typing import Any, Literal

from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.conditions import Conditions
from nasfpn_lite.android_bench.topology import Cluster
from nasfpn_lite.android_bench.turn_watch import TurnWatch

SCHEMA: Literal["nasfpn-lite/android-bench"] = "nasfpn-lite/android-bench"
VERSION: Literal[1] = 1

Interval = tuple[float, float]
Verdict = Literal["trustworthy", "not trustworthy"]


def _check_positive(record: Any, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and value <= 0:
            raise RecordError(name, f"expected more than 0, got {value}")


@dataclass(frozen=True)
class Coverage:
    """What delegates took of a model.

    Attributes:
        delegates: Their names; empty where the log is mute.
        delegated_nodes: Of `nodes`, in `partitions` pieces.
        text: All of it in words.
    """

    delegates: tuple[str, ...]
    nodes: int | None
    delegated_nodes: int | None
    partitions: int | None
    share: float | None
    text: str


@dataclass(frozen=True)
class Turn:
    """One start of the runner with one file.

    Attributes:
        latency_ms: Mean over the runs, as the runner prints it.
        latency_ms_p90: 90th percentile of the runs; None where the runner does not tell single runs.
        init_ms: From reading the file to allocated tensors.
        memory_growth_bytes: Resident memory at the end, less that at the start of the runner.
        seconds: Of the whole turn, the runner's start and adb included.
        watch: Clocks and cores meanwhile; None in older records, and where they could not be read.
    """

    runs: int
    latency_ms: float
    latency_ms_min: float
    latency_ms_max: float
    latency_ms_p90: float | None
    init_ms: float | None
    peak_memory_bytes: int | None
    memory_growth_bytes: int | None
    seconds: float
    watch: TurnWatch | None = None

    def __post_init__(self) -> None:
        _check_positive(self, "runs", "latency_ms", "latency_ms_min", "latency_ms_max")
        if self.latency_ms_min > self.latency_ms_max:
            raise RecordError("latency_ms_min", f"expected at most latency_ms_max, got {self.latency_ms_min}")


@dataclass(frozen=True)
class Round:
    """One turn of each file, in the order of the session's files.

    Attributes:
        attempt: Above 1 where earlier ones were discarded, or broken off by a kill or a pulled cable.
    """

    number: int
    attempt: int
    before: Conditions
    after: Conditions
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class DiscardedRound:
    """A round that was measured again, and why."""

    number: int
    attempt: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class FileFigures:
    """One file's figures over all rounds; None where the verdict is "not trustworthy".

    Attributes:
        arithmetic: What most multiply-adds compute with: "int8", "float" ...; None where that could not be read.
        latency_ms_p50: Median over the rounds of a turn's mean, with the interval that covers it with ci_coverage.
        latency_ms_p90: 90th percentile: of the runs (the median of the rounds), or of the rounds; p90_of says which.
        reasons: Why this file's figures are not trustworthy.
    """

    file: str
    sha256: str
    size_bytes: int
    arithmetic: str | None
    multiply_adds: int | None
    runner: str
    verdict: Verdict
    reasons: tuple[str, ...]
    latency_ms_p50: float | None
    latency_ms_ci: Interval | None
    ci_coverage: float | None
    latency_ms_p90: float | None
    p90_of: Literal["runs", "rounds"] | None
    init_ms: float | None
    peak_memory_bytes: int | None
    memory_growth_bytes: int | None
    coverage: Coverage | None

    def __post_init__(self) -> None:
        _check_positive(self, "latency_ms_p50", "latency_ms_p90")
        if (self.verdict == "trustworthy") != (self.latency_ms_p50 is not None):
            raise RecordError(
                "latency_ms_p50", f"expected a figure just where it is trustworthy, this is {self.verdict}"
            )


@dataclass(frozen=True)
class Phone:
    """The phone and the cores in use.

    Attributes:
        cores: What the user asked for: "big", ... or a mask.
        mask: For taskset, in hex.
        notes: What belongs beside the figures.
    """

    serial: str
    model: str | None
    fingerprint: str | None
    abi: str | None
    sdk: int | None
    simulated: bool
    clusters: tuple[Cluster, ...]
    cores: str
    mask: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class HowMeasured:
    """What was asked of the runner and of the phone: all of `SessionOptions` but the cores, which `Phone` has.

    An `xnnpack` of None left that to the runner. Older records lack what is behind `accepted`.
    """

    runner: str
    threads: int
    xnnpack: bool | None
    runs: int
    warmup_runs: int
    min_s: float
    rounds: int
    accepted: tuple[str, ...]
    gpu: bool = False
    max_s: float | None = None
    cool_below_c: float | None = None
    patience_s: float | None = None
    repeats: int | None = None
    min_coverage: float | None = None


@dataclass(frozen=True)
class Origin:
    """What made the record, and when (UTC, ISO 8601).

    Attributes:
        resumed: How often the session went on after a break.
    """

    versions: dict[str, str]
    commit: str | None
    started: str
    finished: str
    resumed: int = 0


@dataclass(frozen=True)
class SessionResult:
    """All of one session on one phone.

    Attributes:
        reasons: Why the whole session is not trustworthy; empty if it is.
    """

    schema: Literal["nasfpn-lite/android-bench"]
    version: Literal[1]
    origin: Origin
    phone: Phone
    how: HowMeasured
    verdict: Verdict
    reasons: tuple[str, ...]
    files: tuple[FileFigures, ...]
    rounds: tuple[Round, ...]
    discarded: tuple[DiscardedRound, ...]
    before: Conditions
    after: Conditions

    def __post_init__(self) -> None:
        for index, item in enumerate(self.rounds):
            if len(item.turns) != len(self.files):
                raise RecordError(
                    f"rounds[{index}].turns", f"expected one for each of {len(self.files)} files, got {len(item.turns)}"
                )
        if (self.verdict == "trustworthy") == bool(self.reasons):
            raise RecordError("reasons", f"expected reasons just where it is not trustworthy, this is {self.verdict}")
