"""What single cores had to do in a second: a program that holds one core hardly shows in the load of a phone."""

import re
from dataclasses import dataclass

GLANCE_S = 0.08  # eight of the kernel's ticks: enough to see that a core rests
WATCH_S = 1.0
BUSY_SHARE = 0.25  # of one core, while nothing of ours runs

_LOOK = "grep '^cpu[0-9]' /proc/stat"


@dataclass(frozen=True)
class CoreLoad:
    """What share of a while one core worked, in which nothing of ours ran."""

    core: int
    busy_share: float


def make_look(seconds: float) -> str:
    """Returns the line of sh that looks twice at the cores; it does not wait where there is nothing to read."""
    return f"{_LOOK} && sleep {seconds:g} && echo later && {_LOOK}"


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
