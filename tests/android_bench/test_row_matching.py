"""Rows of a profile and operators of a file: made by hand, and as the real runner gives them."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.op_profile import OperatorTime, parse_profile
from nasfpn_lite.android_bench.row_matching import match_rows, split_partitions, split_runs
from nasfpn_lite.converters.graph_view import view_graphs
from tests.hand_made_detector import make_detector_tflite
from tests.hand_made_tflite import HandMade, options
from tests.own_runner import build_own_runner, start


def row(node_type, index, *, kind="delegated", ms=1.0, calls=1):
    return OperatorTime(kind, node_type, "", index, ms, ms, calls, 0.1)


def outside(node_type, index):
    return row(node_type, index, kind="operator")


@pytest.fixture(scope="module")
def graph():
    """x -> 0 RELU -> 1 FLOOR_MOD with 2 -> 2 ADD with 0 (relu6) -> 3 RELU; 4 LOGISTIC of x."""
    made = HandMade()
    x, positive, modulo, total, last, gate = (made.tensor((1, 4)) for _ in range(6))
    made.op("RELU", [x], [positive])
    made.op("FLOOR_MOD", [positive, made.fixed([2.0], "float32")], [modulo])
    made.op("ADD", [modulo, positive], [total], options("Add", fusedActivationFunction=3))
    made.op("RELU", [total], [last])
    made.op("LOGISTIC", [x], [gate])
    made.graph.main.inputs, made.graph.main.outputs = [x], [last, gate]
    return view_graphs(made.graph.model)[0]


def test_parts_take_all_that_is_ready(graph):
    assert split_partitions(graph, frozenset({1})) == [[0, 4], [2, 3]]
    assert split_partitions(graph, frozenset()) == [[0, 1, 2, 3, 4]]
    assert split_partitions(graph, frozenset(range(5))) == []


ROWS = [
    row("Clamp (NC)", 0),
    row("Sigmoid (NC)", 1),
    outside("FLOOR_MOD", 1),
    row("Add (ND)", 0, ms=2.0),
    row("Clamp (NC)", 1, ms=3.0),
    row("Clamp (NC)", 2),
]


def test_rows_in_and_outside_of_two_parts(graph):
    matching = match_rows(ROWS, graph)
    assert matching.problems == ()
    assert [(item.row.node_type, item.operators, item.ms) for item in matching.rows] == [
        ("FLOOR_MOD", (1,), 1.0),
        ("Clamp (NC)", (0,), 1.0),
        ("Sigmoid (NC)", (4,), 1.0),
        ("Add (ND)", (2,), 2.0),
        ("Clamp (NC)", (2,), 3.0),
        ("Clamp (NC)", (3,), 1.0),
    ]


def test_rows_that_the_tool_added_up(graph):
    """Both parts have a clamp as number 0 where the addition left no other row; one row stands for both."""
    rows = [row("Clamp (NC)", 0, calls=2, ms=5.0), row("Sigmoid (NC)", 1), outside("FLOOR_MOD", 1), ROWS[4]]
    assert [[item.index for item in run] for run in split_runs(rows)] == [[0, 1], [0, 1]]
    assert split_runs(rows)[1][0] is rows[0]
    added = [rows[0], rows[1], rows[2], row("Add (ND)", 1)]
    assert [item.ms for item in match_rows(added, graph).rows if item.row is rows[0]] == [5.0, 5.0]


def test_one_row_too_many_or_not_enough_is_not_guessed(graph):
    matching = match_rows([*ROWS, row("Clamp (NC)", 3)], graph)
    # The addition and its clamp are sure; which of the two other clamps is the last operator is not.
    assert [item.operators for item in matching.rows[-4:]] == [(2,), (2,), (), ()]
    assert matching.problems == ("2 rows of a delegate fit no operator of the file surely",)


def test_the_profile_of_another_file(graph):
    matching = match_rows([row("Deconvolution (NHWC)", number) for number in range(20)], graph)
    assert all(item.operators == () for item in matching.rows)
    assert "is this the profile of this file" in matching.problems[0]
    matching = match_rows([outside("CONV_2D", 0), *ROWS], graph)
    assert "the profile's operator 0, CONV_2D, is not in the file" in matching.problems[0]
    assert all(item.operators == () for item in matching.rows if item.row.kind == "delegated")


def test_more_parts_than_can_be_told_apart(graph):
    matching = match_rows([row("Clamp (NC)", 0, calls=2), outside("FLOOR_MOD", 1)], graph)
    assert [item.operators for item in matching.rows] == [(1,), ()]
    assert "delegates took 2 parts of the model, and the tool adds up their rows" in matching.problems[0]


def test_a_delegate_as_a_whole_belongs_to_no_operator(graph):
    rows = [replace(outside("FLOOR_MOD", 1)), row("TfLiteXNNPackDelegate", 5, kind="partition")]
    assert [item.operators for item in match_rows(rows, graph).rows] == [(1,), ()]


@pytest.mark.parametrize("xnnpack", ["true", "false"])
@pytest.mark.parametrize(
    ("form", "dtype"), [("raw", "float32"), ("raw", "int8"), ("detect", "float32"), ("detect", "int8")]
)
def test_every_row_of_a_real_run(form, dtype, xnnpack, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(make_detector_tflite(form=form, dtype=dtype))
    from nasfpn_lite.converters.inspect_ops import read_model

    graph = view_graphs(read_model(path))[0]
    flags = ["--num_runs=2", "--min_secs=0", "--warmup_min_secs=0", "--enable_op_profiling=true"]
    result = start(build_own_runner("x86_64"), "x86_64", f"--graph={path}", *flags, f"--use_xnnpack={xnnpack}")
    matching = match_rows(parse_profile(result.stdout), graph)
    assert matching.problems == ()
    assert all(item.operators for item in matching.rows)
    doubtful = [{graph.operators[place].name for place in item.operators} for item in matching.rows]
    pairs = ({"DEQUANTIZE", "QUANTIZE"}, {"MAXIMUM", "MINIMUM"})  # XNNPACK makes one operator of these two
    assert all(len(names) == 1 or names in pairs for names in doubtful)
    computing = {operator.position for operator in graph.operators if operator.multiply_adds}
    assert computing <= {place for item in matching.rows for place in item.operators}
