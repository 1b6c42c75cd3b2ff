"""Where a record comes from."""

import re
import subprocess

import nasfpn_lite
from nasfpn_lite.android_bench.origin import now_utc, read_commit, read_versions


def git(folder, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_versions():
    assert read_versions("29.0.6-debian", "00ff") == {**read_versions("29.0.6-debian"), "runner": "sha256:00ff"}
    versions = read_versions("29.0.6-debian")
    assert (versions["adb"], versions["nasfpn-lite"]) == ("29.0.6-debian", nasfpn_lite.__version__)


def test_commit_of_a_checkout(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert read_commit(package) is None  # no repository
    git(tmp_path, "init", "-q")
    assert read_commit(package) is None  # someone else's: the package is not in it
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert read_commit(package) == commit
    (package / "__init__.py").write_text("changed = True\n")
    assert read_commit(package) == f"{commit}-dirty"


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_commit() is None


def test_time_is_utc_to_the_second():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now_utc())
