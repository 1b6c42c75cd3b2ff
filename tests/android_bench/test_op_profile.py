"""Operator tables of every version; the literals are excerpts in each tool's format."""

# ruff: noqa: E501
from pathlib import Path

import pytest

from nasfpn_lite.android_bench.log_traps import LogError
from nasfpn_lite.android_bench.op_profile import OperatorTime, parse_one_run, parse_profile, total_ms

# 2019: no title above the table, a [start] column, no index behind the name, calls rounded down.
TABLE_2019 = """\
count=50 first=118810 curr=114219 min=88216 max=129193 avg=115062 std=7678

============================== Run Order ==============================
\t             [node type]\t          [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                 CONV_2D\t            0.000\t    5.567\t    7.237\t 75.000%\t 75.000%\t     0.000\t        0\t[a/Relu6]
\t       DEPTHWISE_CONV_2D\t            7.241\t    3.518\t    2.412\t 25.000%\t100.000%\t     0.000\t        1\t[b/Relu6]

============================== Top by Computation Time ==============================
\t             [node type]\t          [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                 CONV_2D\t            0.000\t    5.567\t    7.237\t 75.000%\t 75.000%\t     0.000\t        1\t[a/Relu6]
"""
# 2.8 and older: a table of the initialization first, [start], and the delegate as one row.
TABLE_2_8 = """\
count=110 first=8325 curr=10016 min=7863 max=10688 avg=8680.33 std=591
Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t             [node type]\t          [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t ModifyGraphWithDelegate\t            0.000\t 1450.744\t 1450.744\t 99.998%\t 99.998%\t 62364.000\t        1\tModifyGraphWithDelegate/0

Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t          [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t     TfLiteGpuDelegateV2\t            0.000\t    8.317\t    8.671\t100.000%\t100.000%\t     0.000\t        1\t[Identity]:77

Number of nodes executed: 1
============================== Summary by node type ==============================
\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]
\t     TfLiteGpuDelegateV2\t        1\t     8.671\t   100.000%\t   100.000%\t     0.000\t        1
"""
# 2.14: no [start]; what XNNPACK runs stands in rows of its own, parts of the same number added up.
TABLE_2_14 = """\
INFO: count=64 first=16067 curr=15102 min=14661 max=17579 avg=15517.6 std=551
INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t                QUANTIZE\t    0.199\t    0.200\t 20.000%\t 20.000%\t     0.000\t        1\t[tfl.quantize]:0
\tConvolution (NHWC, QC8) DWConv\t    0.428\t    0.050\t 65.000%\t 85.000%\t     0.000\t       13\tDelegate/Convolution (NHWC, QC8) DWConv:1
\t  RESIZE_NEAREST_NEIGHBOR\t    0.150\t    0.150\t 15.000%\t100.000%\t     0.000\t        1\t[up:0, up:1]:74

"""
# LiteRT 2.3: padded with blanks, calls counted over all runs.
TABLE_LITERT = """\
INFO: count=1503 first=823 curr=654 min=651 max=897 avg=665.574 std=20
======================================= Run Order =======================================
                     [node type]    [start]    [first]   [avg ms]        [%]     [cdf%]   [mem KB] [times called]   [Name]
      Delegate/Sum (ND) Reduce2      0.000      0.064      0.065    11.327%    11.327%      0.000           1503   [Delegate]:2
   Delegate/Add (ND, F32) Add 2      0.000      0.100      0.110    20.000%    31.327%      0.000           3006   [Delegate]:3
                         CONV_2D      0.220      2.376      0.372    68.673%   100.000%      0.000           1503   [Builtin]:1

"""
CSV = """\
Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
AllocateTensors, 0.029, 0.029, 100%, 100%, 164, 1, AllocateTensors/0

Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
TRANSPOSE, 0.057, 0.057, 0.186729%, 0.186729%, 0, 1, [in, x]:0
Convolution (NHWC, F32) IGEMM, 30.239, 30.2456, 99.0829%, 99.2697%, 0, 2, Delegate/Convolution (NHWC, F32) IGEMM:1

============================== Top by Computation Time ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
"""


def test_2019():
    assert parse_profile(TABLE_2019) == (
        OperatorTime("operator", "CONV_2D", "a/Relu6", None, 5.567, 7.237, 1, 0.75),
        OperatorTime("operator", "DEPTHWISE_CONV_2D", "b/Relu6", None, 3.518, 2.412, 1, 0.25),
    )


def test_2_8_has_a_delegate_as_one_row_and_its_initialization_apart():
    assert parse_profile(TABLE_2_8) == (
        OperatorTime("partition", "TfLiteGpuDelegateV2", "Identity", 77, 8.317, 8.671, 1, 1.0),
    )


def test_2_14_adds_up_the_parts_of_a_delegate():
    rows = parse_profile(TABLE_2_14)
    assert rows == (
        OperatorTime("operator", "QUANTIZE", "tfl.quantize", 0, 0.199, 0.2, 1, 0.2),
        OperatorTime("delegated", "Convolution (NHWC, QC8) DWConv", "", 1, 0.428, 0.05, 13, 0.65),
        OperatorTime("operator", "RESIZE_NEAREST_NEIGHBOR", "up:0, up:1", 74, 0.15, 0.15, 1, 0.15),
    )
    assert rows[1].run_ms == pytest.approx(0.65)
    assert total_ms(rows) == pytest.approx(1.0)
    assert total_ms(rows, "operator") == pytest.approx(0.35)


def test_litert_counts_calls_over_all_runs():
    rows = parse_profile(TABLE_LITERT)
    assert rows == (
        OperatorTime("delegated", "Sum (ND) Reduce2", "", 2, 0.064, 0.065, 1, 0.11327),
        OperatorTime("delegated", "Add (ND, F32) Add 2", "", 3, 0.1, 0.11, 2, 0.2),
        OperatorTime("operator", "CONV_2D", "", 1, 2.376, 0.372, 1, pytest.approx(0.68673)),
    )


def test_runs_may_be_given():
    without_log = TABLE_LITERT[TABLE_LITERT.index("=") :]
    assert [row.calls_per_run for row in parse_profile(without_log[without_log.index("===") :])] == [1503, 3006, 1503]
    assert parse_profile(without_log[without_log.index("===") :], runs=1503) == parse_profile(TABLE_LITERT)


def test_csv_gives_more_digits():
    assert parse_profile(CSV) == (
        OperatorTime("operator", "TRANSPOSE", "in, x", 0, 0.057, 0.057, 1, pytest.approx(0.00186729)),
        OperatorTime("delegated", "Convolution (NHWC, F32) IGEMM", "", 1, 30.239, 30.2456, 2, pytest.approx(0.990829)),
    )


def test_one_run_for_the_share_is_kept_apart():
    table = TABLE_LITERT[TABLE_LITERT.index("=====") :]
    text = f"INFO: count=5 first=3\nINFO: Profiling Info for One Run with the Delegate:\n{table}"
    assert [row.calls_per_run for row in parse_one_run(text)] == [1503, 3006, 1503]
    with pytest.raises(LogError, match="got none"):
        parse_profile(text)
    assert parse_one_run(TABLE_LITERT) == ()


def test_subgraphs_run_inside_operators_and_are_left_out():
    table = TABLE_2_14[TABLE_2_14.index("====") :]
    title = "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:\n"
    whole = f"{title}Primary graph (name: main) :\n{table}Subgraph (index: 1, name: body) :\n{table}"
    assert len(parse_profile(whole)) == 3
    assert len(parse_profile(f"{whole}Delegate internal: \n{table}")) == 6


def test_summary_of_a_subgraph_hides_no_table():
    table = TABLE_2_14[TABLE_2_14.index("====") :]
    text = f"Subgraph (index: 1, name: body) Timings (microseconds): count=1 curr=29\n{table}"
    assert len(parse_profile(text)) == 3


def test_row_that_is_cut():
    with pytest.raises(LogError, match="the profile is cut"):
        parse_profile(TABLE_2_14[: TABLE_2_14.index("13\tDelegate")])


def test_no_table():
    with pytest.raises(LogError, match="--enable_op_profiling=true"):
        parse_profile("INFO: count=1 curr=5\n")


def test_table_with_a_header_alone():
    with pytest.raises(LogError, match="--enable_op_profiling=true"):
        parse_profile(TABLE_2_14[: TABLE_2_14.index("\t                QUANTIZE")])


def test_unknown_columns():
    with pytest.raises(LogError, match="this tool is not known"):
        parse_profile(TABLE_2_14.replace("[avg ms]", "[mean s]"))


# Genuine logs.


@pytest.fixture(scope="module")
def genuine_logs(shared_dir: Path) -> Path:
    folder = shared_dir / "logs"
    if not folder.is_dir():
        pytest.skip("the genuine logs are not here")
    return folder


def read_types(path: Path) -> list[tuple[str, str, float]]:
    return [(row.kind, row.node_type, row.run_ms) for row in parse_profile(path.read_text(encoding="utf-8"))]


def test_genuine_2_14(genuine_logs):
    folder = genuine_logs / "benchmark_model-2.14.1"
    assert read_types(folder / "ok_profile.out") == [
        ("operator", "TRANSPOSE", 0.066),
        ("operator", "CONV_2D", 30.368),
        ("operator", "SUM", 0.217),
        ("operator", "FULLY_CONNECTED", 0.008),
    ]
    assert [kind for _, kind, _ in read_types(folder / "ok_detector_custom_op.out")] == [
        "RESHAPE",
        "LOGISTIC",
        "TFLite_Detection_PostProcess",
    ]


def test_genuine_csv(genuine_logs):
    rows = read_types(genuine_logs / "benchmark_model-2.14.1" / "prof.csv")
    assert [run_ms for _, _, run_ms in rows] == [0.057, 30.2456, 0.215879, 0.00706061]


def test_genuine_litert(genuine_logs):
    assert read_types(genuine_logs / "litert-2.3.0" / "profile_xnnpack.txt") == [
        ("delegated", "Transpose (ND, X32) Transpose", 0.042),
        ("delegated", "Convolution (NHWC, F32) IGEMM", 0.466),
        ("delegated", "Sum (ND) Reduce2", 0.065),
        ("delegated", "Fully Connected (NC, F32) GEMM", 0.0),
    ]
    builtin = read_types(genuine_logs / "litert-2.3.0" / "profile_builtin.txt")
    assert [kind for kind, _, _ in builtin] == ["operator"] * 4
    assert sum(run_ms for _, _, run_ms in builtin) == pytest.approx(2.813)


def test_genuine_profile_adds_up_to_the_latency(genuine_logs):
    rows = read_types(genuine_logs / "benchmark_model-2.14.1" / "ok_profile.out")
    assert sum(run_ms for _, _, run_ms in rows) == pytest.approx(30.6721, rel=0.001)
