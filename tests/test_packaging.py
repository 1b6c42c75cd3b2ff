"""What a user installs: the wheel holds every room under one name, and runs from anywhere."""

import configparser
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite import __version__
from nasfpn_lite.cli import VERBS

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("nasfpn_lite", "converters", "benchmarks", "android_bench")


def read_setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    return config


def packages_in_tree() -> set[str]:
    """Dotted public names of all packages; links are not followed."""
    names = set()
    for room in ROOMS:
        for folder, _, files in os.walk(REPOSITORY / room):
            if "__init__.py" in files:
                name = ".".join(Path(folder).relative_to(REPOSITORY).parts)
                names.add(name if room == "nasfpn_lite" else f"nasfpn_lite.{name}")
    return names


def sources_in_tree() -> set[str]:
    """Paths that the wheel must hold: modules and data of every package, and the source of the runner for phones."""
    paths = set()
    for name in packages_in_tree():
        parts = name.split(".")
        folder = REPOSITORY.joinpath(*(parts[1:] if len(parts) > 1 and parts[1] in ROOMS else parts))
        kept = [path for path in folder.iterdir() if path.suffix in (".py", ".npz", ".txt", ".typed")]
        kept += [path for path in folder.glob("runner/*") if path.suffix in (".c", ".h")]
        paths |= {"/".join([*parts, *path.relative_to(folder).parts]) for path in kept}
    return paths


def test_packages_in_setup_cfg_are_those_of_the_tree():
    listed = read_setup_cfg()["options"]["packages"].split()
    assert sorted(listed) == sorted(packages_in_tree())


def test_constraints_pin_every_direct_dependency():
    config = read_setup_cfg()
    lines = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    wanted = {re.split(r"[<>\[]", line.strip())[0] for text in lines for line in text.splitlines() if line.strip()}
    pins = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0] for line in pins if not line.startswith("#")}
    assert wanted - pinned == {"nasfpn-lite"}


def test_every_dependency_has_an_upper_bound():
    config = read_setup_cfg()
    lines = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    wanted = [line for text in lines for line in text.splitlines() if line and not line.startswith("nasfpn-lite[")]
    assert [line for line in wanted if not re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+", line)] == []


def test_metadata_stands_in_setup_cfg_alone():
    assert "project" not in tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built offline from the files git would hand out, with the setuptools that is installed."""
    source = tmp_path_factory.mktemp("source")
    for name in (*ROOMS, "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        command = ["cp", "-RP", str(REPOSITORY / name), str(source)]  # keeps links as links
        subprocess.run(command, check=True)
    out = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "-w", str(out)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = out.iterdir()
    return path


def test_wheel_is_for_every_platform(wheel):
    assert wheel.name == f"nasfpn_lite-{__version__}-py3-none-any.whl"


def test_wheel_holds_every_module_once_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    info = f"nasfpn_lite-{__version__}.dist-info/"
    assert len(names) == len(set(names))
    assert {name for name in names if not name.startswith(info)} == sources_in_tree()
    assert [name for name in names if name.startswith(info) and name.endswith("/LICENSE")]


def test_wheel_installed_elsewhere_runs_every_verb(wheel, tmp_path):
    """A fresh environment with the wheel and NumPy alone, as on a machine that only measures a phone."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    command = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--no-deps"]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([*command, "--no-index", "--quiet", str(wheel)], check=True, capture_output=True, env=clean)
    for path in Path(np.__file__).parents[1].glob("numpy*"):
        (site / path.name).symlink_to(path)
    assert {path.name for path in site.iterdir() if not path.name.startswith(("numpy", "nasfpn_lite"))} == set()
    program = environment / "bin" / "nasfpn-lite"
    for line in (["--version"], ["--help"], *([verb, "--help"] for verb in VERBS)):
        result = subprocess.run([program, *line], capture_output=True, text=True, cwd=tmp_path, env={}, check=False)
        assert (result.returncode, result.stderr) == (0, ""), line
        assert "nasfpn-lite" in result.stdout
    code = "import nasfpn_lite.converters, nasfpn_lite.benchmarks, nasfpn_lite.android_bench as a; print(a.__file__)"
    python = environment / "bin" / "python"
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={}, check=True)
    assert result.stdout.strip() == str(site / "nasfpn_lite" / "android_bench" / "__init__.py")
