"""How much memory a process has needed."""

import resource
import sys
from pathlib import Path

_KILOBYTE = 1024


def peak_memory_bytes() -> int:
    """Returns the largest resident set that this process has had."""
    # VmHWM, unlike ru_maxrss, does not inherit the peak of the process that forked this one.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KILOBYTE
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KILOBYTE
