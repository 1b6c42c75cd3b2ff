"""The layers of operators: names of stages, and a small graph made by hand."""

import pytest
from ai_edge_litert import schema_py_generated as schema

from nasfpn_lite.android_bench.layers import (
    OUTPUTS,
    SUPPRESSION,
    Layer,
    LayeredGraph,
    LayerTime,
    _find_layers,
    _order,
    find_layer,
    name_layers,
    name_stage,
    sum_layers,
    sum_parts,
)
from nasfpn_lite.converters.graph_view import view_graphs
from nasfpn_lite.converters.parity_stages import Stage, find_tensors, list_stages
from nasfpn_lite.variants import VARIANTS, get_spec
from tests.hand_made_detector import make_detector_tflite
from tests.hand_made_tflite import HandMade
from tests.tiny_tflite import make_tiny_tflite

CELL = Stage("pyramid2_cell7_P4_bn", "cell", "pyramid 2", "cell 7 of pyramid 2 at P4")


@pytest.mark.parametrize(
    ("stage", "layer"),
    [
        (Stage("Conv1_relu", "backbone", "backbone", ""), Layer("stem", "stem")),
        (Stage("expanded_conv_project_BN", "backbone", "backbone", ""), Layer("backbone", "backbone block 0")),
        (Stage("block_13_expand_relu", "backbone", "backbone", ""), Layer("backbone", "backbone block 13")),
        (Stage("out_relu", "backbone", "backbone", ""), Layer("backbone", "backbone top")),
        (Stage("conv3_block2_out", "backbone", "backbone", ""), Layer("backbone", "backbone conv3 block 2")),
        (CELL, Layer("pyramid 2", "cell 7 of pyramid 2 at P4")),
        (Stage("head_box1_P4_act", "tower", "head P4", "layer 1 of the box tower at P4"), Layer("head P4", "head P4")),
        (Stage("head_class_P4_flat", "class", "head P4", ""), Layer("head P4", "head P4")),
        (Stage("box_encodings", "box", "outputs", "box output"), OUTPUTS),
    ],
)
def test_stages(stage, layer):
    assert name_stage(stage) == layer


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_stage_of_every_variant_has_a_layer(variant):
    layers = [name_stage(stage) for stage in list_stages(get_spec(variant))]
    assert all(layer.part and layer.name for layer in layers)
    assert layers[-1] == OUTPUTS
    parts = list(dict.fromkeys(layer.part for layer in _order(layers, layers)))
    assert parts[-1] == "outputs"
    assert any(part.startswith("head P") for part in parts)


@pytest.fixture
def branched():
    """0 pads, 1 is stage A; 2 and 3 read A: 2 leads to stage B at 4, 3 to nothing but an output."""
    made = HandMade()
    x, padded, a, b_input, end, b = (made.tensor((1, 4)) for _ in range(6))
    for source, target in ((x, padded), (padded, a), (a, b_input), (a, end), (b_input, b)):
        made.op("RELU", [source], [target])
    made.graph.main.inputs, made.graph.main.outputs = [x], [end, b]
    return view_graphs(made.graph.model)[0], {a: Stage("block_3_add", "backbone", "backbone", ""), b: CELL}


@pytest.mark.parametrize(("form", "last"), [("raw", OUTPUTS), ("detect", SUPPRESSION)])
def test_what_leads_to_a_stage_belongs_to_it(branched, form, last):
    block, cell = Layer("backbone", "backbone block 3"), Layer("pyramid 2", "cell 7 of pyramid 2 at P4")
    assert _find_layers(*branched, form) == {0: block, 1: block, 2: cell, 3: last, 4: cell}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        (b"detector/pool_C6_1/MaxPool", Layer("laterals", "pooling to C6")),
        (b"detector/pool1_pool/MaxPool", Layer("stem", "stem")),
        (b"detector/conv1_relu/Relu;x", Layer("stem", "stem")),
        (b"detector/block_conv1_relu/Relu", Layer("pyramid 2", "cell 7 of pyramid 2 at P4")),
    ],
)
def test_what_has_a_name_of_its_own(name, layer):
    made = HandMade()
    x, between, end = (made.tensor((1, 4)) for _ in range(3))
    made.op("RELU", [x], [between])
    made.op("RELU", [between], [end])
    made.graph.main.tensors[between].name = name
    made.graph.main.inputs, made.graph.main.outputs = [x], [end]
    assert _find_layers(view_graphs(made.graph.model)[0], {end: CELL}, "raw")[0] == layer


def test_stages_are_found_without_their_shapes():
    made = HandMade()
    x, flat, end = made.tensor((1, 4)), made.tensor((2, 2)), made.tensor((1, 4))
    made.op("RELU", [x], [flat])
    made.op("RELU", [flat], [end])
    made.graph.main.tensors[flat].name = b"detector/block_2_add_1/Add;other"
    made.graph.main.tensors[end].name = b"detector/block_3_project_1/BiasAdd"
    made.graph.model.signatureDefs = [schema.SignatureDefT()]
    made.graph.set_outputs({"end": end})
    names = ["block_2_add", "block_3_project_BN", "block_4_add"]
    assert find_tensors(made.graph, names, None, folded=True) == {"block_2_add": flat, "block_3_project_BN": end}
    assert find_tensors(made.graph, names, None) == {"block_2_add": flat}
    assert find_tensors(made.graph, names[:1], {"block_2_add": (4,)}) == {}


def test_sums():
    first, second = Layer("stem", "stem"), Layer("backbone", "backbone block 0")
    layered = LayeredGraph(None, {0: first, 1: second, 2: second}, (first, second))
    assert find_layer((1, 2), layered.layers) == second
    assert find_layer((0, 1), layered.layers) is None
    assert find_layer((), layered.layers) is None
    times = [((0,), 1.0), ((1, 2), 2.0), ((2,), 4.0), ((0, 1), 8.0), ((), 16.0)]
    assert sum_layers(times, layered) == (
        LayerTime("stem", "stem", 1.0, 1),
        LayerTime("backbone", "backbone block 0", 6.0, 2),
    )
    layers = (LayerTime("a", "a 1", 1.0, 2), LayerTime("b", "b", 4.0, 1), LayerTime("a", "a 2", 2.0, 3))
    assert sum_parts(layers) == (LayerTime("a", "a", 3.0, 5), LayerTime("b", "b", 4.0, 1))


def test_the_order_is_the_networks_not_the_files():
    a, b, c, d = (Layer("p", "a"), Layer("p", "b"), Layer("q", "c"), Layer("p", "d"))
    assert _order([a, b, c], [c, d, b, SUPPRESSION, a]) == (a, b, d, c, SUPPRESSION)


def test_files(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(make_tiny_tflite())
    layered = name_layers(path)
    assert [layered.layers[place].name for place in range(3)] == ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]
    for form, layer in (("raw", OUTPUTS), ("detect", SUPPRESSION)):
        path.write_bytes(make_detector_tflite(form=form))
        layered = name_layers(path)
        assert set(layered.layers) == set(range(len(layered.graph.operators)))
        assert layered.order[-1] == layer
