"""Which cores of a phone are the big ones, as the phone itself tells, and the masks for `taskset` that follow."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.phone_files import read_many, to_int
from nasfpn_lite.errors import UserError

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device

CPU_FOLDER = "/sys/devices/system/cpu"
CLUSTER_NAMES = ("big", "mid", "little", "all")

_FILES = (
    f"{CPU_FOLDER}/possible",
    f"{CPU_FOLDER}/online",
    f"{CPU_FOLDER}/cpu[0-9]*/cpufreq/cpuinfo_max_freq",
    f"{CPU_FOLDER}/cpu[0-9]*/cpu_capacity",
)

# Where the fastest cores lie, from the layouts of the chips. A cross-check only: masks come from the phone.
_KNOWN_BIG_MASKS = {
    "0c": ("Pixel", "Pixel XL"),
    "f0": ("Pixel 2", "Pixel 2 XL", "Pixel 3", "Pixel 3 XL"),
    "c0": (
        *("Pixel 3a", "Pixel 3a XL", "Pixel 4a", "Pixel 4a (5G)", "Pixel 5", "Pixel 5a"),
        *("Pixel 6", "Pixel 6 Pro", "Pixel 6a", "Pixel 7", "Pixel 7 Pro", "Pixel 7a", "Pixel Fold", "Pixel Tablet"),
    ),
    "80": ("Pixel 4", "Pixel 4 XL", "Pixel 9", "Pixel 9 Pro", "Pixel 9 Pro XL", "Pixel 9 Pro Fold", "Pixel 9a"),
    "100": ("Pixel 8", "Pixel 8 Pro", "Pixel 8a"),
}
KNOWN_BIG_MASK = {model: mask for mask, models in _KNOWN_BIG_MASKS.items() for model in models}


class TopologyError(UserError):
    """The phone has no such cores."""


@dataclass(frozen=True)
class Core:
    """One core.

    Attributes:
        max_khz: The most that the hardware can; None where the phone does not tell, as for some cores that are off.
        capacity: The kernel's measure of speed, 1024 for the fastest core; None on older kernels.
    """

    number: int
    online: bool
    max_khz: int | None
    capacity: int | None


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind, all of them online."""

    cores: tuple[int, ...]
    max_khz: int | None
    capacity: int | None


@dataclass(frozen=True)
class Topology:
    """All cores of a phone, by number."""

    cores: tuple[Core, ...]

    @property
    def online(self) -> tuple[int, ...]:
        """Returns the numbers of the cores that run."""
        return tuple(core.number for core in self.cores if core.online)

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Returns the kinds of cores, slowest first: by capacity, then by frequency.

        A measure that the phone gives for some of its cores only is left out for all.
        """
        online = [core for core in self.cores if core.online]
        rated = all(core.capacity is not None for core in online)
        timed = all(core.max_khz is not None for core in online)
        groups: dict[tuple[int, int], list[int]] = {}
        for core in online:
            kind = (core.capacity or 0) if rated else 0, (core.max_khz or 0) if timed else 0
            groups.setdefault(kind, []).append(core.number)
        return tuple(
            Cluster(tuple(numbers), max_khz if timed else None, capacity if rated else None)
            for (capacity, max_khz), numbers in sorted(groups.items())
        )

    def select(self, cores: str = "big", count: int = 1) -> tuple[int, ...]:
        """Returns the numbers of the cores that a run may use.

        Args:
            cores: "big", "mid" or "little" for the `count` highest-numbered cores of that kind; "all" for every core;
                or a mask in hex, which is taken as it is.
            count: Threads that will run.

        Raises:
            TopologyError: There are no such cores, too few of them, or some are offline.
        """
        if count < 1:
            raise TopologyError(f"expected at least one thread, got {count}")
        if cores in CLUSTER_NAMES:
            chosen = self.online if cores == "all" else self._find_cluster(cores).cores
        else:
            chosen = self._parse_mask(cores)
        if len(chosen) < count:
            raise TopologyError(
                f"{cores!r} has {len(chosen)} core(s) ({to_mask(chosen)}), too few for {count} threads; "
                f"take fewer threads, or --cores all ({to_mask(self.online)})"
            )
        return chosen[-count:] if cores in ("big", "mid", "little") else chosen

    def mask(self, cores: str = "big", count: int = 1) -> str:
        """Returns the cores of `select` as hex without 0x, as Android's taskset wants them: core 7 is "80"."""
        return to_mask(self.select(cores, count))

    def _find_cluster(self, name: str) -> Cluster:
        clusters = self.clusters
        if name == "mid" and len(clusters) < 3:
            kinds = ", ".join(to_mask(cluster.cores) for cluster in clusters)
            raise TopologyError(
                f"this phone has no mid cores, only {len(clusters)} kind(s): {kinds}; take big or little"
            )
        return clusters[{"big": -1, "mid": -2, "little": 0}[name]]

    def _parse_mask(self, text: str) -> tuple[int, ...]:
        if not re.fullmatch(r"(0[xX])?[0-9a-fA-F]+", text) or int(text, 16) == 0:
            names = ", ".join(CLUSTER_NAMES)
            raise TopologyError(f"expected {names} or a mask in hex as f0 of the cores to use, got {text!r}")
        chosen = mask_to_cores(text)
        missing = [number for number in chosen if number not in self.online]
        if missing:
            raise TopologyError(
                f"the mask {text} names core(s) {', '.join(map(str, missing))}, which are not there or offline; "
                f"online are {to_mask(self.online)}"
            )
        return chosen

    def find_oddities(self, model: str | None, cores: Collection[int]) -> tuple[str, ...]:
        """Says what a reader of the figures should know of the cores.

        Args:
            model: ro.product.model; a Pixel's big cores are compared with the layout of its chip.
            cores: Those chosen as "big"; empty where others were asked for.
        """
        found = []
        offline = [core.number for core in self.cores if not core.online]
        if offline:
            found.append(f"core(s) {', '.join(map(str, offline))} are offline: they may be faster than those in use")
        if len(self.clusters) == 1:
            found.append("all cores look equal: big and little cannot be told apart")
        known = KNOWN_BIG_MASK.get(model or "")
        if known and any(not int(known, 16) >> core & 1 for core in cores):
            found.append(f"the fastest cores of a {model} should be {known}, but this phone tells {to_mask(cores)}")
        return tuple(found)


def to_mask(cores: Collection[int]) -> str:
    """Returns numbers of cores as a mask: (2, 3) is "0c"."""
    return f"{sum(1 << number for number in set(cores)):02x}"


def mask_to_cores(mask: str) -> tuple[int, ...]:
    """Returns the numbers of the cores of a mask: "0c" is (2, 3)."""
    bits = int(mask, 16)
    return tuple(number for number in range(bits.bit_length()) if bits >> number & 1)


def read_topology(device: "Device") -> Topology:
    """Asks a phone for its cores.

    Raises:
        TopologyError: It does not say which cores it has.
    """
    return parse_topology(read_many(device, files=_FILES), serial=device.serial)


def parse_topology(files: Mapping[str, str], *, serial: str = "phone") -> Topology:
    """Builds the topology of the files below /sys/devices/system/cpu: path -> text."""
    possible = parse_core_list(files.get(f"{CPU_FOLDER}/possible", ""))
    if not possible:
        raise TopologyError(f"{serial} does not say which cores it has: {CPU_FOLDER}/possible cannot be read")
    online = parse_core_list(files.get(f"{CPU_FOLDER}/online", "")) or possible
    return Topology(
        tuple(
            Core(
                number,
                number in online,
                to_int(files.get(f"{CPU_FOLDER}/cpu{number}/cpufreq/cpuinfo_max_freq")),
                to_int(files.get(f"{CPU_FOLDER}/cpu{number}/cpu_capacity")),
            )
            for number in possible
        )
    )


def parse_core_list(text: str) -> tuple[int, ...]:
    """Reads the kernel's way to list cores: "0-3,6" is (0, 1, 2, 3, 6); nothing for what is no such list."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if not match:
            return ()
        numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(sorted(set(numbers)))
