import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nasfpn_lite.android_bench import build_runner as module
from nasfpn_lite.android_bench.build_inputs import LIBRARY, TARGETS, Target
from nasfpn_lite.android_bench.build_runner import PROGRAM, build_folder, build_runner, main
from nasfpn_lite.android_bench.elf import read_elf
from nasfpn_lite.android_bench.runners import RunnerError, find_own_runner
from tests.own_runner import build_own_runner


def test_target_is_built_beside_the_checkout(repository):
    assert build_folder("x86_64") == repository / "build" / "runner" / "x86_64"


def test_target_outside_a_checkout_is_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SOURCE", tmp_path / "site-packages" / "nasfpn_lite" / "runner")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert build_folder("x86_64") == tmp_path / "cache" / "nasfpn-lite" / "runner" / "x86_64"


def test_unknown_processor():
    with pytest.raises(RunnerError, match="expected one of arm64-v8a, x86_64 .* got armeabi-v7a: use benchmark_model"):
        build_runner("armeabi-v7a")


def test_missing_compiler(tmp_path, monkeypatch):
    monkeypatch.setitem(TARGETS, "x86_64", Target("no-such-cc", "gcc", "ld.so", "manylinux_2_27_x86_64"))
    with pytest.raises(RunnerError, match="no-such-cc on PATH, but it is not there; on Debian: apt-get install gcc"):
        build_runner("x86_64", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_program_that_fails(tmp_path):
    with pytest.raises(RunnerError, match="readelf .* failed with exit code"):
        module._list_needed(tmp_path / "none")


def test_command_line_says_why_it_failed(capsys, monkeypatch):
    monkeypatch.setitem(TARGETS, "x86_64", Target("no-such-cc", "gcc", "ld.so", "manylinux_2_27_x86_64"))
    monkeypatch.setattr(module, "_read_stamp", lambda folder: None)
    assert main(["x86_64"]) == 1
    assert capsys.readouterr().err.startswith("error: expected the C compiler no-such-cc")


@pytest.fixture(scope="module")
def built():
    return build_own_runner("x86_64")


def test_folder_holds_all_that_the_program_needs(built):
    assert read_elf(built / PROGRAM).abi == "x86_64"
    names = {path.name for path in (built / "lib").iterdir()}
    assert {LIBRARY, "ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6"} <= names


def test_program_starts_with_its_own_loader(built):
    command = [built / "lib" / "ld-linux-x86-64.so.2", "--library-path", built / "lib", built / PROGRAM, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "--graph=" in result.stdout


def test_every_library_comes_out_of_the_folder(built):
    libraries = built / "lib"
    command = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, "--list", built / PROGRAM]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.findall(r"=> (\S+)", result.stdout)
    assert {Path(path).parent for path in found} == {libraries}
    assert {LIBRARY, "libc.so.6", "libstdc++.so.6"} <= {Path(path).name for path in found}


def test_second_build_does_nothing(built, monkeypatch):
    monkeypatch.setattr(module, "find_compiler", None)
    assert build_runner("x86_64", built) == built


def test_changed_source_is_built_again(built, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(built, folder)
    (folder / "stamp.txt").write_text("older")
    (folder / "left.txt").write_text("of an older build")
    assert build_runner("x86_64", folder) == folder
    assert not (folder / "left.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".copy.lock", "copy"]


def test_library_of_the_same_version_is_not_fetched_anew(built, tmp_path, monkeypatch):
    shutil.copytree(built, tmp_path / "copy")
    (tmp_path / "copy" / "stamp.txt").write_text(f"{module.LITERT_VERSION} older source")
    monkeypatch.setattr(module, "fetch_library", None)
    build_runner("x86_64", tmp_path / "copy")
    (tmp_path / "copy" / "stamp.txt").write_text("0.1 older library")
    with pytest.raises(TypeError):
        build_runner("x86_64", tmp_path / "copy")
    assert (tmp_path / "copy" / PROGRAM).is_file()


def test_builds_at_once_do_not_meet(built, tmp_path, monkeypatch):
    shutil.copytree(built, tmp_path / "copy")
    (tmp_path / "copy" / "stamp.txt").write_text(f"{module.LITERT_VERSION} older source")
    builds = []
    build = module._build
    monkeypatch.setattr(module, "_build", lambda *arguments: (builds.append(1), build(*arguments)))
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: build_runner("x86_64", tmp_path / "copy"), range(3)))
    assert (set(folders), len(builds)) == ({tmp_path / "copy"}, 1)


def test_command_line_prints_the_folder(built, capsys):
    assert main(["x86_64"]) == 0
    assert capsys.readouterr().out == f"{built}\n"


def test_compiler_has_nothing_to_say(built, tmp_path):
    sources = [str(path) for path in module.SOURCE.glob("*.c")]
    command = [module.find_compiler(TARGETS["x86_64"]), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-c"]
    result = subprocess.run([*command, *sources], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_own_runner_for_phones_of_this_processor(built):
    runner = find_own_runner("x86_64")
    assert (runner.name, runner.loader) == ("nasfpn_runner", "lib/ld-linux-x86-64.so.2")
