"""Clocks and cores during a turn, sampled on the phone itself: a cap is often gone when the turn is over."""

import re
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nasfpn_lite.android_bench.doubts import Doubt
from nasfpn_lite.android_bench.topology import CPU_FOLDER, to_mask

FEWEST_SAMPLES = 3  # below them, a median may be the clock's way up
SLOW_CLOCK = 0.8  # of the clock that is allowed; a busy core keeps to all of it

# $1 file to write, $2 cores, $3 number of the runner's process. But for `sleep`, only what is built into the shell.
_LOOP = f"""
exec > "$1"
for core in $2; do
  khz=
  read -r khz < {CPU_FOLDER}/cpu$core/cpufreq/cpuinfo_max_freq
  echo "hardware $core ${{khz:--}}"
done
while [ -d /proc/$3 ]; do
  echo sample
  for core in $2; do
    now= most=
    read -r now < {CPU_FOLDER}/cpu$core/cpufreq/scaling_cur_freq
    read -r most < {CPU_FOLDER}/cpu$core/cpufreq/scaling_max_freq
    echo "clock $core ${{now:--}} ${{most:--}}"
  done
  while read -r name mask; do
    [ "$name" = Cpus_allowed: ] && echo "mask $mask"
  done < /proc/$3/status
  sleep 0.25
done"""


@dataclass(frozen=True)
class TurnWatch:
    """What the samples of one turn say. What could not be read is None, or missing.

    Attributes:
        clock_share_lowest: Of the chosen core that ran fastest, as a share of what the hardware can.
        allowed_share_lowest: The most that the system allowed, of any chosen core, as a share of what the hardware can.
        masks: Of the cores that the runner's process might use, in hex, each once.
    """

    samples: int
    clock_share_lowest: float | None
    clock_share_median: float | None
    allowed_share_lowest: float | None
    masks: tuple[str, ...]


def make_watch_command(cores: Collection[int], online: Collection[int], path: str) -> list[str]:
    """Returns the words that start the sampling, on a core that is not measured; the runner's number is to follow."""
    others = sorted(set(online) - set(cores))
    pinned = ["taskset", to_mask(others[:1])] if others else []
    return [*pinned, "sh", "-c", _LOOP, "sh", path, " ".join(map(str, cores))]


def parse_watch(text: str) -> TurnWatch:
    """Reads what the sampling wrote; a last line may be cut."""
    hardware = {core: int(khz) for core, khz in re.findall(r"^hardware (\d+) (\d+)$", text, re.MULTILINE)}
    clocks: list[float] = []
    allowed: list[float] = []
    samples = re.split(r"^sample$", text, flags=re.MULTILINE)[1:]
    for sample in samples:
        found = re.findall(r"^clock (\d+) (\d+|-) (\d+|-)$", sample, re.MULTILINE)
        known = [(hardware[core], now, most) for core, now, most in found if hardware.get(core)]
        clocks += [max(shares)] if (shares := [int(now) / most for most, now, _ in known if now != "-"]) else []
        allowed += [int(limit) / most for most, _, limit in known if limit != "-"]
    masks = re.findall(r"^mask ([0-9a-fA-F,]+)$", text, re.MULTILINE)
    return TurnWatch(
        samples=len(samples),
        clock_share_lowest=min(clocks, default=None),
        clock_share_median=statistics.median(clocks) if clocks else None,
        allowed_share_lowest=min(allowed, default=None),
        masks=tuple(dict.fromkeys(f"{int(mask.replace(',', ''), 16):02x}" for mask in masks)),
    )


def find_watch_doubts(name: str, watch: TurnWatch | None, cores: Collection[int], *, simulated: bool) -> list[Doubt]:
    """Says why a turn is not trustworthy; nothing where the phone does not tell, which `find_gaps` says.

    Args:
        name: Of the file.
        cores: Those that were asked for.
        simulated: The phone has fewer cores than it says: its masks are others.
    """
    if watch is None:
        return []
    doubts = find_throttling(name, watch)
    asked = to_mask(cores)
    others = [mask for mask in watch.masks if mask != asked]
    if others and not simulated:
        text = f"{name}: the runner might use the cores {', '.join(others)}, not {asked} as was asked"
        doubts.append(Doubt("moved", text, True))
    return doubts


def find_throttling(name: str, watch: TurnWatch) -> list[Doubt]:
    """Says by what the clocks were held back during a turn; nothing if they were not, or are unknown."""
    doubts = []
    allowed, median = watch.allowed_share_lowest, watch.clock_share_median
    if allowed is not None and allowed < 1:
        text = f"{name}: throttled during the run: the cores might run at {allowed:.0%} of their clock only"
        doubts.append(Doubt("capped", text, True))
    if median is not None and watch.samples >= FEWEST_SAMPLES and median < SLOW_CLOCK * (allowed or 1.0):
        text = f"{name}: throttled during the run: the cores ran at {median:.0%} of their clock, though they were busy"
        doubts.append(Doubt("slow_clock", text, True))
    return doubts


def find_gaps(watches: Sequence[TurnWatch | None]) -> tuple[str, ...]:
    """Says what could not be seen during turns."""
    notes = []
    if any(watch is None or watch.allowed_share_lowest is None for watch in watches):
        notes.append("clocks during some turns are unknown: throttling that ended with the turn would go unseen")
    if any(watch is None or not watch.masks for watch in watches):
        notes.append("the cores that ran in some turns are unknown: the phone does not tell")
    return tuple(notes)
