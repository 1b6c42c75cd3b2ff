"""A command among simulated phones."""

import pytest

from tests.android_bench.phone.phone_rootfs import require_rootfs
from tests.phone_trials.with_phones import main


def test_the_command_sees_its_phones_and_gives_the_exit_code(capfd):
    require_rootfs("x86_64")
    assert main(["x86_64", "--", "sh", "-c", "adb devices; exit 3"]) == 3
    listed = capfd.readouterr().out.splitlines()[1:]
    assert [line.split("\t")[1] for line in listed if line] == ["device"]


@pytest.mark.parametrize("words", [["x86_64"], ["--", "true"], ["riscv", "--", "true"]])
def test_wrong_words(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage:" in capsys.readouterr().err
