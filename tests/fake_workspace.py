"""A phone's folder that answers with logs of a runner's own wording, for turns."""

import re
from pathlib import Path

from nasfpn_lite.android_bench import turns
from nasfpn_lite.android_bench.model_files import ModelFile
from nasfpn_lite.android_bench.runners import Runner
from nasfpn_lite.android_bench.session_options import SessionOptions
from tests.fake_measured_phone import FakeReply

LOG = """INFO: STARTING!
INFO: Replacing 9 out of 10 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 2 partitions for subgraph 0.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=16 first=39000 curr=30500 min=30400 max=39000 avg=31356.1 std=2072
INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=60 first=30453 curr=30910 min=30453 max=31917 avg=30610.1 std=293
INFO: Inference timings in us: Init: 238, First inference: 39000, Warmup (avg): 31356.1, Inference (avg): 30610.1
INFO: Memory footprint delta from the start of the tool (MB): init=2 overall=18
"""


ONE_RUN = LOG.replace("at least 50", "at least 1").replace("count=60", "count=1")


class FakeWorkspace:
    """Remembers what was done; answers with `replies`, one after another."""

    folder = "/data/local/tmp/nasfpn-lite-0"

    def __init__(self, replies):
        self.replies, self.pushed, self.runs, self.left = list(replies), [], [], False
        self.watches = []

    def __call__(self, device):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.left = True

    def push_all(self, files, *, executables):
        self.pushed += [(str(local), name, name in executables) for local, name in files.items()]
        return tuple(f"{self.folder}/{name}" for name in files.values())

    def run(self, argv, *, timeout_s, mask, watch):
        self.runs.append((argv, timeout_s, mask))
        self.watches.append(watch)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return FakeReply(reply, "", 0, 1.5)


RUNNER = Runner(
    "benchmark_model",
    "arm64-v8a",
    {Path("b/benchmark_model"): "benchmark_model", Path("b/lib/ld.so"): "lib/ld.so", Path("b/lib/c.so"): "lib/c.so"},
    program="benchmark_model",
    loader="lib/ld.so",
)


FILES = tuple(ModelFile(Path(name), name, "00", 1, None, None) for name in ("a b.tflite", "$(c).tflite"))


class FakeDevice:
    """Answers to `cat`, alone or in a script of `read_many`."""

    files = {
        "/sys/devices/system/cpu/online": "0-7\n",
        f"{FakeWorkspace.folder}/latencies.txt": "".join(f"{number * 1000}\n" for number in range(1, 12)),
        f"{FakeWorkspace.folder}/clocks2.txt": "hardware 7 2800000\nsample\nclock 7 1400000 2100000\nmask 80\n",
    }

    def shell(self, argv, *, timeout_s, check=True):
        (_, path) = argv
        return FakeReply(self.files.get(path, ""), "", 0, 0.01)

    def script(self, text, *, timeout_s, check=True):
        found = re.findall(r"^echo; echo '(@@nasfpn \w+)'; \{ cat (\S+); \}", text, re.MULTILINE)
        return FakeReply("".join(f"\n{mark}\n{self.files.get(path, '')}" for mark, path in found), "", 0, 0.01)


def make_bench(monkeypatch, *replies, runner=RUNNER, **options):
    """Makes a bench of FILES on cores 80 whose starts of the runner give these replies; returns its workspace too."""
    workspace = FakeWorkspace(replies)
    monkeypatch.setattr(turns, "Workspace", workspace)
    return turns.Bench(FakeDevice(), FILES, runner, SessionOptions(**options), "80"), workspace
