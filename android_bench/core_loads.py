"""What single cores had to do in a second: a program that holds one core hardly shows in the load of a phone."""

import re
from dataclasses import dataclass

_LOOK = "grep '^cpu[0-9]' /proc/stat"
WATCH_CORES = f"{_LOOK} && sleep 1 && echo later && {_LOOK}"  # no wait where there is nothing to read


@dataclass(frozen=True)
class CoreLoad:
    """What share of a second one core worked, while nothing of ours ran."""

    core: int
    busy_share: float


def parse_loads(text: str) -> tuple[CoreLoad, ...] | None:
    """Reads the lines of the cores in /proc/stat, before and after a line `later`; None for what is no such text."""
    before, _, after = text.replace("\r", "").partition("\nlater\n")
    first, then = _parse_ticks(before), _parse_ticks(after)
    loads = []
    for core, (busy, total) in then.items():
        passed = total - first[core][1] if core in first else 0
        if passed > 0:
            loads.append(CoreLoad(core, (busy - first[core][0]) / passed))
    return tuple(loads) or None


def _parse_ticks(text: str) -> dict[int, tuple[int, int]]:
    """Returns core -> (busy ticks, all ticks)."""
    ticks = {}
    for core, words in re.findall(r"^cpu(\d+) ([\d ]+)$", text, re.MULTILINE):
        # user nice system idle iowait irq softirq steal; guests, after them, are in user already.
        counts = [int(word) for word in words.split()][:8]
        ticks[int(core)] = sum(counts) - sum(counts[3:5]), sum(counts)
    return ticks
