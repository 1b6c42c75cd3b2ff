"""What made a record: versions, the commit of the checkout, the time."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import nasfpn_lite

_GIT_TIMEOUT_S = 10


def read_versions(adb_version: str, runner_sha256: str | None = None) -> dict[str, str]:
    """Returns the versions of all tools; a runner has none but its hash, see `Runner.hash_files`."""
    versions = {"nasfpn-lite": nasfpn_lite.__version__, "python": platform.python_version(), "adb": adb_version}
    return versions if runner_sha256 is None else {**versions, "runner": f"sha256:{runner_sha256}"}


def read_commit(folder: Path | None = None) -> str | None:
    """Returns the commit of this package's checkout, with "-dirty" behind it if files differ; None if it is installed.

    Args:
        folder: Of the package.
    """
    folder = folder or Path(nasfpn_lite.__file__).parent
    # Installed into a folder of someone else's repository, the package is not tracked there.
    tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
    return tracked and _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None


def now_utc() -> str:
    """Returns the time in UTC: "2026-01-31T12:00:00Z"."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
