"""The rooms: what may import what, under which name, and how large a file may grow."""

import ast
import configparser
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("nasfpn_lite", "converters", "benchmarks", "android_bench")  # each may import those before it
LONGEST_FILE = 400

# The one module that may touch an interpreter or the TFLite converter. The file format's schema is neither.
TFLITE_OWNER = "converters/interpreter.py"
TFLITE_SCHEMA = "ai_edge_litert.schema_py_generated"

PACKAGE_OF_IMPORT = {
    "cv2": "opencv-python-headless",
    "ai_edge_litert": "ai-edge-litert",
    "tensorflow_model_optimization": "tensorflow-model-optimization",
}
# Where ai-edge-litert has no wheel, interpreter.py falls back to this; no extra asks for it.
FALLBACKS = {"tflite_runtime"}


def source_files(room: str) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(REPOSITORY / room):  # does not follow the links to the other rooms
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [Path(folder) / name for name in files if name.endswith(".py")]
    return sorted(found)


def imports(path: Path) -> Iterator[str]:
    """Yields the dotted name of everything that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] != "nasfpn_lite":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "nasfpn_lite"


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def all_imports() -> list[tuple[str, str, str]]:
    """Room, file and imported name."""
    return [(room, relative(path), name) for room in ROOMS for path in source_files(room) for name in imports(path)]


def test_imports_point_one_way():
    def allowed(room: str, name: str) -> bool:
        target = room_of(name)
        return target is None or ROOMS.index(target) <= ROOMS.index(room)

    assert [f"{path} imports {name}" for room, path, name in all_imports() if not allowed(room, name)] == []


def test_nasfpn_lite_imports_no_tensorflow():
    heavy = ("tensorflow", "tf_keras", "ai_edge_litert", "tflite_runtime")
    found = {(p, n) for room, p, n in all_imports() if room == "nasfpn_lite" and n.startswith(heavy)}
    # A step of one's own is written per backend; the import stands where no other backend comes.
    own = ("accumulation", "fused_norm", "team_tensorflow")
    assert found <= {(f"nasfpn_lite/{name}.py", "tensorflow") for name in own}


def test_android_bench_needs_only_records_and_the_standard_library():
    def allowed(name: str) -> bool:
        top = name.split(".")[0]
        return top in sys.stdlib_module_names or top == "nasfpn_lite"

    wrong = [f"{path} imports {name}" for room, path, name in all_imports() if room == "android_bench"]
    assert [line for line in wrong if not allowed(line.split(" imports ")[1])] == []


def test_one_module_owns_every_interpreter():
    def touches_tflite(name: str) -> bool:
        owned = name.startswith(("ai_edge_litert", "tflite_runtime", "tensorflow.lite"))
        return owned and not name.startswith(TFLITE_SCHEMA)

    assert {path for _, path, name in all_imports() if touches_tflite(name)} <= {TFLITE_OWNER}


def test_one_module_owns_the_converter():
    def names_tf_lite(path: Path) -> bool:
        return any(
            isinstance(node, ast.Attribute)
            and node.attr == "lite"
            and isinstance(node.value, ast.Name)
            and node.value.id in ("tf", "tensorflow")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )

    assert {relative(p) for room in ROOMS for p in source_files(room) if names_tf_lite(p)} <= {TFLITE_OWNER}


def test_every_imported_package_is_in_setup_cfg():
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    lines = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    declared = {line.split(">")[0].strip() for text in lines for line in text.splitlines() if line}
    wrong = []
    for _, path, name in all_imports():
        top = name.split(".")[0]
        known = top in sys.stdlib_module_names or top in FALLBACKS or top == "nasfpn_lite"
        if not known and PACKAGE_OF_IMPORT.get(top, top) not in declared:
            wrong.append(f"{path} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("module", ["nasfpn_lite", "nasfpn_lite.cli", "nasfpn_lite.android_bench"])
def test_light_imports_stay_light(module):
    code = f"import sys, {module}; print(sorted({{'keras', 'tensorflow', 'jax', 'numpy'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("room", ROOMS[1:])
def test_a_link_gives_each_room_its_public_name(room):
    link = REPOSITORY / "nasfpn_lite" / room
    assert link.is_symlink()
    assert os.readlink(link) == f"../{room}"


def test_no_file_is_too_long():
    files = [path for folder in (*ROOMS, "tests") for path in source_files(folder)]
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def check_banned_imports(lines: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", "benchmarks/x.py", "-"]
    return subprocess.run(command, input=lines, capture_output=True, text=True, cwd=REPOSITORY, check=False)


@pytest.mark.parametrize("line", ["import converters", "from benchmarks import latency", "import android_bench.cli"])
def test_linter_refuses_a_room_under_its_bare_name(line):
    result = check_banned_imports(f"{line}\n")
    assert result.returncode == 1
    assert "TID251" in result.stdout


def test_linter_takes_a_room_under_its_public_name():
    result = check_banned_imports("import nasfpn_lite.converters\nfrom nasfpn_lite.benchmarks import latency\n")
    assert result.returncode == 0, result.stdout


def test_tests_mirror_the_source():
    """Below tests/ROOM, test_NAME.py and test_NAME_MORE.py test NAME: a module or package beside, or the folder."""
    wrong = []
    for path in [path for room in ROOMS for path in source_files(f"tests/{room}")]:
        if path.name == "conftest.py":
            continue
        folder = REPOSITORY / path.relative_to(REPOSITORY / "tests").parent
        names = {folder.name, *(source.stem for source in folder.glob("*.py"))}
        names |= {source.parent.name for source in folder.glob("*/__init__.py") if not source.parent.is_symlink()}
        words = path.stem.removeprefix("test_").split("_")
        if names.isdisjoint("_".join(words[:count]) for count in range(1, len(words) + 1)):
            wrong.append(relative(path))
    assert wrong == []


def test_no_init_under_tests():
    """A tests/nasfpn_lite/__init__.py would shadow the library."""
    assert [relative(path) for path in source_files("tests") if path.name == "__init__.py"] == []
