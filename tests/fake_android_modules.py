"""The modules that touch adb and a phone, replaced as a whole: sessions, fleets and verbs run without either."""

import contextlib
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nasfpn_lite.android_bench.adb import Completed
from nasfpn_lite.android_bench.records import Coverage
from nasfpn_lite.errors import UserError
from tests.fake_measured_phone import PIXEL_COMMANDS, FakeAdb, FakePhone, cpu_tree, make_turn
from tests.tiny_tflite import make_tiny_tflite

COVERAGE = Coverage(("XNNPACK",), 10, 9, 1, 0.9, "90.0% (9 of 10) in XNNPACK")
ROOM = "nasfpn_lite.android_bench"


class FakeAdbError(UserError):
    """As adb.AdbError."""

    def __init__(self, problem, call=None, advice=None):
        super().__init__(problem)


class FakeRunnerError(UserError):
    """As runners.RunnerError."""


class FakeNoBenchmarkBinaryError(FakeRunnerError):
    """As runners.NoBenchmarkBinaryError."""


@dataclass(frozen=True)
class FakeListedDevice:
    serial: str
    state: str
    properties: dict[str, str]


@dataclass(frozen=True)
class FakeRunner:
    name: str
    abi: str
    sha256: str = "ab" * 32

    def hash_files(self) -> str:
        return self.sha256


class FakeBench:
    """Latencies by the name of a file: its index makes it slower, its turns differ a little."""

    latency_ms: Callable[[str, str, int], float] = staticmethod(lambda serial, name, turn: 10.0 + turn % 3 / 100)
    log: list[tuple[str, str]] = []  # one for all
    has_no_benchmark_binary = False

    def __init__(self, device, files, runner, options, mask):
        self.serial, self.files, self.mask, self.runner = device.serial, files, mask, runner
        self.turns = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.log.append((self.serial, "left"))

    def open(self):
        return f"/data/local/tmp/nasfpn-lite-{len(self.log)}"

    def remove_left(self, folder):
        self.log.append((self.serial, f"removed {folder}"))

    def warm_up(self):
        self.log.append((self.serial, f"warm-up on {self.mask}"))
        return (COVERAGE,) * len(self.files)

    def take(self, index):
        name = self.files[index].name
        latency_ms = self.latency_ms(self.serial, name, self.turns)
        self.turns += 1
        self.log.append((self.serial, name))
        return make_turn(latency_ms)


def make_modules(phones: Mapping[str, FakePhone | str]) -> dict[str, types.ModuleType]:
    """Makes the modules for these phones: serial -> a phone, or the state that keeps it from being one."""

    class Adb(FakeAdb):
        def __init__(self, path=None):
            self.path = path

        def list_devices(self):
            states = {serial: phone if isinstance(phone, str) else "device" for serial, phone in phones.items()}
            return tuple(FakeListedDevice(serial, state, {}) for serial, state in states.items())

    def find_device(adb, serial):
        phone = phones.get(serial, "not attached")
        return _Unready(serial, phone) if isinstance(phone, str) else phone

    def find_benchmark_binary(path, abi):
        if path == Path("for_another_abi"):
            raise FakeRunnerError(f"expected a benchmark_model for {abi}, the phone's processor, got another")
        if path is None and FakeBench.has_no_benchmark_binary:
            raise FakeNoBenchmarkBinaryError("a long text: download it")
        return FakeRunner("benchmark_model", abi)

    contents = {
        "adb": {"Adb": Adb, "AdbError": FakeAdbError, "Completed": Completed},
        "device": {"Device": find_device},
        "runners": {
            "RunnerError": FakeRunnerError,
            "NoBenchmarkBinaryError": FakeNoBenchmarkBinaryError,
            "find_benchmark_binary": find_benchmark_binary,
            "find_own_runner": lambda abi: FakeRunner("nasfpn_runner", abi),
        },
        "turns": {"Bench": FakeBench},
    }
    modules = {}
    for name, content in contents.items():
        modules[f"{ROOM}.{name}"] = module = types.ModuleType(f"{ROOM}.{name}")
        vars(module).update(content)
    return modules


def use(monkeypatch, phones: Mapping[str, FakePhone | str]) -> None:
    """Puts the modules in place for one test, with an empty log."""
    for name, module in make_modules(phones).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(FakeBench, "log", [])
    # Tests run in parallel, on phones of the same name.
    monkeypatch.setattr("nasfpn_lite.android_bench.cli_fleet.reserve_phone", contextlib.nullcontext)


PIXEL_8 = {
    **cpu_tree([1704000] * 4 + [2367000] * 4 + [2914000]),
    "/proc/loadavg": "0.1 0.1 0.1 1/700 9000\n",
}


def use_two_phones(monkeypatch, folder: Path) -> dict[str, FakePhone | str]:
    """Puts two phones and two files in place for one test in a folder; it may add phones or break some."""
    pixel_8 = {**PIXEL_COMMANDS, "getprop ro.product.model": "Pixel 8"}
    phones: dict[str, FakePhone | str] = {
        "A": FakePhone(folder / "A", serial="A"),
        "B:5555": FakePhone(folder / "B", PIXEL_8, pixel_8, serial="B:5555"),
    }
    use(monkeypatch, phones)
    monkeypatch.chdir(folder)
    for name in ("a.tflite", "b.tflite"):
        Path(name).write_bytes(make_tiny_tflite())
    Path("for_another_abi").touch()
    return phones


class _Unready:
    def __init__(self, serial, state):
        self.serial, self.state = serial, state

    def check_ready(self):
        raise FakeAdbError(f"expected the phone {self.serial!r} to be ready, but it is {self.state}")


def install(phones: Mapping[str, FakePhone | str]) -> None:
    """Puts the modules in place for good, for a process of its own."""
    sys.modules.update(make_modules(phones))
