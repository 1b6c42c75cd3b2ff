"""Runs a command while simulated phones are attached, so that every verb can be tried by hand.

    python -m tests.phone_trials.with_phones x86_64 arm64-v8a -- nasfpn-lite android devices

The phones hang on an adb server of their own, which only the command sees. Exit code: the command's.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.android_bench.phone.phone import SimulatedPhone
from tests.android_bench.phone.phone_rootfs import build_rootfs
from tests.android_bench.phone.phone_server import AdbServer

ABIS = ("x86_64", "arm64-v8a")


def main(words: Sequence[str] | None = None) -> int:
    """Starts the phones, runs the command, ends the phones."""
    words = sys.argv[1:] if words is None else words
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("abis", nargs="+", choices=ABIS, metavar="ABI", help=f"of each phone: {' or '.join(ABIS)}")
    if "--" not in words:
        parser.error("expected ABI [ABI ...] -- COMMAND")
    place = words.index("--")
    args = parser.parse_args(words[:place])
    # Programs of this Python's environment come first, as if it were activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "adb").mkdir()
        server = AdbServer(folder / "adb")
        stack.callback(server.stop)
        for number, abi in enumerate(args.abis):
            stack.callback(SimulatedPhone(build_rootfs(abi), folder / f"phone{number}", server).stop)
        environment = {**os.environ, **server.environment, "PATH": path}
        return subprocess.run(words[place + 1 :], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
