"""Rows of a profile and operators of a file: made by hand, and as the real runner gives them."""

from dataclasses import replace

import pytest

from nasfpn_lite.android_bench.op_profile import OperatorTime, parse_profile
from nasfpn_lite.android_bench.row_matching import match_rows
from nasfpn_lite.converters.graph_view import view_graphs
from nasfpn_lite.converters.inspect_ops import read_model
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
    """Both parts have a clamp as number 0, where the addition left none; one row, where the first ran, is both."""
    made = HandMade()
    x, first, modulo, second, last = (made.tensor((1, 4)) for _ in range(5))
    made.op("RELU", [x], [first])
    made.op("FLOOR_MOD", [first, made.fixed([2.0], "float32")], [modulo])
    made.op("RELU", [modulo], [second])
    made.op("LOGISTIC", [second], [last])
    made.graph.main.inputs, made.graph.main.outputs = [x], [last]
    view = view_graphs(made.graph.model)[0]
    both = row("Clamp (NC)", 0, calls=2, ms=5.0)
    matching = match_rows([both, outside("FLOOR_MOD", 1), row("Sigmoid (NC)", 1)], view)
    assert matching.problems == ()
    assert [(item.row.node_type, item.operators, item.ms) for item in matching.rows] == [
        ("FLOOR_MOD", (1,), 1.0),
        ("Clamp (NC)", (0,), 5.0),
        ("Clamp (NC)", (2,), 5.0),
        ("Sigmoid (NC)", (3,), 1.0),
    ]
    # Three calls cannot be in two parts: then nothing is said of this row, and its whole time stays.
    matching = match_rows([replace(both, calls_per_run=3), outside("FLOOR_MOD", 1), row("Sigmoid (NC)", 1)], view)
    assert matching.problems == ("1 rows that the tool added up over parts of the model cannot be told apart",)
    assert [(item.operators, item.ms) for item in matching.rows] == [((1,), 1.0), ((3,), 1.0), ((), 15.0)]


def test_one_row_too_many_or_not_enough_is_not_guessed(graph):
    matching = match_rows([*ROWS, row("Clamp (NC)", 3)], graph)
    # The addition and its clamp are sure; which of the two other clamps is the last operator is not.
    assert [item.operators for item in matching.rows[-4:]] == [(2,), (2,), (), ()]
    assert matching.problems == ("2 rows of a delegate fit no operator of the file surely",)


def test_the_profile_of_another_file(graph):
    matching = match_rows([row("Deconvolution (NHWC)", number) for number in range(20)], graph)
    assert all(item.operators == () for item in matching.rows)
    assert "is this the profile of this file" in matching.problems[0]
    matching = match_rows([row("Clamp (NC)", 1), row("Sigmoid (NC)", 0), outside("FLOOR_MOD", 1)], graph)
    assert "do not lie between the file's other operators" in matching.problems[0]
    assert [item.operators for item in matching.rows] == [(1,), (), ()]
    matching = match_rows([outside("CONV_2D", 0), *ROWS], graph)
    assert "the profile's operator 0, CONV_2D, is not in the file" in matching.problems[0]
    assert all(item.operators == () for item in matching.rows if item.row.kind == "delegated")


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
    check_every_row(path, xnnpack)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2_224_int8_ptq.tflite",
        "ssd_mobilenet_v1_coco_quant_300.tflite",
        "ssd_mobilenet_v2_fpnlite_256_int8.tflite",
        "yolox_nano_416_fp16.tflite",  # in many parts, whose rows the tool adds up
    ],
)
def test_every_row_of_other_projects_networks(name, find_peer):
    check_every_row(find_peer(name), "true")


def check_every_row(path, xnnpack):
    graph = view_graphs(read_model(path))[0]
    flags = ["--num_runs=2", "--min_secs=0", "--warmup_min_secs=0", "--enable_op_profiling=true"]
    result = start(build_own_runner("x86_64"), "x86_64", f"--graph={path}", *flags, f"--use_xnnpack={xnnpack}")
    rows = parse_profile(result.stdout)
    matching = match_rows(rows, graph)
    assert matching.problems == ()
    assert sum(item.ms for item in matching.rows) == pytest.approx(sum(row.run_ms for row in rows))
    assert all(item.operators for item in matching.rows)
    doubtful = [{graph.operators[place].name for place in item.operators} for item in matching.rows]
    pairs = ({"DEQUANTIZE", "QUANTIZE"}, {"MAXIMUM", "MINIMUM"})  # XNNPACK makes one operator of these two
    assert all(len(names) == 1 or names in pairs for names in doubtful)
    computing = {operator.position for operator in graph.operators if operator.multiply_adds}
    assert computing <= {place for item in matching.rows for place in item.operators}
