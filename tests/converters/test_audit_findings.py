"""Claims, stray conversions, shared scales and leftovers, each in a graph made to have it."""

import json
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.converters.audit_findings import (
    Conversion,
    find_claims,
    find_fake_quantizers,
    find_float_stages,
    find_shared_scales,
    find_stray_conversions,
)
from nasfpn_lite.converters.graph_view import GraphView, view_graphs
from nasfpn_lite.converters.metadata import Metadata, embed_metadata
from nasfpn_lite.data.records import Category
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.variants import get_spec
from tests.hand_made_tflite import HandMade, options
from tests.tiny_tflite import make_tiny_tflite


def view(made: HandMade, inputs: list[int], outputs: list[int]) -> GraphView:
    return view_graphs(schema.ModelT.InitFromPackedBuf(made.to_bytes(inputs, outputs), 0))[0]


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("yolo_int8", True),
        ("best-INT8", True),
        ("model_uint8", True),
        ("run_static_wi8_ai8_raw", True),
        ("run_qat_wi8_ai8", True),
        ("m_full_integer_quant", True),
        ("run_dynamic_wi8_afp32_raw", False),
        ("run_static_wi8_ai16", False),
        ("m_full_integer_quant_with_int16_act", False),
        ("model_int8_dynamic", False),
        ("model_fp16", False),
        ("print80", False),
    ],
)
def test_claims_of_a_name(name, claims):
    assert find_claims(Path(f"somewhere_int8/{name}.tflite"), schema.ModelT()) == (("its name",) if claims else ())


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        (json.dumps({"recipe": "static_wi8_ai8", "schema_version": 99}), ("its metadata",)),
        (json.dumps({"recipe": "float32"}), ()),
        (json.dumps(["static_wi8_ai8"]), ()),
        ("{ broken", ()),
    ],
)
def test_claims_of_metadata(text, claims):
    made = HandMade()
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"nasfpn_lite", made.graph.add_buffer(text.encode())
    made.graph.model.metadata = [entry]
    assert find_claims(Path("m.tflite"), made.graph.model) == claims


def test_claims_of_a_description():
    model = schema.ModelT()
    model.description = b"detector, INT8"
    assert find_claims(Path("m.tflite"), model) == ("its description",)


def make_conversions(*steps: tuple[str, str]) -> GraphView:
    """A row of operators on (1, 4, 6, 2): name, and the type that comes out; the first is the input's type."""
    made = HandMade()
    tensors = [made.tensor((1, 4, 6, 2), steps[0][1])]
    for name, dtype in steps[1:]:
        tensors.append(made.tensor((1, 4, 6, 2), dtype))
        if name == "CONV_2D":
            made.conv(tensors[-2], tensors[-1], weights=dtype)
        else:
            made.op(name, tensors[-2:-1], tensors[-1:])
    return view(made, tensors[:1], tensors[-1:])


def test_conversions_at_inputs_and_outputs_are_no_strays():
    steps = [("", "float32"), ("QUANTIZE", "int8"), ("CONV_2D", "int8"), ("DEQUANTIZE", "float32")]
    assert find_stray_conversions(make_conversions(*steps)) == ()


def test_an_island_of_float():
    middle = [("DEQUANTIZE", "float32"), ("EXP", "float32"), ("QUANTIZE", "int8")]
    graph = make_conversions(("", "int8"), ("CONV_2D", "int8"), *middle, ("CONV_2D", "int8"))
    assert find_stray_conversions(graph) == (
        Conversion("DEQUANTIZE", "int8 -> float32", "between CONV_2D and EXP", interrupts=True),
        Conversion("QUANTIZE", "float32 -> int8", "between EXP and CONV_2D", interrupts=True),
    )


def test_a_change_of_scale_between_two_convolutions():
    graph = make_conversions(("", "int8"), ("CONV_2D", "int8"), ("QUANTIZE", "int8"), ("CONV_2D", "int8"))
    expected = Conversion("QUANTIZE", "int8 -> int8", "between CONV_2D and CONV_2D", interrupts=True)
    assert find_stray_conversions(graph) == (expected,)


def test_float_operators_at_both_ends_interrupt_nothing():
    start, end = [("ABS", "float32"), ("QUANTIZE", "int8")], [("DEQUANTIZE", "float32"), ("EXP", "float32")]
    strays = find_stray_conversions(make_conversions(("", "float32"), *start, ("CONV_2D", "int8"), *end))
    assert [(stray.name, stray.where, stray.interrupts) for stray in strays] == [
        ("QUANTIZE", "between ABS and CONV_2D", False),
        ("DEQUANTIZE", "between CONV_2D and EXP", False),
    ]


def test_what_only_feeds_suppression_stands_at_the_outputs():
    steps = [("", "int8"), ("CONV_2D", "int8"), ("DEQUANTIZE", "float32"), ("TFLite_Detection_PostProcess", "float32")]
    assert find_stray_conversions(make_conversions(*steps)) == ()


def test_unpacked_weights_are_no_strays():
    made = HandMade()
    source, packed, unpacked, result = (
        made.tensor((2,)),
        made.fixed([1, 2], "float16"),
        made.tensor((2,)),
        made.tensor((2,)),
    )
    made.op("DEQUANTIZE", [packed], [unpacked])
    made.op("ADD", [source, unpacked], [result])
    assert find_stray_conversions(view(made, [source], [result])) == ()


def make_joined(
    *, dtype: str = "int8", scale: float | None = 2.5, score: str = "LOGISTIC", box: str = "MUL"
) -> GraphView:
    """Boxes and scores joined level by level, the levels joined, turned round, and turned into floats."""
    made, inputs, levels = HandMade(), [], []
    quantization = {"scale": scale} if dtype != "float32" else {}
    for cells in (24, 6):
        source = made.tensor((1, cells, 4), dtype)
        boxes, scores = (made.tensor((1, cells, 4), dtype, **quantization) for _ in range(2))
        level = made.tensor((1, cells, 8), dtype, **quantization)
        made.op(box, [source, source], [boxes])
        made.op(score, [source], [scores])
        made.op("CONCATENATION", [boxes, scores], [level], options("Concatenation", axis=2))
        inputs.append(source)
        levels.append(level)
    joined, turned = made.tensor((1, 30, 8), dtype, **quantization), made.tensor((1, 8, 30), dtype, **quantization)
    made.op("CONCATENATION", levels, [joined], options("Concatenation", axis=1))
    made.op("TRANSPOSE", [joined, made.fixed([0, 2, 1])], [turned])
    if dtype == "float32":
        return view(made, inputs, [turned])
    result = made.tensor((1, 8, 30))
    made.op("DEQUANTIZE", [turned], [result])
    return view(made, inputs, [result])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_scores_and_boxes_with_one_scale(dtype):
    graph = make_joined(dtype=dtype)
    assert find_shared_scales(graph) == ((graph.outputs[0], 2.5),)


@pytest.mark.parametrize("changes", [{"dtype": "float32"}, {"box": "LOGISTIC"}, {"score": "ABS"}])
def test_outputs_that_share_no_scale(changes):
    assert find_shared_scales(make_joined(**changes)) == ()


@pytest.mark.parametrize(("name", "count"), [("FAKE_QUANT", 1), ("FakeQuantWithMinMaxVars", 1), ("ABS", 0)])
def test_fake_quantizers(name, count):
    assert len(find_fake_quantizers(make_conversions(("", "float32"), (name, "float32")))) == count


def test_stages_that_are_in_float_on_purpose_are_read_from_our_metadata():
    spec = get_spec("fpnlite_64", size="64x128", num_classes=1)
    fields = (spec, (Category(1, "ant"),), "selective_wi8_ai8", "raw", PostprocessSpec(), {}, {})
    content = embed_metadata(make_tiny_tflite(), Metadata(*fields, float_stages=("block_5",)))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    assert find_float_stages(model) == ("block_5",)
    assert find_claims(Path("run_selective_wi8_ai8_raw.tflite"), model) == ()
    plain = schema.ModelT.InitFromObj(schema.Model.GetRootAs(make_tiny_tflite(), 0))
    assert find_float_stages(plain) == ()
