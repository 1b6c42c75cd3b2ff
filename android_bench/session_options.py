"""How a session measures; the defaults are those of the published Pixel figures: one thread on one big core."""

import math
from dataclasses import dataclass

from nasfpn_lite.android_bench.doubts import DOUBT_CODES, HOT_C
from nasfpn_lite.errors import UserError

LEAST_ROUNDS = 5
DEFAULT_ROUNDS = 6  # the fewest with a 95 % interval
SPREAD = "spread"  # a doubt about a file's figures, not about the phone
ACCEPTABLE = (*DOUBT_CODES, SPREAD)

# Options of the command line that are not called as the fields are: name, and how much of the field is 1 of it.
_OPTIONS = {
    "min_s": ("--min-seconds", 1.0),
    "max_s": ("--max-seconds", 1.0),
    "cool_below_c": ("--cool-below", 1.0),
    "patience_s": ("--wait-minutes", 60.0),
}


class SessionError(UserError):
    """Options that no session can have, or a file that cannot be measured."""


@dataclass(frozen=True)
class SessionOptions:
    """How to measure.

    Attributes:
        cores: "big", "mid", "little", "all", or a mask in hex.
        runs: In a turn, at least so many, for at least `min_s` and at most `max_s`.
            The warm-up before them takes half a second, or `min_s` if that is less.
        xnnpack: None leaves it to the runner; some builds know no such switch.
        gpu: Run on the GPU what it can, the rest as without.
        cool_below_c: Skin and battery, before a round begins.
        patience_s: How long to wait until the phone is cool and quiet.
        repeats: Rounds that may be discarded before the session gives up.
        accepted: Doubts that the user takes, by their codes.
        min_coverage: Least share of the operators that delegates must run, 0 to 1; 0 asks nothing. With `gpu`, that the
            GPU must run.
    """

    threads: int = 1
    cores: str = "big"
    rounds: int = DEFAULT_ROUNDS
    runs: int = 50
    warmup_runs: int = 1
    min_s: float = 1.0
    max_s: float = 150.0
    xnnpack: bool | None = True
    gpu: bool = False
    cool_below_c: float = HOT_C
    patience_s: float = 600.0
    repeats: int = 3
    accepted: tuple[str, ...] = ()
    min_coverage: float = 0.0

    def __post_init__(self) -> None:
        if self.rounds < LEAST_ROUNDS:
            raise SessionError(f"expected --rounds of at least {LEAST_ROUNDS}, got {self.rounds}: fewer show no spread")
        self._check_floats()
        for name in ("threads", "runs", "max_s"):
            if getattr(self, name) <= 0:
                raise self._refuse(name, "{} above 0")
        for name in ("warmup_runs", "min_s", "patience_s", "repeats"):
            if getattr(self, name) < 0:
                raise self._refuse(name, "{} of at least 0")
        if not 0 <= self.min_coverage <= 1:
            raise self._refuse("min_coverage", "{} of 0 (nothing is asked) to 1 (every operator)")
        unknown = [code for code in self.accepted if code not in ACCEPTABLE]
        if unknown:
            raise SessionError(f"--accept cannot take {', '.join(unknown)}: expected of {', '.join(ACCEPTABLE)}")

    def _check_floats(self) -> None:
        for name in ("min_s", "max_s", "cool_below_c", "patience_s", "min_coverage"):
            if not math.isfinite(getattr(self, name)):
                raise self._refuse(name, "a finite {}")
        if self.min_s > self.max_s > 0:
            raise self._refuse("min_s", f"{{}} of at most --max-seconds, {self.max_s:g}")

    def _refuse(self, name: str, wanted: str) -> SessionError:
        """Returns the error of a field, by the name and in the unit of its option."""
        option, unit = _OPTIONS.get(name, (f"--{name.replace('_', '-')}", 1))
        return SessionError(f"expected {wanted.format(option)}, got {getattr(self, name) / unit:g}")

    @property
    def turn_timeout_s(self) -> float:
        """Returns a bound for one turn: warm-up and runs may take `max_s` each, loading a slow phone the rest."""
        return 2 * self.max_s + 120.0
