"""One start of the runner, from its command to a turn; the phone's folder is a fake, the log a runner's own wording."""

from dataclasses import replace
from functools import partial

import pytest

from nasfpn_lite.android_bench import turns
from nasfpn_lite.android_bench.adb import AdbError, AdbTimeoutError, Completed, DeviceLostError
from nasfpn_lite.android_bench.session_options import SessionError
from nasfpn_lite.android_bench.turn_watch import TurnWatch
from tests.fake_workspace import LOG, ONE_RUN, RUNNER, FakeWorkspace, make_bench


@pytest.fixture
def open_bench(monkeypatch):
    return partial(make_bench, monkeypatch)


def test_a_turn(open_bench):
    bench, workspace = open_bench(LOG)
    with bench:
        turn = bench.take(1)
        assert not workspace.left
    assert workspace.left
    assert workspace.pushed == [
        ("b/benchmark_model", "benchmark_model", True),
        ("b/lib/ld.so", "lib/ld.so", True),
        ("b/lib/c.so", "lib/c.so", False),
        ("a b.tflite", "model0.tflite", False),
        ("$(c).tflite", "model1.tflite", False),
    ]
    assert (turn.runs, turn.latency_ms, turn.latency_ms_min, turn.latency_ms_max) == (60, 30.6101, 30.453, 31.917)
    assert (turn.init_ms, turn.memory_growth_bytes, turn.peak_memory_bytes) == (0.238, 18 * 2**20, None)
    assert turn.seconds == 1.5
    assert turn.latency_ms_p90 is None


def test_each_turn_is_watched_from_a_core_that_is_not_measured(open_bench):
    bench, workspace = open_bench(LOG, LOG)
    with bench:
        assert bench.take(0).watch is None  # nothing was written: unknown, not fine
        assert bench.take(0).watch == TurnWatch(1, 0.5, 0.5, 0.75, ("80",))
    assert [words[:2] for words in workspace.watches] == [["taskset", "01"]] * 2
    assert [words[-2:] for words in workspace.watches] == [
        [f"{FakeWorkspace.folder}/clocks{number}.txt", "7"] for number in (1, 2)
    ]


def test_p90_of_a_runner_that_writes_down_each_run(open_bench):
    bench, _ = open_bench(LOG, runner=replace(RUNNER, name="nasfpn_runner"))
    with bench:
        assert bench.take(0).latency_ms_p90 == 10.0  # of 1, 2 ... 11 ms


def test_a_build_that_does_not_know_xnnpack_gets_a_hint(open_bench):
    bench, _ = open_bench(f"WARN: Unconsumed cmdline flags: --use_xnnpack=true\n{LOG}")
    with bench, pytest.raises(SessionError, match="on the command line: --xnnpack runner"):
        bench.take(0)


def test_runs_that_the_time_limit_cut_get_a_hint(open_bench):
    bench, _ = open_bench(LOG.replace("count=60", "count=49"))
    with bench, pytest.raises(SessionError, match="got 49: .* on the command line: --max-seconds, --runs"):
        bench.take(0)


def test_other_unknown_flags_get_no_such_hint(open_bench):
    bench, _ = open_bench(f"WARN: Unconsumed cmdline flags: --use_gpu=true\n{LOG}")
    with bench, pytest.raises(SessionError, match=r"--use_gpu=true\.") as caught:
        bench.take(0)
    assert "--xnnpack runner" not in str(caught.value)


def test_the_command(open_bench):
    bench, workspace = open_bench(LOG, threads=2, runs=20, warmup_runs=3, min_s=0.5, max_s=20.0, xnnpack=False)
    with bench:
        bench.take(0)
    ((argv, timeout_s, mask),) = workspace.runs
    assert argv[-8:] == [
        "--graph=/data/local/tmp/nasfpn-lite-0/model0.tflite",
        *("--num_threads=2", "--num_runs=20", "--warmup_runs=3", "--min_secs=0.5", "--max_secs=20"),
        *("--warmup_min_secs=0.5", "--use_xnnpack=false"),
    ]
    assert (timeout_s, mask) == (160.0, "80")


def test_without_a_word_on_xnnpack(open_bench):
    bench, workspace = open_bench(LOG, xnnpack=None)
    with bench:
        bench.take(0)
    assert not any("xnnpack" in word for word in workspace.runs[0][0])


def test_the_folder_is_known_before_anything_is_in_it(open_bench, monkeypatch):
    bench, workspace = open_bench(LOG)
    removed = []
    monkeypatch.setattr(turns, "remove_folder", lambda device, folder: removed.append(folder))
    with bench:
        bench.remove_left("/data/local/tmp/nasfpn-lite-1")
        assert bench.open() == bench.open() == workspace.folder
        assert workspace.pushed == []
        bench.take(0)
    assert removed == ["/data/local/tmp/nasfpn-lite-1"]


def test_pushed_once_and_only_when_needed(open_bench):
    bench, workspace = open_bench(ONE_RUN, ONE_RUN, LOG, LOG)
    with bench:
        assert workspace.pushed == []
        bench.warm_up()
        bench.take(0)
        bench.take(1)
    assert len(workspace.pushed) == 5


def test_warm_up_tells_what_delegates_took(open_bench):
    bench, workspace = open_bench(ONE_RUN, ONE_RUN)
    with bench:
        first, _ = bench.warm_up()
    assert (first.delegates, first.nodes, first.delegated_nodes, first.share) == (("XNNPACK",), 10, 9, 0.9)
    assert first.text.startswith("90.0% (9 of 10) in XNNPACK")
    argv = workspace.runs[0][0]
    assert {"--num_runs=1", "--min_secs=0", "--warmup_min_secs=0", "--enable_op_profiling=true"} <= set(argv)


@pytest.mark.parametrize(("least", "fails"), [(0.0, False), (0.9, False), (0.95, True)])
def test_too_little_coverage_fails(open_bench, least, fails):
    bench, _ = open_bench(ONE_RUN, ONE_RUN, min_coverage=least)
    with bench:
        if not fails:
            assert len(bench.warm_up()) == 2
            return
        with pytest.raises(SessionError, match=r"a b.tflite: expected delegates to run at least 95%"):
            bench.warm_up()


@pytest.mark.parametrize(("xnnpack", "fails"), [(True, True), (None, False), (False, False)])
def test_xnnpack_that_takes_nothing_is_no_measurement_of_xnnpack(open_bench, xnnpack, fails):
    log = ONE_RUN.replace("Replacing 9 out of 10", "Replacing 0 out of 10")
    bench, _ = open_bench(log, log, xnnpack=xnnpack)
    with bench:
        if not fails:
            assert [item.share for item in bench.warm_up()] == [0.0, 0.0]
            return
        with pytest.raises(SessionError, match=r"a b.tflite: XNNPACK was asked for and takes none of the 10 operators"):
            bench.warm_up()


@pytest.mark.parametrize(
    ("taken", "least", "message"),
    [
        (9, 0.9, None),
        (9, 0.95, "a b.tflite: expected the GPU to run at least 95% of the operators, got 90.0%"),
        (0, 0.0, "a b.tflite: --gpu was asked for, but the log tells that the GPU took none"),
        (None, 0.0, "a b.tflite: --gpu was asked for, but the log tells that the GPU took none"),
    ],
)
def test_the_gpu_alone_counts_where_it_was_asked_for(open_bench, taken, least, message):
    line = LOG.splitlines()[1]
    gpu = f"{line.replace('XNNPack', 'Gpu').replace('Delegate)', 'DelegateV2)').replace('9 out', f'{taken} out')}\n"
    log = ONE_RUN if taken is None else f"{gpu}{ONE_RUN}"  # what the GPU leaves, XNNPACK takes
    bench, workspace = open_bench(log, log, gpu=True, min_coverage=least)
    with bench:
        if message is None:
            assert [item.delegates for item in bench.warm_up()] == [("GPU", "XNNPACK")] * 2
            assert "--use_gpu=true" in workspace.runs[0][0]
            return
        with pytest.raises(SessionError, match=message):
            bench.warm_up()


def test_a_gpu_that_the_log_does_not_speak_of(open_bench):
    log = "\n".join(line for line in ONE_RUN.splitlines() if "Replacing" not in line)
    bench, _ = open_bench(log, gpu=True)
    with bench, pytest.raises(SessionError, match="the log does not tell what the GPU took: measure without it"):
        bench.warm_up()


@pytest.mark.parametrize(("used", "fails"), [(1, True), (2, False)])
def test_other_threads_than_asked_for_are_no_measurement(open_bench, used, fails):
    bench, _ = open_bench(f"INFO: #threads used for CPU inference: [{used}]\n{LOG}", threads=2)
    with bench:
        if not fails:
            assert bench.take(0).runs == 60
            return
        with pytest.raises(SessionError, match=r"a b.tflite was not measured: expected 2 thread\(s\), .* used 1"):
            bench.take(0)


def test_fewer_runs_than_asked_for_are_no_measurement(open_bench):
    bench, _ = open_bench(LOG, LOG, runs=61)
    with bench, pytest.raises(SessionError, match="expected at least 61 runs, but the runner did 60"):
        bench.take(0)


def test_a_log_without_a_measurement_names_the_file(open_bench):
    bench, workspace = open_bench("INFO: STARTING!\n")
    with bench, pytest.raises(SessionError, match=r"\$\(c\).tflite was not measured: .*the log is cut"):
        bench.take(1)
    assert workspace.left


def failed(exit_code: int, stdout: str = "") -> AdbError:
    return AdbError("a command ended badly", Completed(("adb",), "S", exit_code, stdout, ""), "do something")


def test_a_runner_that_fails_says_why_in_its_own_words(open_bench):
    bench, _ = open_bench(failed(1, "ERROR: Failed to load model\nERROR: Benchmarking failed.\n"))
    with bench, pytest.raises(SessionError, match="a b.tflite was not measured: .*Failed to load model") as caught:
        bench.take(0)
    assert "exit code: 1" in str(caught.value)


def test_a_runner_that_crashes_has_no_cut_log(open_bench):
    bench, _ = open_bench(failed(139, "INFO: STARTING!\n"))
    with bench, pytest.raises(SessionError, match="a b.tflite was not measured: a command ended badly") as caught:
        bench.take(0)
    assert "the log is cut" not in str(caught.value)


def test_a_runner_that_fails_after_its_summary(open_bench):
    bench, _ = open_bench(failed(1, LOG))
    with bench, pytest.raises(SessionError, match="failed after its last run"):
        bench.take(0)


@pytest.mark.parametrize("kind", [DeviceLostError, AdbTimeoutError])
@pytest.mark.parametrize("exit_code", [None, 0, 1])
def test_a_phone_that_went_away_stays_that_error(open_bench, kind, exit_code):
    error = kind("gone", Completed(("adb",), "S", exit_code, "", ""), "plug it in")
    bench, workspace = open_bench(error)
    with bench, pytest.raises(AdbError) as caught:
        bench.take(0)
    assert caught.value is error
    assert workspace.left
