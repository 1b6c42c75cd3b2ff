import pytest

from nasfpn_lite.android_bench.coverage import (
    Coverage,
    CoverageError,
    check_coverage,
    describe,
    read_coverage,
    read_share,
)
from nasfpn_lite.android_bench.op_profile import Kind, OperatorTime


def row(kind: Kind, node_type: str, run_ms: float) -> OperatorTime:
    return OperatorTime(kind, node_type, "x", 0, run_ms, run_ms, 1, 0.1)


REPLACING = "INFO: Replacing {} with delegate ({}) node, yielding {} partitions"


def test_whole_graph():
    line = REPLACING.format("4 out of 4 node(s)", "TfLiteXNNPackDelegate", 1) + " for subgraph 0 (main)."
    assert read_coverage(line) == Coverage(("XNNPACK",), nodes=4, delegated_nodes=4, partitions=1, share=1.0)


@pytest.mark.parametrize("end", [" for the whole graph.", " for subgraph 0.", "."])
def test_part_of_a_graph(end):
    line = REPLACING.format("3 out of 4 node(s)", "TfLiteXNNPackDelegate", 2) + end
    assert read_coverage(line) == Coverage(("XNNPACK",), nodes=4, delegated_nodes=3, partitions=None, share=0.75)


def test_oldest_wording_knows_no_total():
    line = REPLACING.format("3 node(s)", "TfLiteNnapiDelegate", 2) + "."
    assert read_coverage(line) == Coverage(("NNAPI",), delegated_nodes=3)


def test_second_delegate_counts_the_first_one_as_a_node():
    """54 of 559 to the GPU leave 505 and one piece: 506; 456 of those to XNNPACK."""
    log = "\n".join(
        [
            REPLACING.format("54 out of 559 node(s)", "TfLiteGpuDelegateV2", 3) + " for subgraph 0.",
            REPLACING.format("456 out of 506 node(s)", "TfLiteXNNPackDelegate", 9) + " for subgraph 0.",
        ]
    )
    coverage = read_coverage(log)
    assert (coverage.delegates, coverage.nodes, coverage.delegated_nodes) == (("GPU", "XNNPACK"), 559, 510)
    assert coverage.share == pytest.approx(510 / 559)


def test_line_said_twice_counts_once():
    line = REPLACING.format("3 out of 4 node(s)", "TfLiteXNNPackDelegate", 2) + " for subgraph 0.\n"
    assert read_coverage(line + line).share == 0.75


def test_other_subgraphs_do_not_count():
    first = REPLACING.format("3 out of 4 node(s)", "TfLiteXNNPackDelegate", 2) + " for subgraph 0.\n"
    other = REPLACING.format("9 out of 9 node(s)", "TfLiteXNNPackDelegate", 1) + " for subgraph 1.\n"
    assert read_coverage(first + other).share == 0.75


@pytest.mark.parametrize(
    "line",
    [
        "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.",
        "Applied GPU delegate, and the model graph will be completely executed w/ the delegate.",
    ],
)
def test_tool_says_completely(line):
    assert read_coverage(line) == Coverage(("GPU",), partitions=1, share=1.0)


def test_tool_says_partially():
    line = "Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the delegate w/ 22 "
    assert read_coverage(line + "delegate kernels.") == Coverage(("XNNPACK",), partitions=22)


def test_own_runner_says_all_or_less():
    line = "INFO: Operators: 9, fully_accelerated="
    assert read_coverage(line + "1") == Coverage(("XNNPACK",), 9, 9, 1, 1.0)
    assert read_coverage(line + "0") == Coverage(("XNNPACK",), 9)
    assert read_coverage(f"INFO: Use xnnpack: [0]\n{line}0") == Coverage((), 9, 0, 0, 0.0)


OWN_LOG = """\
INFO: Use xnnpack: [1]
INFO: Operators: 8, fully_accelerated=0
INFO: count=5 first=3 curr=3 min=3 max=3 avg=2.9684 std=0 p5=3 median=3 p95=3
INFO: {title}:
================ Run Order ================
     [node type]    [start]    [first]   [avg ms]        [%]     [cdf%]   [mem KB] [times called]   [Name]
             PAD      0.000      1.000      1.000    25.000%    25.000%      0.000              1   [Builtin]:0
 Delegate/Add (ND)    0.000      3.000      3.000    75.000%   100.000%      0.000              1   [Delegate]:0

"""


def test_own_runner_profiles_one_run_for_the_share():
    log = OWN_LOG.format(title="Profiling Info for One Run with the Delegate")
    assert read_coverage(log) == Coverage(("XNNPACK",), 8, 7, None, 0.875, time_share=None, left_out=(("PAD", 1),))


def test_profile_in_the_log_gives_the_share_of_the_time_too():
    log = OWN_LOG.format(title="Operator-wise Profiling Info for Regular Benchmark Runs")
    assert read_coverage(log) == Coverage(("XNNPACK",), 8, 7, None, 0.875, time_share=0.75, left_out=(("PAD", 1),))


def test_profile_tells_what_is_left_out():
    rows = [
        row("operator", "PAD", 1.0),
        row("delegated", "Conv", 6.0),
        row("operator", "PAD", 2.0),
        row("operator", "ADD", 1),
    ]
    line = REPLACING.format("6 out of 9 node(s)", "TfLiteXNNPackDelegate", 5) + " for subgraph 0."
    coverage = read_coverage(line, operators=rows)
    assert (coverage.share, coverage.left_out) == (pytest.approx(6 / 9), (("PAD", 2), ("ADD", 1)))
    assert coverage.time_share == pytest.approx(0.6)


def test_profile_stands_in_for_a_silent_runtime():
    rows = [row("operator", "PAD", 1.0), row("delegated", "Conv", 3.0)]
    assert read_coverage("", operators=rows).share is None
    coverage = read_coverage("", operators=rows, nodes=4)
    assert (coverage.nodes, coverage.delegated_nodes, coverage.share) == (4, 3, 0.75)
    coverage = read_coverage("INFO: Operators: 5, fully_accelerated=0", operators=rows)
    assert (coverage.nodes, coverage.delegated_nodes, coverage.share) == (5, 4, 0.8)


def test_profile_without_delegates():
    coverage = read_coverage("", operators=[row("operator", "PAD", 1.0), row("operator", "ADD", 1.0)])
    assert (coverage.share, coverage.time_share, coverage.nodes) == (0.0, 0.0, 2)


def test_profile_without_operators_outside():
    coverage = read_coverage("", operators=[row("partition", "TfLiteGpuDelegateV2", 1.0)])
    assert (coverage.share, coverage.time_share, coverage.nodes) == (1.0, 1.0, None)


def test_profile_without_time():
    assert read_coverage("", operators=[row("delegated", "Conv", 0.0)]).time_share is None


def test_check():
    half = Coverage(("XNNPACK",), 4, 2, None, 0.5, left_out=(("PAD", 2),))
    check_coverage(half, 0.5)
    check_coverage(half, 0)
    check_coverage(Coverage(), 0)
    with pytest.raises(CoverageError, match=r"at least 51% .* 50\.0% \(2 of 4\) in XNNPACK; outside: PAD x 2: change"):
        check_coverage(half, 0.51)
    with pytest.raises(CoverageError, match="does not say what they ran"):
        check_coverage(Coverage(), 0.1)
    for wrong in (-0.1, 1.1, 90):
        with pytest.raises(CoverageError, match="between 0 and 1"):
            check_coverage(half, wrong)


def test_describe():
    assert describe(Coverage(("GPU",), partitions=1, share=1.0)) == "100.0% in GPU, 1 part"
    assert describe(Coverage()) == "unknown coverage"


GPU = REPLACING.format("54 out of 540 node(s)", "TfLiteGpuDelegateV2", 3)
XNNPACK = REPLACING.format("456 out of 487 node(s)", "TfLiteXNNPackDelegate", 9)
APPLIED = "Explicitly applied {} delegate, and the model graph will be {} executed by the delegate"


@pytest.mark.parametrize(
    ("log", "share"),
    [
        (f"{GPU}\n{XNNPACK}", 0.1),
        (XNNPACK, 0.0),
        (REPLACING.format("246 out of 246 node(s)", "LITERT_CL", 1) + " for subgraph 0 (main).", 1.0),
        (REPLACING.format("9 node(s)", "TfLiteGpuDelegateV2", 2), None),
        (APPLIED.format("GPU", "completely"), 1.0),
        (APPLIED.format("GPU", "partially") + " w/ 2 delegate kernels.", None),
        (APPLIED.format("XNNPACK", "completely"), None),
        ("", None),
    ],
)
def test_share_of_one_delegate_among_several(log, share):
    assert read_share(log, "GPU") == share
