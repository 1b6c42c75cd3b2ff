"""Logs in every wording since 2018. The literals are short ones in each tool's format."""

import pytest

from nasfpn_lite.android_bench.bench_log import BenchLog, Timings, parse_latencies, parse_log
from nasfpn_lite.android_bench.log_traps import LogError

LOG_2018 = """\
STARTING!
Num runs: [50]
Num threads: [1]
Loaded model m.tflite
Initialized session in 4.452ms
Running benchmark for 1 iterations
count=1 curr=146161

Running benchmark for 50 iterations
count=50 first=137789 curr=137254 min=137079 max=143416 avg=137722 std=896

Average inference timings in us: Warmup: 146161, Init: 4452, no stats: 137722
"""
LOG_2019 = """\
STARTING!
Num threads: [2]
INFO: Initialized TensorFlow Lite runtime.
Running benchmark for at least 1 iterations and at least 0.5 seconds
count=6 first=91810 curr=85097 min=84834 max=91810 avg=86184.3 std=2519

Running benchmark for at least 50 iterations and at least 1 seconds
count=50 first=118810 curr=114219 min=88216 max=129193 avg=115062 std=7678

Average inference timings in us: Warmup: 86184.3, Init: 1892, Inference: 115062
"""
LOG_2020 = """\
STARTING!
Duplicate flags: num_threads
#threads used for CPU inference: [4]
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=56 first=11147 curr=8146 min=7055 max=12036 avg=8779.68 std=1115

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=110 first=8325 curr=10016 min=7863 max=10688 avg=8680.33 std=591

Inference timings in us: Init: 1451507, First inference: 11147, Warmup (avg): 8779.68, Inference (avg): 8680.33
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE ...
Peak memory footprint (MB): init=63.5 overall=64
"""
LOG_2021 = """\
STARTING!
Log parameter values verbosely: [0]
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=8 first=70000 curr=69000 min=69000 max=70000 avg=69500 std=100

Running benchmark for at least 2 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=2 first=1200000 curr=1280000 min=1200000 max=1280000 avg=1.24e+06 std=40000

Inference timings in us: Init: 800, First inference: 70000, Warmup (avg): 69500, Inference (avg): 1.24e+06
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE ...
Memory footprint delta from the start of the tool (MB): init=1.5 overall=2.25
"""
LOG_2_14 = """\
INFO: STARTING!
WARN: Duplicate flags: num_threads
INFO: Log parameter values verbosely: [0]
INFO: #threads used for CPU inference: [1]
INFO: Loaded model d.tflite
INFO: Initialized session in 21.821ms.
INFO: Running benchmark for at least 1 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=2645

INFO: Running benchmark for at least 10 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=10 first=119 curr=94 min=94 max=119 avg=101.1 std=8

INFO: Inference timings in us: Init: 21821, First inference: 2645, Warmup (avg): 2645, Inference (avg): 101.1
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE ...
INFO: Memory footprint delta from the start of the tool (MB): init=2.75 overall=2.875
INFO: Overall peak memory footprint (MB) via periodic monitoring: 25.25
"""
LOG_2025 = """\
INFO: STARTING!
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=905463 p5=905463 median=905463 p95=905463

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=900416 curr=898333 min=898007 max=906121 avg=899641 std=1549 p5=898333 median=899281 p95=904305

INFO: Inference timings in us: Init: 614333, First inference: 905463, Warmup (avg): 905463, Inference (avg): 899641
"""
LOG_ONE_RUN = """\
INFO: Running benchmark for at least 0 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=0

INFO: Running benchmark for at least 1 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=37481

INFO: Inference timings in us: Init: 247, First inference: 0, Warmup (avg): 0, Inference (avg): 37481
"""


def test_2018_with_a_summary_of_other_names():
    assert parse_log(LOG_2018) == BenchLog(
        timings=Timings(50, 137.789, 137.079, 143.416, 137.722, 0.896),
        asked_runs=50,
        warm_up=Timings(1, 146.161, 146.161, 146.161, 146.161, 0.0),
        init_ms=4.452,
        memory_growth_bytes=None,
        peak_memory_bytes=None,
        threads=1,
    )


def test_2019_names_the_average_inference():
    log = parse_log(LOG_2019)
    assert (log.timings.average_ms, log.asked_runs, log.threads) == (115.062, 50, 2)
    assert log.warm_up == Timings(6, 91.81, 84.834, 91.81, pytest.approx(86.1843), 2.519)


def test_2020_gives_the_peak_of_memory():
    log = parse_log(LOG_2020)
    assert (log.init_ms, log.first_ms, log.threads) == (1451.507, 11.147, 4)
    assert (log.memory_growth_bytes, log.peak_memory_bytes) == (None, 64 * 1024 * 1024)


def test_2020_with_a_peak_of_0_knows_none():
    assert parse_log(LOG_2020.replace("init=63.5 overall=64", "init=0 overall=0")).peak_memory_bytes is None


def test_2021_gives_the_growth_of_memory_and_large_averages_with_an_exponent():
    log = parse_log(LOG_2021)
    assert log.timings == Timings(2, 1200.0, 1200.0, 1280.0, 1240.0, 40.0)
    assert (log.memory_growth_bytes, log.peak_memory_bytes) == (2359296, None)


def test_2_14_has_levels_in_front():
    log = parse_log(LOG_2_14)
    assert log.timings == Timings(10, 0.119, 0.094, 0.119, 0.1011, 0.008)
    assert (log.memory_growth_bytes, log.peak_memory_bytes) == (3014656, 26476544)


def test_2025_gives_the_median():
    log = parse_log(LOG_2025)
    assert (log.timings.median_ms, log.timings.p5_ms, log.timings.p95_ms) == (899.281, 898.333, 904.305)
    assert log.warm_up == Timings(1, 905.463, 905.463, 905.463, 905.463, 0.0, 905.463, 905.463, 905.463)


def test_one_run_without_a_warm_up():
    log = parse_log(LOG_ONE_RUN)
    assert log.warm_up is None
    assert (log.timings.runs, log.first_ms, log.timings.max_ms) == (1, 37.481, 37.481)


def test_order_of_the_streams_plays_no_part():
    assert parse_log("", LOG_2_14) == parse_log(LOG_2_14, "Error in cpuinfo: failed to parse /proc/cpuinfo")


def test_lines_of_a_profile_are_no_runs():
    profile = "Timings (microseconds): count=33 first=1 curr=1 min=1 max=1 avg=1 std=0\nMemory (bytes): count=0\n"
    assert parse_log(LOG_2_14 + profile) == parse_log(LOG_2_14)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_ends_of_lines_play_no_part(end):
    assert parse_log(LOG_2_14.replace("\n", end)) == parse_log(LOG_2_14)


def test_fewer_runs_than_asked():
    with pytest.raises(LogError, match=r"at least 100000 runs, got 10: .*max_secs"):
        parse_log(LOG_2_14.replace("at least 10 iterations", "at least 100000 iterations"))


def test_average_of_0():
    log = LOG_2_14.replace("avg=101.1", "avg=0").replace("(avg): 101.1", "(avg): 0")
    with pytest.raises(LogError, match="the tool ran nothing"):
        parse_log(log)


@pytest.mark.parametrize("average", ["nan", "inf"])
def test_average_that_is_no_number(average):
    with pytest.raises(LogError, match="above 0"):
        parse_log(LOG_2_14.replace("avg=101.1", f"avg={average}"))


@pytest.mark.parametrize("length", range(0, len(LOG_2_14[: LOG_2_14.index("avg): 101.1") + len("avg): 101")]), 7))
def test_log_cut_anywhere_before_its_summary_ends(length):
    with pytest.raises(LogError, match="cut|got nothing"):
        parse_log(LOG_2_14[: length - length % 7] if length else "")


def test_log_cut_inside_its_last_number():
    assert parse_log(LOG_2_14[: LOG_2_14.index("(avg): 101.1") + len("(avg): 101")]).timings.average_ms == 0.1011
    with pytest.raises(LogError, match=r"average of 101\.1 us, got 10 us: the log is cut"):
        parse_log(LOG_2_14[: LOG_2_14.index("(avg): 101.1") + len("(avg): 10")])


@pytest.mark.parametrize(
    ("average", "summary", "is_whole"),
    [("101.1", "100.2", True), ("101.1", "100", False), ("30610.1", "30580", True), ("30610.1", "30579", False)],
)
def test_summary_may_differ_by_1_us_or_a_thousandth(average, summary, is_whole):
    log = LOG_2_14.replace("(avg): 101.1", f"(avg): {summary}").replace("avg=101.1", f"avg={average}")
    if is_whole:
        assert parse_log(log).timings.average_ms == pytest.approx(float(average) / 1e3)
    else:
        with pytest.raises(LogError, match="the log is cut"):
            parse_log(log)


def test_log_cut_before_the_line_about_memory():
    with pytest.raises(LogError, match="line about memory after the note"):
        parse_log(LOG_2_14[: LOG_2_14.index("INFO: Memory footprint")])


def test_summary_rounded_to_whole_microseconds_is_not_cut():
    assert parse_log(LOG_2_14.replace("(avg): 101.1", "(avg): 101")).timings.average_ms == 0.1011


def test_empty_log():
    with pytest.raises(LogError, match="got nothing: see that the program can start"):
        parse_log("", "\n")


def test_errors_of_the_tool_are_repeated():
    stderr = "ERROR: Could not open 'x'.\nERROR: Failed to load model x\nERROR: Benchmarking failed.\n"
    with pytest.raises(LogError, match=r"could not run the model: Could not open 'x'\.; Failed to load model x$"):
        parse_log("INFO: STARTING!\n", stderr)
    with pytest.raises(LogError, match="does not say why"):
        parse_log("INFO: STARTING!\n", "ERROR: Benchmarking failed.\n")


def test_latencies():
    assert parse_latencies("1500.250\n2000\n") == (1.50025, 2.0)


@pytest.mark.parametrize("text", ["", "12\nx\n", "12\n-1\n", "0\n", "nan\n", "12\n\n13\n"])
def test_latencies_that_are_none(text):
    with pytest.raises(LogError, match="run it again"):
        parse_latencies(text)
