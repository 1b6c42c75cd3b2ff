"""What the runner is built with."""

import pytest

from nasfpn_lite.android_bench import build_inputs as module
from nasfpn_lite.android_bench.runners import RunnerError


def test_other_version_of_litert_is_not_taken(monkeypatch):
    monkeypatch.setattr(module, "LITERT_VERSION", "9.9")
    assert module._find_installed_library(module.TARGETS["x86_64"]) is None


def test_library_of_another_processor_is_not_taken():
    assert module._find_installed_library(module.TARGETS["arm64-v8a"]) is None


def test_program_that_takes_too_long():
    with pytest.raises(RunnerError, match=r"sleep 5 took longer than 0\.1 s"):
        module.run_tool(["sleep", "5"], 0.1)
