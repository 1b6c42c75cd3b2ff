"""The root folder of a simulated phone: a real adbd with mksh and toybox, out of unpacked Debian packages.

Kept in the user's cache folder, so that packages are fetched once; removing `nasfpn-lite` there is always safe.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
DEBIAN_MIRROR = os.environ.get("NASFPN_DEBIAN_MIRROR", "http://deb.debian.org/debian")
SUITE = "trixie"  # the first one with a package of adbd
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = (
    "adbd mksh toybox android-libbase android-libboringssl android-libcutils android-liblog libbrotli1 libc6 libcap2 "
    "libcrypt1 libgcc-s1 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libmd0 libprotobuf32t64 libssl3t64 libstdc++6 "
    "libsystemd0 libxxhash0 libzstd1 zlib1g"
).split()
NOTED_COMMANDS = ("svc", "cmd", "input")
INSTALL_HINT = "as root, run tests/android_bench/phone/install.sh"
APT_TIMEOUT_S = 300


@dataclass(frozen=True)
class Architecture:
    """One kind of processor: its names in Android and Debian, its loader and the compiler for it."""

    abi: str
    debian: str
    loader: str
    compiler: str


ARCHITECTURES = {
    "x86_64": Architecture("x86_64", "amd64", "/lib64/ld-linux-x86-64.so.2", "g++"),
    "arm64-v8a": Architecture("arm64-v8a", "arm64", "/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu-g++"),
}


class PhoneUnavailableError(Exception):
    """No simulated phone can be had here; says why."""


@dataclass(frozen=True)
class Rootfs:
    """A finished root folder, never written to again."""

    path: Path
    architecture: Architecture


def build_rootfs(abi: str) -> Rootfs:
    """Returns the root folder for an ABI, from the cache or newly built (seconds, and 25 MB from the network).

    Raises:
        PhoneUnavailableError: It needs root, a program or the network.
    """
    architecture = ARCHITECTURES[abi]
    _check_machine(architecture)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "nasfpn-lite", "simulated-phone")
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"rootfs-{abi}-{_hash_recipe()}"
    with _locked(cache / f"lock-{abi}"):
        if not path.is_dir():
            debs = cache / f"packages-{abi}-{_hash(' '.join(PACKAGES).encode())}"
            try:
                if not debs.is_dir():
                    _build(debs, lambda folder: _download(folder, architecture))
                _build(path, lambda folder: _assemble(folder, debs, architecture))
            except (subprocess.SubprocessError, OSError) as error:
                said = (getattr(error, "stderr", None) or str(error).encode()).decode(errors="replace")
                raise PhoneUnavailableError(f"cannot make a simulated phone: {' '.join(said.split())[:200]}") from error
    return Rootfs(path, architecture)


def require_rootfs(abi: str) -> Rootfs:
    """Returns the root folder for an ABI; where there is none, skips the test, or fails it under CI=true."""
    try:
        return build_rootfs(abi)
    except PhoneUnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"under CI=true a phone must be there: {error}")
        pytest.skip(str(error))


def _check_machine(architecture: Architecture) -> None:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise PhoneUnavailableError("the simulated phone needs Linux on x86_64")
    if os.geteuid() != 0:
        raise PhoneUnavailableError("the simulated phone needs root, for its namespaces")
    programs = ["adb", "apt-get", "chroot", "dpkg-deb", "tar", "unshare", architecture.compiler]
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise PhoneUnavailableError(f"the simulated phone needs {', '.join(missing)}: {INSTALL_HINT}")
    if architecture.abi == "arm64-v8a" and not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists():
        raise PhoneUnavailableError(f"the kernel does not start aarch64 programs through qemu: {INSTALL_HINT}")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _hash_recipe() -> str:
    parts = [Path(__file__), FOLDER / "properties.cc", *sorted((FOLDER / "bin").iterdir())]
    return _hash(b"".join(part.read_bytes() for part in parts))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(path: Path, fill) -> None:
    """Gives a folder its final name only when it is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
        part = Path(folder, "part")
        part.mkdir()
        fill(part)
        part.rename(path)


def _run(command: Sequence[str | Path], folder: Path, timeout_s: float = 60) -> str:
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=timeout_s)
    return done.stdout.decode()


def _download(folder: Path, architecture: Architecture) -> None:
    """Fetches the packages with an apt of our own lists; the machine's own are neither read nor changed."""
    signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    with tempfile.TemporaryDirectory() as apt:
        for name in ("state/lists/partial", "cache/archives/partial"):
            Path(apt, name).mkdir(parents=True)
        Path(apt, "sources.list").write_text(f"deb{signed} {DEBIAN_MIRROR} {SUITE} main\n", encoding="utf-8")
        settings = [
            f"Dir::Etc::sourcelist={apt}/sources.list",
            "Dir::Etc::sourceparts=-",
            f"Dir::State={apt}/state",
            "Dir::State::status=/dev/null",
            f"Dir::Cache={apt}/cache",
            f"APT::Architecture={architecture.debian}",
            f"APT::Architectures={architecture.debian}",
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::Retries=1",
            "Acquire::http::Timeout=20",
            "APT::Update::Error-Mode=any",
        ]
        command = ["apt-get", "-q", *(word for setting in settings for word in ("-o", setting))]
        _run([*command, "update"], folder, APT_TIMEOUT_S)
        _run([*command, "download", *PACKAGES], folder, APT_TIMEOUT_S)


def _assemble(root: Path, debs: Path, architecture: Architecture) -> None:
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in sorted(debs.glob("*.deb")):
        _unpack(deb, root)
    for name in ("data", "dev", "proc", "state", "sys", "system/bin", "etc"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/sh").symlink_to("mksh")
    (root / "etc/passwd").write_text("shell:x:2000:2000:shell:/:/system/bin/sh\n", encoding="utf-8")
    library = root / "usr/lib/properties.so"
    flags = ["-std=c++17", "-O1", "-shared", "-fPIC"]
    _run([architecture.compiler, *flags, "-o", library, FOLDER / "properties.cc"], root)
    _fill_bin(root)


def _unpack(deb: Path, root: Path) -> None:
    left_out = ["--exclude=./usr/share/doc", "--exclude=./usr/share/man", "--exclude=./usr/share/locale"]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as package:
        command = ["tar", "-x", "--keep-directory-symlink", *left_out, "-C", root]
        subprocess.run(command, stdin=package.stdout, check=True, capture_output=True, timeout=60)
    if package.returncode:
        raise subprocess.CalledProcessError(package.returncode, package.args)


def _fill_bin(root: Path) -> None:
    """Fills /system/bin: toybox under each of its names, mksh as sh, and our own scripts in front of both."""
    folder = root / "system/bin"
    (folder / "sh").symlink_to("/usr/bin/mksh")
    (folder / "toybox").symlink_to("/usr/bin/toybox")
    for applet in _run(["chroot", root, "/usr/bin/toybox"], root).split():
        if not (folder / applet).is_symlink():
            (folder / applet).symlink_to("/usr/bin/toybox")
    for script in (FOLDER / "bin").iterdir():
        for name in NOTED_COMMANDS if script.name == "note" else (script.name,):
            (folder / name).unlink(missing_ok=True)
            shutil.copy(script, folder / name)
