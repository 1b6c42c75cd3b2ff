"""What a simulated phone tells of itself: properties, /sys, /proc/cpuinfo and dumpsys.

Nothing of it passes for a real phone: model and fingerprint say "simulated".
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cluster:
    """Cores that share a clock; `capacity` as the kernel gives it, 1024 for the fastest core."""

    cores: int
    capacity: int
    min_khz: int
    max_khz: int


# As a Pixel 6: four little cores, two middle ones, two big ones.
CLUSTERS = (Cluster(4, 160, 300000, 1803000), Cluster(2, 498, 400000, 2253000), Cluster(2, 1024, 500000, 2802000))

# Type and temperature in thousandths of a degree.
THERMAL_ZONES = (("BIG", 33000), ("MID", 32500), ("LITTLE", 32000), ("G3D", 31500), ("battery", 27100))

DUMPSYS = {
    "thermalservice": """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 2
\tkilled: false
\tbroadcasts count: -1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=41.7, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=33.0, mType=0, mName=BIG, mStatus=0}
\tTemperature{mValue=32.5, mType=0, mName=MID, mStatus=0}
\tTemperature{mValue=32.0, mType=0, mName=LITTLE, mStatus=0}
\tTemperature{mValue=27.1, mType=2, mName=battery, mStatus=0}
\tTemperature{mValue=29.4, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=VIRTUAL-SKIN, mHotThrottlingThresholds=[NaN, 39.0, 43.0, 45.0, 46.5, 52.0, \
55.0], mColdThrottlingThresholds=[NaN, NaN, NaN, NaN, NaN, NaN, NaN]}
""",
    "battery": """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 3800000
  status: 2
  health: 2
  present: true
  level: 85
  scale: 100
  voltage: 4210
  temperature: 271
  technology: Li-ion
""",
    "power": """\
POWER MANAGER (dumpsys power)

Power Manager State:
  mWakefulness=Asleep
  mIsPowered=true
  mPlugType=2
  mBatteryLevel=85
  mLowPowerModeEnabled=false
""",
    "display": """\
DISPLAY MANAGER (dumpsys display)
  mScreenState=OFF
  mScreenBrightness=0.0
""",
}

SETTINGS = {"global": {"airplane_mode_on": "1", "low_power": "0"}, "system": {"screen_brightness": "0"}}


def make_properties(abi: str) -> dict[str, str]:
    """Returns the system properties of a phone that was just made."""
    return {
        "ro.product.manufacturer": "Simulated",
        "ro.product.brand": "simulated",
        "ro.product.name": "simulated_oriole",
        "ro.product.device": "oriole",
        "ro.product.model": "Simulated Pixel 6",
        "ro.product.cpu.abi": abi,
        "ro.product.cpu.abilist": abi,
        "ro.hardware": "oriole",
        "ro.soc.manufacturer": "Simulated",
        "ro.soc.model": "GS101",
        "ro.build.version.release": "14",
        "ro.build.version.sdk": "34",
        "ro.build.fingerprint": "simulated/oriole/oriole:14/NONE/1:userdebug/test-keys",
    }


def write_sys(folder: Path, clusters: Sequence[Cluster]) -> None:
    """Writes the /sys of cores, clocks and temperatures; the cores of a cluster share the files of its clock."""
    cpu = folder / "devices/system/cpu"
    count = sum(cluster.cores for cluster in clusters)
    _write(cpu, {name: f"0-{count - 1}" for name in ("possible", "present", "online")})
    first = 0
    for package, cluster in enumerate(clusters):
        cores = range(first, first + cluster.cores)
        _write(cpu / f"cpufreq/policy{first}", _clock(cluster, cores))
        for core in cores:
            _write(cpu / f"cpu{core}", {"online": "1", "cpu_capacity": str(cluster.capacity)})
            _write(cpu / f"cpu{core}/topology", _topology(core, cores, package))
            (cpu / f"cpu{core}/cpufreq").symlink_to(f"../cpufreq/policy{first}")
        first += cluster.cores
    for number, (kind, temperature) in enumerate(THERMAL_ZONES):
        zone = folder / f"class/thermal/thermal_zone{number}"
        _write(zone, {"type": kind, "temp": str(temperature), "mode": "enabled"})


def write_cpuinfo(path: Path, abi: str, cores: int) -> None:
    """Writes /proc/cpuinfo for so many cores: the machine's own first core again and again, or qemu's Cortex-A72."""
    path.write_text("".join(_cpuinfo_blocks(abi, cores)), encoding="utf-8")


def write_tree(folder: Path, texts: dict[str, str]) -> None:
    """Writes files as they are; folders and files may be written to by the phone's user too."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o666)


def _write(folder: Path, values: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n", encoding="utf-8")


def _clock(cluster: Cluster, cores: range) -> dict[str, str]:
    names = " ".join(map(str, cores))
    return {
        "cpuinfo_min_freq": str(cluster.min_khz),
        "cpuinfo_max_freq": str(cluster.max_khz),
        "scaling_min_freq": str(cluster.min_khz),
        "scaling_max_freq": str(cluster.max_khz),
        "scaling_cur_freq": str(cluster.max_khz),
        "scaling_governor": "sched_pixel",
        "scaling_available_governors": "sched_pixel schedutil powersave performance",
        "related_cpus": names,
        "affected_cpus": names,
    }


def _topology(core: int, siblings: range, package: int) -> dict[str, str]:
    mask = sum(1 << sibling for sibling in siblings)
    return {
        "core_id": str(core),
        "physical_package_id": "0",
        "cluster_id": str(package),
        "thread_siblings": f"{1 << core:x}",
        "thread_siblings_list": str(core),
        "core_siblings": f"{mask:x}",
        "core_siblings_list": f"{siblings[0]}-{siblings[-1]}",
    }


def _cpuinfo_blocks(abi: str, cores: int) -> Iterator[str]:
    if abi == "x86_64":
        host = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        numbered = ("processor", "core id", "apicid", "initial apicid")
        for core in range(cores):
            counted = {"siblings": cores, "cpu cores": cores} | dict.fromkeys(numbered, core)
            lines = [_renumber(line, counted) for line in host]
            yield "\n".join(lines) + "\n\n"
        return
    for core in range(cores):
        yield (
            f"processor\t: {core}\nBogoMIPS\t: 49.15\n"
            "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n"
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
        )
    yield "Hardware\t: simulated\n"


def _renumber(line: str, values: dict[str, int]) -> str:
    name = line.partition(":")[0]
    return f"{name}: {values[name.strip()]}" if name.strip() in values else line


def host_cores() -> str:
    """Returns the numbers of the cores that this machine really lets us use."""
    return " ".join(map(str, sorted(os.sched_getaffinity(0))))
