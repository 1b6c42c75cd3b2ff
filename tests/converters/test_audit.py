"""The audit of files made by hand, of our own recipes, and of other projects' files."""

import json
import math
from pathlib import Path

import pytest

from nasfpn_lite.cli.output import to_plain
from nasfpn_lite.converters.audit import OperatorCount, Port, Refusal, audit_file
from nasfpn_lite.converters.delegation import measure_delegation
from nasfpn_lite.converters.graph_view import view_graphs
from nasfpn_lite.converters.inspect_ops import count_multiply_adds, list_operators, read_model
from nasfpn_lite.converters.interpreter import make_interpreter
from nasfpn_lite.converters.recipes import RECIPES
from nasfpn_lite.converters.xnnpack_rules import find_reason
from nasfpn_lite.errors import UserError
from tests.hand_made_tflite import HandMade, options
from tests.tiny_tflite import MULTIPLY_ADDS, make_tiny_tflite

DEPTHWISE = {"strideH": 1, "strideW": 1, "depthMultiplier": 1, "dilationHFactor": 1, "dilationWFactor": 1}
PEERS = [
    "mobilenet_v2_224_int8_ptq.tflite",
    "ssd_mobilenet_v1_coco_quant_300.tflite",
    "ssd_mobilenet_v2_fpnlite_256_int8.tflite",
    "yolox_nano_416_fp16.tflite",
]


def make_two_thirds_int8() -> bytes:
    """QUANTIZE, an int8 convolution of 192, DEQUANTIZE, then a float one of 96 multiply-adds."""
    made = HandMade()
    image, small = made.tensor((1, 4, 6, 2)), made.tensor((1, 4, 6, 2), "int8", scale=0.5, zero_point=3)
    wide, back = made.tensor((1, 4, 6, 4), "int8"), made.tensor((1, 4, 6, 4))
    result = made.tensor((1, 4, 6, 1))
    made.op("QUANTIZE", [image], [small])
    made.conv(small, wide)
    made.op("DEQUANTIZE", [wide], [back])
    made.conv(back, result, weights="float32")
    return made.to_bytes([image], [result])


def make_dynamic_range() -> bytes:
    """One hybrid convolution, 192, and one hybrid depthwise convolution, 96 multiply-adds."""
    made = HandMade()
    image, wide, result = made.tensor((1, 4, 6, 2)), made.tensor((1, 4, 6, 4)), made.tensor((1, 4, 6, 4))
    made.conv(image, wide)
    kernel = made.fixed([[[[1, 1, 1, 1]]]], "int8", scale=[0.1] * 4, axis=3)
    bias = made.fixed([0.0] * 4, "float32")
    made.op("DEPTHWISE_CONV_2D", [wide, kernel, bias], [result], options("DepthwiseConv2D", **DEPTHWISE), version=3)
    return made.to_bytes([image], [result])


def write(tmp_path: Path, content: bytes, name: str = "m.tflite") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_shares_by_hand(tmp_path):
    audit = audit_file(write(tmp_path, make_two_thirds_int8()))
    assert audit.multiply_adds == 4 * 6 * 2 * 4 + 4 * 6 * 4
    assert audit.int8_multiply_add_share == pytest.approx(192 / 288)
    assert audit.float_multiply_add_share == pytest.approx(96 / 288)
    assert (audit.hybrid_multiply_add_share, audit.int16x8_multiply_add_share) == (0, 0)
    assert audit.int8_operator_share == 0.25
    assert audit.operators[:2] == (OperatorCount("CONV_2D", "float", 1, 96), OperatorCount("CONV_2D", "int8", 1, 192))
    assert audit.weights == {"per_channel": 1, "per_tensor": 0, "float": 1}
    assert audit.inputs == (Port("t0", (1, 4, 6, 2), "float32", None, None),)
    assert (audit.claims, audit.fake_quant_count) == ((), 0)
    assert (audit.delegation_measured, audit.delegated_operator_count, audit.delegated_parts) == (True, 4, 1)


def test_quantized_ports_have_scale_and_zero_point(tmp_path):
    made = HandMade()
    source, result = (
        made.tensor((1, 4, 6, 2), "uint8", scale=0.5, zero_point=3),
        made.tensor((1, 4, 6, 1), "uint8", scale=2),
    )
    made.op("MEAN", [source, made.fixed([3])], [result], options("Reducer", keepDims=True), version=2)
    audit = audit_file(write(tmp_path, made.to_bytes([source], [result])))
    assert audit.inputs == (Port("t0", (1, 4, 6, 2), "uint8", 0.5, 3),)
    assert audit.outputs == (Port("t1", (1, 4, 6, 1), "uint8", 2.0, 0),)
    assert (audit.multiply_adds, audit.int8_multiply_add_share, audit.int8_operator_share) == (0, 0.0, 1.0)


@pytest.mark.parametrize("name", ["m_int8.tflite", "m.tflite"])
def test_a_dynamic_range_file_that_says_int8(tmp_path, name):
    audit = audit_file(write(tmp_path, make_dynamic_range(), name))
    assert audit.hybrid_multiply_add_share == 1.0
    claim = [warning for warning in audit.warnings if "its name says int8" in warning]
    assert len(claim) == (name == "m_int8.tflite")
    assert all("only 0.0% of the multiply-adds run in int8; 100.0% take float data" in warning for warning in claim)


def test_a_float_file_that_says_int8(tmp_path):
    audit = audit_file(write(tmp_path, make_tiny_tflite(), "m-int8.tflite"))
    assert audit.multiply_adds == MULTIPLY_ADDS
    assert "100.0% are float" in audit.warnings[0]
    assert audit.weights == {"per_channel": 0, "per_tensor": 0, "float": 3}


def test_multiply_adds_outside_xnnpack(tmp_path):
    audit = audit_file(write(tmp_path, make_dynamic_range()))
    reason = "it has no kernel for float32 data with int8 weights (dynamic range)"
    assert audit.refused == (Refusal("DEPTHWISE_CONV_2D", reason, 1, 96),)
    assert audit.warnings == (
        f"33.3% of the multiply-adds run outside XNNPACK, in slower kernels; DEPTHWISE_CONV_2D: {reason}",
    )


def test_a_file_that_cannot_be_loaded_is_foretold(tmp_path):
    made = HandMade()
    source, middle, result = (made.tensor((4, 6)) for _ in range(3))
    made.op("ABS", [source], [middle])
    made.op("NobodyKnowsThis", [middle], [result])
    audit = audit_file(write(tmp_path, made.to_bytes([source], [result])))
    assert (audit.delegation_measured, audit.delegated_operator_count, audit.delegated_parts) == (False, 1, None)
    assert [refusal.name for refusal in audit.refused] == ["NobodyKnowsThis"]


def test_what_the_table_does_not_know_is_left_out_all_the_same(tmp_path):
    made = HandMade()
    source, kept, lost = (made.tensor((4, 6)) for _ in range(3))
    made.op("ABS", [source], [kept])
    made.op("EXP", [source], [lost])
    audit = audit_file(write(tmp_path, made.to_bytes([source], [kept])))
    assert [(refusal.name, "not known here" in refusal.reason) for refusal in audit.refused] == [("EXP", True)]


def test_leftovers_of_training_are_warned_of(tmp_path):
    made = HandMade()
    source, result = made.tensor((4, 6)), made.tensor((4, 6))
    made.op("FAKE_QUANT", [source], [result], options("FakeQuant", min=-1.0, max=1.0, numBits=8))
    audit = audit_file(write(tmp_path, made.to_bytes([source], [result])))
    assert audit.fake_quant_count == 1
    assert audit.warnings == ("operators of simulated quantization are left over (1); convert without them",)


def test_interrupted_arithmetic_is_warned_of(tmp_path):
    audit = audit_file(write(tmp_path, make_two_thirds_int8()))
    expected = "interrupt the quantized arithmetic (1); the first: int8 -> float32 between CONV_2D and CONV_2D"
    assert audit.warnings == (f"QUANTIZE and DEQUANTIZE operators {expected}",)


def test_shared_scales_are_warned_of(tmp_path):
    made = HandMade()
    source, boxes, scores = (made.tensor((1, 6, 4), "int8", scale=0.25) for _ in range(3))
    joined = made.tensor((1, 6, 8), "int8", scale=0.25)
    made.op("MUL", [source, source], [boxes])
    made.op("LOGISTIC", [source], [scores])
    made.op("CONCATENATION", [boxes, scores], [joined], options("Concatenation", axis=2))
    audit = audit_file(write(tmp_path, made.to_bytes([source], [joined])))
    assert len(audit.warnings) == 1
    assert "one scale of 0.25: a score of 0..1 has only 4 steps" in audit.warnings[0]


def test_an_audit_is_plain_json(tmp_path):
    audit = audit_file(write(tmp_path, make_dynamic_range()))
    figures = json.loads(json.dumps(to_plain(audit.to_dict())))
    assert figures["int8_multiply_add_share"] == 0.0
    assert figures["refused"][0]["name"] == "DEPTHWISE_CONV_2D"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x1c\0\0\0TFL3" + b"\xff" * 40])
def test_other_files_are_refused(tmp_path, content):
    with pytest.raises(UserError, match="TFL3|damaged"):
        audit_file(write(tmp_path, content))


def check_foretold(path: Path) -> None:
    """What the table says of each operator is what the interpreter does."""
    graph = view_graphs(read_model(path))[0]
    measured = measure_delegation(make_interpreter(path), graph).positions
    reasons = {operator.position: find_reason(operator, graph) for operator in graph.operators}
    assert {position for position, reason in reasons.items() if reason is None} == measured


def share_of_large_weights(path: Path) -> float:
    """TensorFlow's converter leaves weights of fewer than 1024 values in float."""
    operators = [operator for operator in view_graphs(read_model(path))[0].operators if operator.weights is not None]
    large = [operator for operator in operators if math.prod(operator.weights.shape) >= 1024]
    return sum(operator.multiply_adds for operator in large) / sum(operator.multiply_adds for operator in operators)


@pytest.mark.parametrize("form", ["raw", "detect"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_our_recipes(small_detector, recipe, form):
    path = small_detector.files[recipe, form]
    check_foretold(path)
    audit = audit_file(path)
    hybrid = share_of_large_weights(path) if recipe == "dynamic_wi8_afp32" else 0.0
    int8 = 1.0 if recipe == "static_wi8_ai8" else 0.0
    shares = (audit.int8_multiply_add_share, audit.hybrid_multiply_add_share, audit.float_multiply_add_share)
    assert shares == pytest.approx((int8, hybrid, 1 - int8 - hybrid))
    assert audit.multiply_adds == count_multiply_adds(path)
    slow = {"DEPTHWISE_CONV_2D"} if recipe == "dynamic_wi8_afp32" else set()
    assert {refusal.name for refusal in audit.refused if refusal.multiply_adds} == slow
    assert audit.claims == (("its name", "its metadata") if recipe == "static_wi8_ai8" else ())
    assert len(audit.warnings) == len(slow)


@pytest.mark.parametrize("recipe", RECIPES)
def test_our_raw_files_stay_in_xnnpack(small_detector, recipe):
    audit = audit_file(small_detector.files[recipe, "raw"])
    assert (audit.refused == ()) is (recipe != "dynamic_wi8_afp32")
    assert [port.name for port in audit.inputs] == ["image"]
    assert {port.name for port in audit.outputs} == {"box_encodings", "class_logits"}


@pytest.mark.parametrize("name", PEERS)
def test_peers(find_peer, name):
    path = find_peer(name)
    check_foretold(path)
    audit = audit_file(path)
    assert audit.delegation_measured
    assert (
        sum(count.count for count in audit.operators)
        == audit.operator_count
        == sum(dict(list_operators(path)).values())
    )
    assert audit.delegated_operator_count + sum(refusal.count for refusal in audit.refused) == audit.operator_count
    assert audit.int8_multiply_add_share == (0.0 if "fp16" in name else 1.0)
    assert audit.warnings == ()
