"""The simulated phone itself: it must behave as a phone where the package's tests rely on it."""

import os
import subprocess
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.device import Device
from tests.android_bench.phone.phone_state import Cluster


def test_it_is_a_phone_of_eight_cores(device):
    assert device.get_property("ro.product.model") == "Simulated Pixel 6"
    script = "cd /sys/devices/system/cpu; cat possible cpu[0-9]/cpu_capacity cpu[0-9]/cpufreq/cpuinfo_max_freq"
    lines = device.script(script, timeout_s=10).stdout.split()
    assert lines == [
        "0-7",
        *["160"] * 4,
        *["498"] * 2,
        *["1024"] * 2,
        *["1803000"] * 4,
        *["2253000"] * 2,
        *["2802000"] * 2,
    ]
    assert device.script("grep -c ^processor /proc/cpuinfo", timeout_s=10).stdout == "8\n"


def test_commands_come_as_the_user_shell(device):
    assert device.script("id -u; echo $PATH; which sh", timeout_s=10).stdout == "2000\n/system/bin\n/system/bin/sh\n"
    for path in ("/x", "/system/x", "/sys/x", "/sys/devices/system/cpu/online", "/proc/sys/kernel/hostname"):
        assert device.script(f"echo 1 > {path}", timeout_s=10, check=False).exit_code != 0


def test_programs_of_the_machine_are_out_of_sight(device):
    numbers = device.script("cd /proc; echo [0-9]*", timeout_s=10).stdout.split()
    assert "1" in numbers
    assert len(numbers) < 12
    assert str(os.getpid()) not in numbers


def test_a_test_may_change_it(device, start_phone, adb):
    phone = start_phone(clusters=(Cluster(2, 512, 300000, 1500000),))
    device = Device(adb, phone.serial)
    assert device.shell(["cat", "/sys/devices/system/cpu/possible"], timeout_s=10).stdout == "0-1\n"
    phone.write_sys("devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave")
    path = "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor"
    assert device.shell(["cat", path], timeout_s=10).stdout == "powersave\n"
    phone.set_dumpsys("battery", "  level: 5\n")
    assert device.shell(["dumpsys", "battery"], timeout_s=10).stdout == "  level: 5\n"
    phone.set_setting("global", "low_power", "1")
    assert device.shell(["settings", "get", "global", "low_power"], timeout_s=10).stdout == "1\n"


def test_android_commands(device, phone):
    assert "Thermal Status: 0" in device.shell(["dumpsys", "thermalservice"], timeout_s=10).stdout
    assert device.shell(["dumpsys", "none"], timeout_s=10).stderr == "Can't find service: none\n"
    assert "  battery\n" in device.shell(["dumpsys", "-l"], timeout_s=10).stdout
    assert "[ro.product.cpu.abi]: [x86_64]\n" in device.shell(["getprop"], timeout_s=10).stdout
    assert device.shell(["getprop", "none", "other"], timeout_s=10).stdout == "other\n"
    assert device.shell(["settings", "get", "global", "none"], timeout_s=10).stdout == "null\n"
    device.shell(["settings", "put", "global", "a", "b c"], timeout_s=10)
    assert device.shell(["settings", "get", "global", "a"], timeout_s=10).stdout == "b c\n"
    device.shell(["svc", "wifi", "disable"], timeout_s=10)
    assert phone.read_notes("calls") == ["svc wifi disable"]


def test_taskset_knows_all_cores_and_uses_those_of_the_machine(device, phone):
    allowed = sorted(os.sched_getaffinity(0))
    for core in range(8):
        result = device.shell(
            ["taskset", f"{1 << core:x}", "grep", "Cpus_allowed_list", "/proc/self/status"], timeout_s=10
        )
        assert result.stdout.split()[1] == str(allowed[core % len(allowed)])
    for mask, said in (("100", "affinity: Invalid argument"), ("0", "Invalid argument"), ("q", "bad mask 'q'")):
        result = device.shell(["taskset", mask, "true"], timeout_s=10, check=False)
        assert result.exit_code == 1
        assert said in result.stderr


def test_an_offline_core_cannot_be_had(start_phone, adb):
    phone = start_phone()
    phone.write_sys("devices/system/cpu/online", "0-3,6-7")
    device = Device(adb, phone.serial)
    assert device.shell(["taskset", "30", "true"], timeout_s=10, check=False).exit_code == 1
    assert device.shell(["taskset", "f0", "true"], timeout_s=10, check=False).exit_code == 0


def test_nothing_of_it_outlives_its_end(start_phone):
    phone = start_phone()
    process = phone._process.pid
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
    assert children
    phone.kill()
    assert not any(Path("/proc", child).exists() for child in children)


def test_arm64(arm64_phone, adb):
    device = Device(adb, arm64_phone.serial)
    assert device.get_property("ro.product.cpu.abi") == "arm64-v8a"
    assert device.script("uname -m; grep -c ^processor /proc/cpuinfo", timeout_s=20).stdout == "aarch64\n8\n"


def test_install_never_fails(repository):
    script = repository / "tests/android_bench/phone/install.sh"
    done = subprocess.run(
        ["/bin/sh", str(script)], env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "nothing installed" in done.stdout


@pytest.mark.parametrize("name", ["getprop", "dumpsys", "settings", "note", "taskset"])
def test_scripts_are_the_phones_own(repository, name):
    first = (repository / "tests/android_bench/phone/bin" / name).read_text(encoding="utf-8").splitlines()[0]
    assert first == "#!/system/bin/sh"
