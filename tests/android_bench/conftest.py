"""Simulated phones for the tests of this room; see phone/.

Where none can be had, the tests that need one are skipped and say why; under CI=true they fail.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.adb import Adb
from nasfpn_lite.android_bench.device import Device
from tests.android_bench.phone.phone import SimulatedPhone
from tests.android_bench.phone.phone_rootfs import Rootfs, require_rootfs
from tests.android_bench.phone.phone_server import AdbServer


@pytest.fixture(scope="session")
def rootfs() -> Rootfs:
    """The root folder of an x86_64 phone."""
    return require_rootfs("x86_64")


@pytest.fixture(scope="session")
def arm64_rootfs() -> Rootfs:
    """The root folder of an arm64 phone, whose programs qemu runs, some 100 times slower."""
    return require_rootfs("arm64-v8a")


@pytest.fixture(scope="session")
def adb_server(rootfs: Rootfs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """The adb server of all simulated phones."""
    server = AdbServer(tmp_path_factory.mktemp("adb_server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def adb(adb_server: AdbServer) -> Adb:
    """adb as the package calls it, led to the server of the simulated phones."""
    return Adb(environment=adb_server.environment)


@pytest.fixture(scope="module")
def phone(rootfs: Rootfs, adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedPhone]:
    """An x86_64 phone for all tests of a module; leave it as it was."""
    phone = SimulatedPhone(rootfs, tmp_path_factory.mktemp("phone"), adb_server)
    yield phone
    phone.stop()


@pytest.fixture(scope="module")
def arm64_phone(
    arm64_rootfs: Rootfs, adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimulatedPhone]:
    """An arm64 phone for all tests of a module."""
    phone = SimulatedPhone(arm64_rootfs, tmp_path_factory.mktemp("phone"), adb_server)
    yield phone
    phone.stop()


@pytest.fixture
def start_phone(
    rootfs: Rootfs, adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., SimulatedPhone]]:
    """Starts x86_64 phones for one test, which may break them; takes the options of SimulatedPhone."""
    phones: list[SimulatedPhone] = []

    def start(**options) -> SimulatedPhone:
        phones.append(SimulatedPhone(rootfs, tmp_path_factory.mktemp("phone"), adb_server, **options))
        return phones[-1]

    yield start
    for phone in phones:
        phone.stop()


@pytest.fixture
def device(adb: Adb, phone: SimulatedPhone) -> Device:
    """The module's phone as the package sees it."""
    return Device(adb, phone.serial)


@pytest.fixture
def make_fake_adb(tmp_path: Path) -> Callable[[str], Adb]:
    """Makes an adb out of a shell script, for what no phone does on demand; `start-server` always works."""

    def make(script: str) -> Adb:
        path = tmp_path / "fake adb"
        path.write_text(f'#!/bin/sh\n[ "$1" = start-server ] && exit 0\n{script}\n', encoding="utf-8")
        path.chmod(0o755)
        return Adb(path)

    return make
