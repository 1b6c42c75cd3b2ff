"""The state of a phone at one moment, as it tells it: clocks, heat, battery, screen, load."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfpn_lite.android_bench.core_loads import BUSY_SHARE, GLANCE_S, WATCH_S, CoreLoad, make_look, parse_loads
from nasfpn_lite.android_bench.phone_files import read_many, to_int
from nasfpn_lite.android_bench.topology import CPU_FOLDER, parse_core_list

if TYPE_CHECKING:
    from nasfpn_lite.android_bench.device import Device

_CORE_FILES = ("scaling_governor", "scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq")
_FILES = (
    f"{CPU_FOLDER}/online",
    "/proc/loadavg",
    *(f"{CPU_FOLDER}/cpu[0-9]*/cpufreq/{name}" for name in _CORE_FILES),
)
_COMMANDS = {
    "model": "getprop ro.product.model",
    "fingerprint": "getprop ro.build.fingerprint",
    "abi": "getprop ro.product.cpu.abi",
    "sdk": "getprop ro.build.version.sdk",
    "simulated": "getprop ro.nasfpn.simulated",
    "thermal": "dumpsys thermalservice",
    "battery": "dumpsys battery",
    # The whole of it is thousands of lines.
    "power": "dumpsys power | grep mWakefulness=",
    "saver": "settings get global low_power",
}


@dataclass(frozen=True)
class CoreClock:
    """One core's clock. Unreadable parts are None.

    Attributes:
        current_khz: At the moment of reading, mostly at rest.
        allowed_khz: The most that the system lets it do now; lowered against heat and for the battery.
        hardware_khz: The most that it can do.
    """

    core: int
    governor: str | None
    current_khz: int | None
    allowed_khz: int | None
    hardware_khz: int | None


@dataclass(frozen=True)
class Temperature:
    """One sensor as the phone's hardware layer reports it now.

    Attributes:
        kind: Android's number: 0 CPU, 1 GPU, 2 battery, 3 skin.
        status: Android's throttling level of this sensor; 0 is none.
    """

    name: str
    kind: int
    value_c: float
    status: int


@dataclass(frozen=True)
class Conditions:
    """What a phone said of itself at one moment. What it did not say is None."""

    model: str | None
    fingerprint: str | None
    abi: str | None
    sdk: int | None
    simulated: bool
    clocks: tuple[CoreClock, ...]
    temperatures: tuple[Temperature, ...] | None
    thermal_status: int | None
    battery_percent: int | None
    battery_charging: bool | None
    battery_c: float | None
    battery_saver: bool | None
    screen_on: bool | None
    load_average: float | None
    loads: tuple[CoreLoad, ...] | None = None

    def hottest_outside_c(self) -> float | None:
        """Returns the highest of skin and battery, which stay warm after the cores have cooled within seconds."""
        outside = [item.value_c for item in self.temperatures or () if item.kind in (2, 3)]
        values = outside if self.battery_c is None else [*outside, self.battery_c]
        return max(values, default=None)


def read_conditions(device: "Device", *, watched: Collection[int] = ()) -> Conditions:
    """Asks a phone for its state, in one round trip, or two.

    Args:
        watched: Cores that should rest. What all have to do is looked at for a moment, before the other commands,
            which are work themselves; if one of these seems busy, for a second more, which tells.
    """
    commands = {"loads": make_look(GLANCE_S), **_COMMANDS} if watched else _COMMANDS
    texts = read_many(device, files=_FILES, commands=commands)
    # In so short a moment work that just ended, such as adb's own, passes for a program that stays.
    loads = parse_loads(texts.get("loads", "")) or ()
    if any(load.busy_share > BUSY_SHARE for load in loads if load.core in watched):
        texts |= read_many(device, commands={"loads": make_look(WATCH_S)})
    return parse_conditions(texts)


def parse_conditions(texts: Mapping[str, str]) -> Conditions:
    """Builds the record of what `read_conditions` reads: name or path -> text."""
    thermal, battery = texts.get("thermal", ""), texts.get("battery", "")
    level = to_int(_find(r"^\s*level: (\d+)", battery))
    tenths_c = to_int(_find(r"^\s*temperature: (-?\d+)", battery))
    return Conditions(
        model=texts.get("model"),
        fingerprint=texts.get("fingerprint"),
        abi=texts.get("abi"),
        sdk=to_int(texts.get("sdk")),
        simulated=texts.get("simulated") == "1" or texts.get("fingerprint", "").startswith("simulated/"),
        clocks=_parse_clocks(texts),
        temperatures=parse_temperatures(thermal),
        thermal_status=to_int(_find(r"^Thermal Status: (\d+)", thermal)),
        battery_percent=level,
        battery_charging=_parse_charging(battery),
        battery_c=None if tenths_c is None else tenths_c / 10,
        battery_saver={"1": True, "0": False}.get(texts.get("saver", "").strip()),
        screen_on=_parse_screen(texts.get("power", "")),
        load_average=_to_float(_find(r"^([\d.]+) ", texts.get("/proc/loadavg", ""))),
        loads=parse_loads(texts.get("loads", "")),
    )


def parse_temperatures(dump: str) -> tuple[Temperature, ...] | None:
    """Reads `dumpsys thermalservice`: the block of the hardware layer only, since the cached block is stale.

    Returns:
        None where that block is missing or empty.
    """
    _, found, rest = dump.partition("Current temperatures from HAL:")
    if not found:
        return None
    # The block ends with the next line that is not indented.
    block = re.split(r"^\S", rest.lstrip("\n"), maxsplit=1, flags=re.MULTILINE)[0]
    pattern = r"Temperature\{mValue=([-\d.eE+]+), mType=(-?\d+), mName=(.*?), mStatus=(-?\d+)\}"
    items = [
        Temperature(name, int(kind), float(value), int(status))
        for value, kind, name, status in re.findall(pattern, block)
    ]
    return tuple(items) or None


def _parse_clocks(texts: Mapping[str, str]) -> tuple[CoreClock, ...]:
    clocks = []
    for core in parse_core_list(texts.get(f"{CPU_FOLDER}/online", "")):
        governor, current, allowed, hardware = (
            texts.get(f"{CPU_FOLDER}/cpu{core}/cpufreq/{name}") for name in _CORE_FILES
        )
        clocks.append(CoreClock(core, governor, to_int(current), to_int(allowed), to_int(hardware)))
    return tuple(clocks)


def _parse_charging(battery: str) -> bool | None:
    powered = re.findall(r"^\s*\w+(?: \w+)* powered: (true|false)", battery, re.MULTILINE)
    return "true" in powered if powered else None


def _parse_screen(power: str) -> bool | None:
    state = _find(r"mWakefulness=(\w+)", power)
    return None if state is None else state in ("Awake", "Dreaming")


def _find(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else None


def _to_float(text: str | None) -> float | None:
    return None if text is None else float(text)
