"""The verbs of `nasfpn-lite android`, and that none needs TensorFlow or Keras; adb, phones and runners are fakes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.cli_android import end_as_ctrl_c_does
from nasfpn_lite.cli import main, verb_parser
from tests.fake_android_modules import use_two_phones
from tests.tiny_tflite import make_tiny_tflite

REPOSITORY = Path(__file__).parents[2]
QUICK = ["--rounds", "6", "--wait-minutes", "0", "-o", "out"]


@pytest.fixture
def phones(tmp_path, monkeypatch):
    return use_two_phones(monkeypatch, tmp_path)


def run(*arguments) -> int:
    return main(["android", *arguments])


@pytest.mark.parametrize(
    ("arguments", "verbose"), [(["devices"], False), (["-v", "devices"], True), (["devices", "-v"], True)]
)
def test_verbose_before_and_after_the_verb(arguments, verbose):
    assert verb_parser("android").parse_args(arguments).verbose is verbose


def test_a_verb_is_needed(capsys):
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 2
    assert "devices|doctor|bench|compare" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["devices", "doctor", "bench", "compare"])
def test_help_of_each_verb(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        verb_parser("android").parse_args([verb, "--help"])
    assert caught.value.code == 0
    assert f"nasfpn-lite android {verb}" in capsys.readouterr().out


def test_no_phone_at_all(phones, capsys):
    phones.clear()
    for verb in (["bench", "a.tflite"], ["devices"], ["doctor"]):
        assert run(*verb) == 2
        assert "error: expected a phone; attached: none" in capsys.readouterr().err


def test_neither_tensorflow_nor_keras_after_a_bench(tmp_path):
    (tmp_path / "a.tflite").write_bytes(make_tiny_tflite())
    code = f"""
import sys
from dataclasses import replace
from pathlib import Path
from tests.fake_android_modules import install
from tests.fake_measured_phone import FakePhone
install({{"A": FakePhone(Path("phone"), serial="A")}})
from nasfpn_lite.cli import main
assert main(["android", "bench", "a.tflite", *{QUICK!r}]) == 0
print(sorted({{"keras", "tensorflow", "jax", "tf_keras"}} & set(sys.modules)))
"""
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with end_as_ctrl_c_does():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
