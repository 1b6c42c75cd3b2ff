"""What may go wrong in a session on a phone, each made to happen on a simulated one; see try_faults.py."""

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.android_bench import test_bench_log as logs
from tests.android_bench.phone.phone_unauthorized import UnauthorizedPhone
from tests.phone_trials.fault_trial import CPU7, Seen, Trial

# Each log with what was asked of the program that wrote it.
LOGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "2018": (logs.LOG_2018, ()),
    "2019": (logs.LOG_2019, ("--threads", "2")),
    "2020": (logs.LOG_2020, ("--threads", "4", "--cores", "all")),
    "2021": (logs.LOG_2021, ()),
    "2.14": (logs.LOG_2_14, ()),
    "2025": (logs.LOG_2025, ()),
    "one run": (logs.LOG_ONE_RUN, ("--runs", "1")),
}
FALLBACK = "Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate.\n"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        exit_code: That a user must get.
        said: That must stand in what the user sees.
    """

    name: str
    happen: Callable[[Trial], Seen]
    exit_code: int
    said: str


def list_faults() -> list[Fault]:
    """Returns all faults, in the order of the table."""
    formats = [Fault(f"log of {name}", _replay(*log), 0, "benchmark_model") for name, log in LOGS.items()]
    return [
        Fault("no phone", _no_phone, 2, "attached: none"),
        Fault("device lost mid-run", _lost, 2, "offline"),
        Fault("the same command after the cable is back", _resumed, 0, "ms (median)"),
        Fault("unauthorized", _unauthorized, 2, "allow USB debugging"),
        Fault("offline", _offline, 2, "offline"),
        Fault("two devices", _two, 0, "ms (median)"),
        Fault("two devices, one of them offline", _two_one_offline, 2, "offline"),
        Fault("two devices, one of them lost mid-run", _two_one_lost, 2, "ms (median)"),
        Fault("the same command after its cable is back", _two_one_resumed, 0, "was measured already"),
        Fault("one device attached twice", _twice, 2, "is the same phone as"),
        Fault("full disk", _full, 2, "free some space"),
        Fault("read-only target", _read_only, 2, "lets nothing be written there"),
        Fault("wrong ABI", _wrong_abi, 2, "expected a benchmark_model for x86_64"),
        Fault("killed runner", _killed, 2, "137"),
        Fault("throttling in round 3, then cool again", _throttled_once, 0, "round 3 was discarded"),
        Fault("throttling from round 3 on", _throttled, 1, "not trustworthy"),
        Fault("governor changed", _governor, 0, "governor of core"),
        Fault("battery saver", _battery_saver, 1, "battery saver is on"),
        Fault("low battery", _low_battery, 1, "the battery is at 12 %"),
        Fault("truncated log", _replay(logs.LOG_2_14[:700]), 2, "was not measured"),
        *formats,
        Fault("a log of other threads than were asked for", _replay(logs.LOG_2019), 2, "expected 1 thread(s)"),
        Fault("dry run", _replay("INFO: Run w/o invoking kernels: [1]\n" + logs.LOG_2_14), 2, "--dry_run"),
        Fault(
            "unconsumed flags", _replay("WARN: Unconsumed cmdline flags: --use_gpu\n" + logs.LOG_2_14), 2, "--use_gpu"
        ),
        Fault("silent fallback of a delegate", _replay("INFO: " + FALLBACK + logs.LOG_2_14), 2, "took no part"),
        Fault("GPU asked for, and the CPU ran", _no_gpu, 2, "--gpu was asked for"),
        Fault("GPU asked for of our own runner", _own_gpu, 2, "--gpu needs benchmark_model"),
        Fault("runs cut by a time limit", _replay(logs.LOG_2_14.replace("count=10 ", "count=4 ")), 2, "4"),
        Fault("too little delegated", _coverage, 2, "outside: CONV_2D"),
        Fault("a model that the runner cannot load", _cut_model, 2, "was not measured"),
        Fault("a file that is no model", _no_model, 2, "expected a .tflite file"),
        Fault("a hostile serial", _hostile_serial, 2, "pwned"),
        Fault("a hostile file name", _hostile_name, 0, "ms (median)"),
        Fault("Ctrl-C in round 2", _end_by(signal.SIGINT), 130, "interrupted"),
        Fault("SIGTERM in round 2", _end_by(signal.SIGTERM), 130, "interrupted"),
        Fault("Ctrl-C in a lasting load", _interrupted_load, 130, "it was interrupted"),
    ]


def _replay(text: str, options: tuple[str, ...] = ()) -> Callable[[Trial], Seen]:
    def happen(trial: Trial) -> Seen:
        trial.start_phone()
        return trial.bench(*options, runner=trial.make_replay(text))

    return happen


def _no_phone(trial: Trial) -> Seen:
    return trial.bench()


def _lost(trial: Trial) -> Seen:
    phone = trial.start_phone()
    return trial.bench(on={"round 3 of": phone.unplug})


def _resumed(trial: Trial) -> Seen:
    phone = trial.start_phone()
    trial.bench(on={"round 3 of": phone.unplug})
    phone.plug_in()
    return trial.bench()


def _unauthorized(trial: Trial) -> Seen:
    with UnauthorizedPhone() as stranger:
        trial.server.call("connect", stranger.serial)
        trial.server.wait_for_state(stranger.serial, "unauthorized")
        try:
            return trial.bench()
        finally:
            trial.server.call("disconnect", stranger.serial)


def _offline(trial: Trial) -> Seen:
    trial.start_phone().unplug()
    return trial.bench()


def _two(trial: Trial) -> Seen:
    trial.start_phone()
    trial.start_phone()
    return trial.bench()


def _two_one_offline(trial: Trial) -> Seen:
    trial.start_phone()
    trial.start_phone().unplug()
    return trial.bench()


def _two_one_lost(trial: Trial) -> Seen:
    trial.start_phone()
    phone = trial.start_phone()
    return trial.bench(on={f"{phone.serial}: round 3 of": phone.unplug})


def _two_one_resumed(trial: Trial) -> Seen:
    trial.start_phone()
    phone = trial.start_phone()
    trial.bench(on={f"{phone.serial}: round 3 of": phone.unplug})
    phone.plug_in()
    return trial.bench()


def _twice(trial: Trial) -> Seen:
    for _ in range(2):
        trial.start_phone().set_property("ro.serialno", "HT69A0203")
    return trial.bench()


def _full(trial: Trial) -> Seen:
    trial.start_phone(disk_bytes=1 << 20)
    return trial.bench()


def _read_only(trial: Trial) -> Seen:
    (trial.start_phone().data / "local/tmp").chmod(0o555)
    return trial.bench()


def _wrong_abi(trial: Trial) -> Seen:
    trial.start_phone()
    program = trial.make_replay(logs.LOG_2_14)
    data = bytearray(program.read_bytes())
    data[18:20] = (183).to_bytes(2, "little")  # e_machine: AArch64
    program.write_bytes(data)
    return trial.bench(runner=program)


def _killed(trial: Trial) -> Seen:
    phone = trial.start_phone()
    # It writes its number down itself; no other program of the phone, and none of this machine, is in reach.
    script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; kill -9 $(cat /data/local/tmp/nasfpn-lite-*/.pid-*); done"
    kill = lambda: trial.server.call("-s", phone.serial, "shell", script)  # noqa: E731 - one line says it
    return trial.bench("--min-seconds", "2", on={"round 2 of": kill})


def _throttled_once(trial: Trial) -> Seen:
    phone = trial.start_phone()
    clock = f"{CPU7}/scaling_max_freq"
    steps = {
        "round 3 of": lambda: phone.write_sys(clock, 1200000),
        "waiting": lambda: phone.write_sys(clock, 2802000),
    }
    return trial.bench("--wait-minutes", "0.2", on=steps)


def _throttled(trial: Trial) -> Seen:
    phone = trial.start_phone()
    return trial.bench(on={"round 3 of": lambda: phone.write_sys(f"{CPU7}/scaling_max_freq", 1200000)})


def _governor(trial: Trial) -> Seen:
    phone = trial.start_phone()
    return trial.bench(on={"round 3 of": lambda: phone.write_sys(f"{CPU7}/scaling_governor", "powersave")})


def _battery_saver(trial: Trial) -> Seen:
    trial.start_phone().set_setting("global", "low_power", "1")
    return trial.bench()


def _low_battery(trial: Trial) -> Seen:
    trial.start_phone().set_dumpsys("battery", "  USB powered: false\n  level: 12\n  temperature: 271\n")
    return trial.bench()


def _coverage(trial: Trial) -> Seen:
    trial.start_phone()
    return trial.bench("--min-coverage", "0.9", "--xnnpack", "off")


def _no_gpu(trial: Trial) -> Seen:
    trial.start_phone()
    return trial.bench("--gpu", runner=trial.make_replay(logs.LOG_2_14))


def _own_gpu(trial: Trial) -> Seen:
    trial.start_phone()
    return trial.bench("--gpu")


def _cut_model(trial: Trial) -> Seen:
    trial.start_phone()
    path = trial.folder / "cut.tflite"
    path.write_bytes(trial.model.read_bytes()[:300])
    return trial.bench(model=path)


def _no_model(trial: Trial) -> Seen:
    trial.start_phone()
    path = trial.folder / "photo.tflite"
    path.write_bytes(b"\xff\xd8\xff\xe0 a photo")
    return trial.bench(model=path)


def _hostile_serial(trial: Trial) -> Seen:
    trial.start_phone()
    return trial.bench("-s", "$(touch pwned); `id`")


def _hostile_name(trial: Trial) -> Seen:
    trial.start_phone()
    path = trial.folder / '-it\'s $(touch pwned) "x"; `id` *.tflite'
    shutil.copy(trial.model, path)
    return trial.bench(model=Path(path))


def _end_by(number: int) -> Callable[[Trial], Seen]:
    def happen(trial: Trial) -> Seen:
        trial.start_phone()
        return trial.bench(on={"round 2 of": lambda: trial.signal(number)})

    return happen


def _interrupted_load(trial: Trial) -> Seen:
    trial.start_phone()
    return trial.bench("--sustained", "30", on={"of 30 minutes": lambda: trial.signal(signal.SIGINT)})
