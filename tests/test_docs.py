"""The first page stays true: every verb, variant and recipe is named, and its script runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nasfpn_lite.cli import VERBS, verb_parser
from nasfpn_lite.converters.recipes import ALL_RECIPES
from nasfpn_lite.preset_notes import PRESET_NOTES
from nasfpn_lite.variants import VARIANTS

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
LONGEST_README = 150


def test_readme_is_short():
    assert len(README.splitlines()) <= LONGEST_README


@pytest.mark.parametrize("verb", VERBS)
def test_readme_names_every_verb(verb):
    assert re.search(rf"nasfpn-lite {verb}\b|make {verb}\b", README)


@pytest.mark.parametrize("line", re.findall(r"^nasfpn-lite .*", README, re.MULTILINE))
def test_command_lines_of_the_readme_parse(line):
    _, verb, *rest = shlex.split(line, comments=True)
    verb_parser(verb).parse_args(rest)


@pytest.mark.parametrize("variant", VARIANTS)
def test_readme_names_every_variant(variant):
    assert f"`{variant}`" in README


@pytest.mark.parametrize("preset", PRESET_NOTES)
def test_readme_names_every_training_preset(preset):
    assert f"`{preset}`" in README


@pytest.mark.parametrize("recipe", ALL_RECIPES)
def test_readme_names_every_recipe(recipe):
    assert f"`{recipe}`" in README


def test_pages_name_only_files_that_exist():
    text = README + (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:nasfpn_lite|converters|benchmarks|android_bench|tests)/[\w/.]*)`", text))
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


def test_readme_script_runs(tmp_path, tiny_coco):
    script = re.search(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert script is not None, "the first page needs its training script, a ```python block"
    path = tmp_path / "script.py"
    path.write_text(script.group(1), encoding="utf-8")
    command = [sys.executable, str(path), str(tiny_coco)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=600)
    assert result.returncode == 0, result.stderr
