"""An adb server for the tests alone: own port, own HOME; it sees no USB device and no emulator of this machine."""

import os
import socket
import subprocess
import time
from pathlib import Path

START_TIMEOUT_S = 20.0

# As process 1 of its own namespace, so that all ends when stdin does.
_SCRIPT = """
if [ -d /dev/bus/usb ]; then mount -t tmpfs tmpfs /dev/bus/usb; fi
adb nodaemon server < /dev/null &
read -r line
"""


class AdbServer:
    """Runs the server; `environment` leads adb to it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {
            "HOME": str(folder),
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",  # looks for no emulator
            "TMPDIR": str(folder),  # its log
        }
        with (folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def call(self, *arguments: str) -> str:
        """Runs `adb ARGUMENTS` and returns what it prints, whatever its exit code."""
        command = ["adb", *arguments]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def list_states(self) -> dict[str, str]:
        """Returns serial -> state of all that is attached to this server."""
        lines = self.call("devices").splitlines()
        return dict(line.split("\t") for line in lines if "\t" in line)

    def wait_for_state(self, serial: str, state: str) -> None:
        """Waits until a phone is in that state; `""` waits until it is not listed."""
        end = time.monotonic() + START_TIMEOUT_S
        while (seen := self.list_states().get(serial, "")) != state:
            if time.monotonic() > end:
                raise TimeoutError(f"the phone {serial} should be {state!r}, but is {seen!r}")
            time.sleep(0.02)

    def connect(self, serial: str) -> None:
        """Attaches a phone that listens on 127.0.0.1, and waits until it takes commands."""
        end = time.monotonic() + START_TIMEOUT_S
        while self.list_states().get(serial) != "device":
            if time.monotonic() > end:
                raise TimeoutError(f"the phone {serial} does not get ready: {self.list_states()}")
            self.call("disconnect", serial)  # else adb takes a lost phone for one that is there
            self.call("connect", serial)

    def stop(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("the adb server of the tests did not start")
