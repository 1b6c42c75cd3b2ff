"""A simulated phone: a real adbd in namespaces of its own, on a port of 127.0.0.1; see phone_rootfs and phone_state."""

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.android_bench.phone.phone_rootfs import FOLDER, Rootfs
from tests.android_bench.phone.phone_server import AdbServer
from tests.android_bench.phone.phone_state import (
    CLUSTERS,
    DUMPSYS,
    SETTINGS,
    Cluster,
    host_cores,
    make_properties,
    write_cpuinfo,
    write_sys,
    write_tree,
)

SHELL_USER = 2000


class SimulatedPhone:
    """Starts with the phone attached to its server.

    Attributes:
        serial: As adb lists it.
        data: The phone's /data, as seen from here; not /data/local/tmp where `disk_bytes` was given.
        sys: Its /sys, which tests may write to and the phone may not.
        state: Its /state, what getprop, dumpsys, settings, svc and taskset read and note.
    """

    def __init__(
        self,
        rootfs: Rootfs,
        folder: Path,
        server: AdbServer,
        *,
        disk_bytes: int | None = None,
        clusters: Sequence[Cluster] = CLUSTERS,
    ) -> None:
        self.abi = rootfs.architecture.abi
        self.server = server
        self.folder = folder
        self.data, self.sys, self.state = folder / "data", folder / "sys", folder / "state"
        self._properties = make_properties(self.abi)
        self._make_folders(clusters)
        # Bound here and handed over: no other program can take the port meanwhile, and adbd by itself would listen to
        # the whole network.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.serial = f"127.0.0.1:{listener.getsockname()[1]}"
            self.set_property("service.adb.listen_addrs", f"acceptfd:{listener.fileno()}")
            self._process = self._start(rootfs, listener.fileno(), disk_bytes)
        try:
            self._read_answer("started")
            self.server.connect(self.serial)
        except BaseException:
            self.stop()
            raise

    def set_property(self, name: str, value: str) -> None:
        """Sets a system property; programs see it at once."""
        self._properties[name] = value
        lines = "".join(f"{key}={value}\n" for key, value in self._properties.items())
        (self.state / "build.prop").write_text(lines, encoding="utf-8")

    def set_dumpsys(self, service: str, text: str) -> None:
        """Sets what `dumpsys SERVICE` prints."""
        write_tree(self.state / "dumpsys", {service: text})

    def set_setting(self, namespace: str, key: str, value: str) -> None:
        """Sets what `settings get NAMESPACE KEY` prints."""
        write_tree(self.state / "settings" / namespace, {key: f"{value}\n"})

    def write_sys(self, path: str, value: str | int) -> None:
        """Writes a file of /sys, e.g. `devices/system/cpu/cpu7/cpufreq/scaling_governor`."""
        (self.sys / path).write_text(f"{value}\n", encoding="utf-8")

    def read_notes(self, name: str) -> list[str]:
        """Returns the lines that a script noted: `taskset` (masks and programs) or `calls` (svc, cmd, input)."""
        path = self.state / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def unplug(self) -> None:
        """Cuts the connection, as a pulled cable does: what runs on the phone goes on there."""
        self._order("unplug")
        self.server.wait_for_state(self.serial, "offline")

    def plug_in(self) -> None:
        """Brings the connection back, and waits until the phone takes commands."""
        self._order("plug_in")
        self.server.connect(self.serial)

    def kill(self) -> None:
        """Ends the phone and all that runs on it, as an empty battery does; it stays listed as offline."""
        self._end()
        self.server.wait_for_state(self.serial, "offline")

    def stop(self) -> None:
        """Ends the phone, and takes it off the server's list."""
        if self._process.returncode is None:
            self._end()
        self.server.call("disconnect", self.serial)

    def _end(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _make_folders(self, clusters: Sequence[Cluster]) -> None:
        for name in ("root", "data/local/tmp", "sys"):
            (self.folder / name).mkdir(parents=True)
        os.chown(self.data / "local/tmp", SHELL_USER, SHELL_USER)
        (self.data / "local/tmp").chmod(0o771)
        write_tree(self.state, {"host_cores": f"{host_cores()}\n"})
        write_tree(self.state / "dumpsys", DUMPSYS)
        for namespace, values in SETTINGS.items():
            write_tree(self.state / "settings", {})
            write_tree(self.state / "settings" / namespace, {key: f"{value}\n" for key, value in values.items()})
        write_sys(self.sys, clusters)
        write_cpuinfo(self.folder / "cpuinfo", self.abi, sum(cluster.cores for cluster in clusters))

    def _start(self, rootfs: Rootfs, listener: int, disk_bytes: int | None) -> subprocess.Popen:
        spaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--propagation", "private"]
        variables = {
            "ROOTFS": str(rootfs.path),
            "PHONE": str(self.folder),
            "LOADER": rootfs.architecture.loader,
            "DISK_BYTES": str(disk_bytes or ""),
        }
        with (self.folder / "start.log").open("wb") as log:
            return subprocess.Popen(
                ["unshare", *spaces, "--fork", "--kill-child=KILL", "sh", str(FOLDER / "phone_start.sh")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[listener],
                env={"PATH": os.environ["PATH"], **variables},
                start_new_session=True,
                text=True,
            )

    def _order(self, order: str) -> None:
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self._read_answer(order)

    def _read_answer(self, expected: str) -> None:
        answer = self._process.stdout.readline().strip()
        if answer != expected:
            log = (self.folder / "start.log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the simulated phone said {answer!r} instead of {expected!r}: {log}")
