"""The comparison of quantizers: what it measures, what it writes and whom it refuses. It quantizes nothing here."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasfpn_lite.benchmarks.compare_quantizers import Cost, Row, adopt, find_quantizer, main, measure, to_table
from nasfpn_lite.benchmarks.statistics import Estimate
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.metadata import Metadata, read_metadata
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.variants import get_spec
from tests.hand_made_tflite import HandMade

MEGABYTE = 1_000_000
MODULE = "nasfpn_lite.benchmarks.compare_quantizers"


def test_measures_the_memory_of_what_a_program_starts():
    allocate = "x = bytearray(300_000_000)"
    start_another = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{allocate}'], check=True)"
    # From a small process: Linux counts what a program's parent held when it was started.
    small, large = (
        int(
            subprocess.check_output(
                [sys.executable, "-c", f"from {MODULE} import measure; print(measure({command!r}).peak_memory_bytes)"]
            )
        )
        for command in ([sys.executable, "-c", "pass"], [sys.executable, "-c", start_another])
    )
    assert small < 250 * MEGABYTE
    assert 300 * MEGABYTE < large < 450 * MEGABYTE


def test_waiting_costs_no_processor_time():
    waiting = measure([sys.executable, "-c", "import time; time.sleep(0.3)"])
    busy = measure([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"])
    assert waiting.cpu_seconds < busy.cpu_seconds
    assert busy.cpu_seconds >= 0.3


def test_a_program_that_fails_is_one_line():
    with pytest.raises(UserError, match="exit code 3 and said: no photos$"):
        measure([sys.executable, "-c", "import sys; print('first'); print('no photos'); sys.exit(3)"])


def test_a_file_with_weights_behind_the_flatbuffer_becomes_one_of_ours():
    made = HandMade()
    tensor = made.fixed([7, 8, 9])
    made.graph.main.inputs = made.graph.main.outputs = np.array([tensor], np.int32)
    buffer = made.graph.model.buffers[made.graph.main.tensors[tensor].buffer]
    weights, buffer.data = bytes(buffer.data), None
    buffer.offset, buffer.size = 2**32, len(weights)  # the same length in the file as the real offset
    buffer.offset = len(made.graph.to_bytes())
    content = made.graph.to_bytes() + weights
    assert Graph(content).constant(tensor) is None
    metadata = Metadata(
        spec=replace(get_spec("ssdlite"), num_classes=1),
        categories=(Category(1, "cell"),),
        recipe="static_wi8_ai8",
        form="raw",
        thresholds=PostprocessSpec(),
        versions={},
        calibration={},
    )
    adopted = adopt(content, metadata)
    assert Graph(adopted).constant(tensor).tolist() == [7, 8, 9]
    assert read_metadata(adopted) == metadata


def test_table():
    row = Row(
        name="int8",
        aps=(0.5, 0.48125),
        latency_ms=4.346,
        latency_ratio=Estimate(1.0512, 1.04, 1.06, 0.96),
        size_bytes=2_870_000,
        cost=Cost(cpu_seconds=38.6, peak_memory_bytes=1_756_000_000),
        int8_share=0.999,
        conversions=17,
        delegated=(359, 376),
    )
    lines = to_table([row]).splitlines()
    assert lines[2] == (
        "| int8 | 0.5000 | 0.4813 | 4.35 | 1.051 (1.040 to 1.060) | 2.87 | 39 | 1.76 | 100% | 17 | 359 of 376 |"
    )
    assert len({line.count("|") for line in lines}) == 1


def test_an_environment_without_the_quantizer_is_one_line(tmp_path, capsys):
    code = main(["run", "--data", str(tmp_path), "--quantizer-python", str(tmp_path / "python")])
    assert code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: expected a Python in ")
    assert printed.count("\n") == 1
    with pytest.raises(UserError, match=r"it is not there; .* -m pip install litert-quantizer"):
        find_quantizer(Path(sys.executable))
