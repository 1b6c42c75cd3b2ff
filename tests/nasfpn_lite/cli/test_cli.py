"""The shell around the verbs: exit codes, help, what is imported."""

import argparse
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nasfpn_lite import __version__, cli
from nasfpn_lite.errors import UserError

HELP_BOUND_S = 0.3


@pytest.fixture
def verb(monkeypatch):
    """Puts a verb "try" into the table; returns a function that says what its `run` does."""

    def install(run):
        module = SimpleNamespace(
            __doc__="Tries.", run=run, add_arguments=lambda parser: parser.add_argument("--flag", action="store_true")
        )
        monkeypatch.setitem(cli.VERBS, "try", ("tests_only_verb", "tries"))
        monkeypatch.setattr(cli.importlib, "import_module", lambda name: {"tests_only_verb": module}[name])

    return install


def raiser(error):
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_exit_code_of_the_verb_is_returned(verb):
    verb(lambda args: 3 if args.flag else 0)
    assert cli.main(["try"]) == 0
    assert cli.main(["try", "--flag"]) == 3


def test_user_error_is_one_line_and_exit_2(verb, capsys):
    verb(raiser(UserError("expected a dog, got a cat")))
    assert cli.main(["try"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: expected a dog, got a cat\n"


def test_verbose_shows_where_an_error_came_from(verb, capsys):
    verb(raiser(UserError("expected a dog")))
    for line in (["-v", "try"], ["try", "-v"]):
        assert cli.main(line) == 2
        assert "Traceback" in capsys.readouterr().err


def test_interrupt_is_exit_130(verb, capsys):
    verb(raiser(KeyboardInterrupt()))
    assert cli.main(["try"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_missing_extra_names_the_package_and_the_remedy(verb, capsys):
    verb(raiser(ModuleNotFoundError("No module named 'keras'", name="keras")))
    assert cli.main(["try"]) == 2
    error = capsys.readouterr().err
    assert "'keras'" in error
    assert 'pip install "nasfpn-lite[all]"' in error


def test_missing_module_of_our_own_is_a_bug_not_a_message(verb):
    verb(raiser(ModuleNotFoundError("No module named 'nasfpn_lite.x'", name="nasfpn_lite.x")))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["try"])


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, NotADirectoryError])
def test_a_file_that_cannot_be_used_is_one_line(verb, capsys, error):
    verb(raiser(error(13, "it will not", "some/file")))
    assert cli.main(["try"]) == 2
    assert capsys.readouterr().err == "error: cannot use some/file: it will not\n"
    assert cli.main(["-v", "try"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_the_system_without_a_file_is_not_hidden(verb):
    verb(raiser(OSError(28, "no space left on device")))
    with pytest.raises(OSError, match="no space"):
        cli.main(["try"])


@pytest.mark.parametrize(("line", "level"), [(["try"], "3"), (["try", "-v"], None), (["-v", "try"], None)])
def test_tensorflow_is_told_to_be_quiet(verb, monkeypatch, line, level):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    seen = []
    verb(lambda args: seen.append(os.environ.get("TF_CPP_MIN_LOG_LEVEL")) or 0)
    assert cli.main(line) == 0
    assert seen == [level]


def test_the_users_own_level_stays(verb, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    verb(lambda args: 0)
    assert cli.main(["try"]) == 0
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "1"


def test_other_errors_are_not_hidden(verb):
    verb(raiser(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["try"])


@pytest.mark.parametrize("line", [[], ["-v"], ["trian"], ["trian", "--help"], ["--no-such-option", "train"]])
def test_wrong_command_line_is_exit_2(line, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(line)
    assert raised.value.code == 2
    assert "usage: nasfpn-lite" in capsys.readouterr().err


def test_unknown_verb_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        cli.main(["trian"])
    error = capsys.readouterr().err
    assert "trian" in error
    assert "train" in error


def test_version(capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"nasfpn-lite {__version__}\n"


def test_help_names_every_verb(capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(["--help"])
    assert raised.value.code == 0
    text = capsys.readouterr().out
    assert [verb for verb in cli.VERBS if f"  {verb} " not in text] == []


def test_reader_that_leaves_early_is_no_traceback():
    code = (
        "import sys; from types import SimpleNamespace as N; from nasfpn_lite import cli\n"
        "def run(args):\n    [print('x' * 1000) for _ in range(10000)]\n    return 0\n"
        "cli.VERBS['try'] = ('try', ''); cli.importlib.import_module = "
        "lambda name: N(__doc__='', run=run, add_arguments=lambda parser: None)\n"
        "sys.exit(cli.main(['try']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def best_of_five_s(*arguments: str) -> float:
    """CPU seconds: a busy machine delays a process without making it slow."""
    best = float("inf")
    for _ in range(5):
        before = os.times()
        result = run_python(*arguments)
        after = os.times()
        assert result.returncode == 0, result.stderr
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, spent)
        if best < HELP_BOUND_S:
            break
    return best


def test_help_is_quick():
    assert best_of_five_s("-m", "nasfpn_lite", "--help") < HELP_BOUND_S


@pytest.mark.parametrize("verb_name", cli.VERBS)
def test_help_of_every_verb_is_quick_and_light(verb_name):
    assert best_of_five_s("-m", "nasfpn_lite", verb_name, "--help") < HELP_BOUND_S
    code = (
        "import sys, importlib, argparse; "
        f"importlib.import_module({cli.VERBS[verb_name][0]!r}).add_arguments(argparse.ArgumentParser()); "
        "print([m for m in ('keras', 'tensorflow', 'jax', 'cv2', 'matplotlib', 'rich', 'grain', 'pycocotools') "
        "if m in sys.modules])"
    )
    assert run_python("-c", code).stdout == "[]\n"
