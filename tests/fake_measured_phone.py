"""A phone made of files and commands: its scripts run in this machine's own sh, below a folder of their own."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nasfpn_lite.android_bench.conditions import Conditions, CoreClock, Temperature
from nasfpn_lite.android_bench.figures import split_rounds, summarize
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.records import (
    SCHEMA,
    VERSION,
    HowMeasured,
    Origin,
    Phone,
    Round,
    SessionResult,
    Turn,
)
from nasfpn_lite.android_bench.topology import Cluster
from nasfpn_lite.android_bench.turn_watch import TurnWatch

CPU = "/sys/devices/system/cpu"

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  level: 85
  scale: 100
  temperature: 284
"""
THERMAL = """IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=48.9, mType=3, mName=skin, mStatus=2}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=31.5, mType=0, mName=cpu0-silver-usr, mStatus=0}
\tTemperature{mValue=29.25, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
\tTemperature{mValue=NaN, mType=1, mName=gpu, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=VIRTUAL-SKIN, mHotThrottlingThresholds=[NaN, 39.0, 43.0]}
"""
PIXEL_PROPERTIES = {
    "getprop ro.product.model": "Pixel",
    "getprop ro.build.fingerprint": "google/sailfish/sailfish:10/QP1A.191005.007.A3/5972272:user/release-keys",
    "getprop ro.product.cpu.abi": "arm64-v8a",
    "getprop ro.build.version.sdk": "29",
    "getprop ro.nasfpn.simulated": "1",
}
PIXEL_COMMANDS = {
    **PIXEL_PROPERTIES,
    "dumpsys thermalservice": THERMAL,
    "dumpsys battery": BATTERY,
    "dumpsys power": "POWER MANAGER (dumpsys power)\n  mWakefulness=Asleep\n  mIsPowered=true\n",
    "settings get global low_power": "0",
}


def cpu_tree(
    max_khz: Sequence[int | None], capacities: Sequence[int | None] | None = None, *, offline: Sequence[int] = ()
) -> dict[str, str]:
    """Files of /sys for cores with these frequencies; a core that is offline has neither."""
    last = len(max_khz) - 1
    online = [number for number in range(last + 1) if number not in offline]
    files = {f"{CPU}/possible": f"0-{last}\n", f"{CPU}/online": ",".join(map(str, online)) + "\n"}
    for number in online:
        if max_khz[number] is not None:
            files[f"{CPU}/cpu{number}/cpufreq/cpuinfo_max_freq"] = f"{max_khz[number]}\n"
            files[f"{CPU}/cpu{number}/cpufreq/scaling_max_freq"] = f"{max_khz[number]}\n"
            files[f"{CPU}/cpu{number}/cpufreq/scaling_cur_freq"] = "307200\n"
            files[f"{CPU}/cpu{number}/cpufreq/scaling_governor"] = "schedutil\n"
        if capacities is not None and capacities[number] is not None:
            files[f"{CPU}/cpu{number}/cpu_capacity"] = f"{capacities[number]}\n"
    return files


PIXEL_1_FILES = {
    **cpu_tree([1593600] * 2 + [2150400] * 2, [512] * 2 + [1024] * 2),
    "/proc/loadavg": "0.52 0.40 0.31 1/700 9000\n",
}


@dataclass
class FakeReply:
    stdout: str
    stderr: str
    exit_code: int
    seconds: float


class FakeAdb:
    """Only what a session asks of adb itself."""

    def read_version(self) -> str:
        return "29.0.6-debian"


class FakePhone:
    """Answers `script` and `shell` as a `Device` does."""

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, str] = PIXEL_1_FILES,
        commands: Mapping[str, str] = PIXEL_COMMANDS,
        serial: str = "FAKE0001",
    ) -> None:
        self.folder, self.serial, self.adb, self.scripts = folder, serial, FakeAdb(), 0
        self._bin = folder / "bin"
        for name in ("getprop", "dumpsys", "settings"):
            program = self._bin / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text('#!/bin/sh\ncat "$0.d/$(echo "$*" | tr " /" __)" 2>/dev/null || echo\n')
            program.chmod(0o755)
        for path, text in files.items():
            self.set_file(path, text)
        for command, text in commands.items():
            self.set_command(command, text)

    def set_file(self, path: str, text: str) -> None:
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def set_command(self, command: str, text: str) -> None:
        program, _, arguments = command.partition(" ")
        self.set_file(f"bin/{program}.d/{arguments.replace(' ', '_').replace('/', '_')}", text)

    def script(self, text: str, *, timeout_s: float, check: bool = True) -> FakeReply:
        self.scripts += 1
        for root in ("/sys/", "/proc/"):
            text = text.replace(root, f"{self.folder}{root}")
        environment = {"PATH": f"{self._bin}:/usr/bin:/bin"}
        result = subprocess.run(
            ["sh", "-c", text], capture_output=True, text=True, env=environment, timeout=timeout_s, check=check
        )
        return FakeReply(result.stdout.replace(str(self.folder), ""), result.stderr, result.returncode, 0.01)

    def check_ready(self) -> None:
        pass

    def get_property(self, name: str) -> str | None:
        return self.script(f"getprop {name}", timeout_s=5).stdout.strip() or None


def make_conditions(**changes: object) -> Conditions:
    """A cool, quiet Pixel with two small and two large cores."""
    clocks = tuple(
        CoreClock(core, "schedutil", 307200, khz, khz) for core, khz in enumerate((1593600, 1593600, 2150400, 2150400))
    )
    quiet = Conditions(
        model="Pixel",
        fingerprint="google/sailfish",
        abi="arm64-v8a",
        sdk=29,
        simulated=True,
        clocks=clocks,
        temperatures=(Temperature("VIRTUAL-SKIN", 3, 29.25, 0),),
        thermal_status=0,
        battery_percent=85,
        battery_charging=True,
        battery_c=28.4,
        battery_saver=False,
        screen_on=False,
        load_average=0.5,
    )
    return replace(quiet, **changes)


def change_clock(state: Conditions, core: int, **changes: object) -> Conditions:
    """The same state with another clock of one core."""
    return replace(state, clocks=tuple(replace(c, **changes) if c.core == core else c for c in state.clocks))


def make_turn(latency_ms: float = 10.0, **changes: object) -> Turn:
    """A turn of 50 runs."""
    turn = Turn(
        runs=50,
        latency_ms=latency_ms,
        latency_ms_min=latency_ms * 0.98,
        latency_ms_max=latency_ms * 1.1,
        latency_ms_p90=None,
        init_ms=3.0,
        peak_memory_bytes=20_000_000,
        memory_growth_bytes=18_000_000,
        seconds=1.6,
        watch=TurnWatch(6, 0.4, 1.0, 1.0, ("0c",)),
    )
    return replace(turn, **changes)


def make_result(
    *latencies_ms: Sequence[float],
    arithmetics: Sequence[str | None] = (),
    reasons: Sequence[str] = (),
    simulated: bool = True,
) -> SessionResult:
    """A session with one file for each row of latencies, one round for each column; files a.tflite, b.tflite ..."""
    cool = make_conditions(simulated=simulated)
    rounds = tuple(
        Round(number, 1, cool, cool, tuple(map(make_turn, column)))
        for number, column in enumerate(zip(*latencies_ms, strict=True), start=1)
    )
    files = []
    for index in range(len(latencies_ms)):
        name, arithmetic = f"{'abcdef'[index]}.tflite", [*arithmetics, *[None] * 6][index]
        file = ModelFile(Path(name), name, f"{index}" * 64, 3_000_000, arithmetic, 1_000_000)
        turns = split_rounds(rounds, index)
        files.append(summarize(file, turns, runner="benchmark_model", reasons=reasons, coverage=None))
    return SessionResult(
        schema=SCHEMA,
        version=VERSION,
        origin=Origin({"adb": "29.0.6-debian"}, None, "2026-01-31T12:00:00Z", "2026-01-31T12:05:00Z"),
        phone=Phone(
            serial="FAKE0001",
            model="Pixel",
            fingerprint="google/sailfish",
            abi="arm64-v8a",
            sdk=29,
            simulated=simulated,
            clusters=(Cluster((0, 1), 1593600, 512), Cluster((2, 3), 2150400, 1024)),
            cores="big",
            mask="08",
            notes=("the phone was charging, which warms it",),
        ),
        how=HowMeasured("benchmark_model", 1, True, 50, 1, 1.0, len(rounds), ()),
        verdict="not trustworthy" if reasons else "trustworthy",
        reasons=tuple(reasons),
        files=tuple(files),
        rounds=rounds,
        discarded=(),
        before=cool,
        after=cool,
    )
