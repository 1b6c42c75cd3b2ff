"""Where no simulated phone can be had: the reason, and what becomes of the tests."""

import os
import shutil

import pytest

from tests.android_bench.phone import phone_rootfs
from tests.android_bench.phone.phone_rootfs import PhoneUnavailableError, build_rootfs, require_rootfs

SHORT_OF = "tests/android_bench/phone/install.sh"


@pytest.fixture(autouse=True)
def as_root_on_linux(monkeypatch, tmp_path):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_other_machines(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(PhoneUnavailableError, match="needs Linux on x86_64"):
        build_rootfs("x86_64")


def test_other_users(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PhoneUnavailableError, match="needs root"):
        build_rootfs("x86_64")


def test_missing_programs(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("adb", "unshare") else f"/bin/{name}")
    with pytest.raises(PhoneUnavailableError, match=f"needs adb, unshare: as root, run {SHORT_OF}"):
        build_rootfs("x86_64")


def test_packages_that_cannot_be_fetched(monkeypatch, tmp_path):
    def fail(folder, architecture):
        raise OSError("no network here")

    monkeypatch.setattr(phone_rootfs, "_download", fail)
    with pytest.raises(PhoneUnavailableError, match="cannot make a simulated phone: no network here"):
        build_rootfs("x86_64")
    left = list((tmp_path / "nasfpn-lite/simulated-phone").iterdir())
    assert [path.name for path in left] == ["lock-x86_64"]


def test_a_missing_phone_skips_tests_but_fails_in_ci(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs root"):
        require_rootfs("x86_64")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="under CI=true a phone must be there: .*needs root"):
        require_rootfs("x86_64")
