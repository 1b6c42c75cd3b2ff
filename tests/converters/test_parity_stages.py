"""Stages: all of them exist in the model, and are found in what the converter makes of it."""

from types import SimpleNamespace

import pytest

from nasfpn_lite.converters.calibration import make_synthetic_calibration
from nasfpn_lite.converters.convert import Source, Target, convert_all
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.parity_stages import KINDS, find_sources, find_tensors, list_stages
from nasfpn_lite.converters.recipes import get_recipe
from nasfpn_lite.detector import build_detector
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.variants import get_spec


def layer_shapes(spec: DetectorSpec) -> dict[str, tuple[int, ...]]:
    model = build_detector(spec)
    return {stage.name: tuple(model.get_layer(stage.name).output.shape[1:]) for stage in list_stages(spec)}


def tensor(name: str, shape: tuple[int, ...]) -> SimpleNamespace:
    return SimpleNamespace(name=name.encode(), shape=shape)


class FakeGraph:
    """Just the tensors and operators of a graph: every operator is (inputs, outputs)."""

    def __init__(self, tensors, operators, outputs=None):
        made = [SimpleNamespace(inputs=inputs, outputs=outs) for inputs, outs in operators]
        self.main = SimpleNamespace(tensors=tensors, operators=made)
        self._outputs = outputs or {}

    def outputs(self):
        return self._outputs


def test_words_of_a_cell():
    spec = get_spec("nasfpnlite_3x48", size="64x128", num_classes=2)
    stages = {stage.name: stage for stage in list_stages(spec)}
    stage = stages["pyramid2_cell7_P4_bn"]
    assert (stage.words, stage.kind, stage.part) == ("cell 7 of pyramid 2 at P4", "cell", "pyramid 2")
    assert stages["block_5_add"].words == "backbone level C3"


# (cells, towers): 15 cells in 3 pyramids; 2 sums and 4 outputs; 4 extra layers; 2 sums and 5 outputs, then
# 4 sums and 5 outputs twice
@pytest.mark.parametrize(
    ("variant", "size", "cells", "towers"),
    [
        ("nasfpnlite_3x48", "64x128", 45, 24),
        ("fpnlite_64", "64x128", 6, 16),
        ("ssdlite", "64x128", 4, 0),
        ("fpn_r50_256", "128x256", 7, 40),
        ("fpn_r50_3x256", "128x256", 25, 40),
    ],
)
def test_every_stage_is_a_layer_behind_what_it_is_computed_from(variant, size, cells, towers):
    spec = get_spec(variant, size=size, num_classes=2)
    stages = list_stages(spec)
    model = build_detector(spec)
    names = {stage.name for stage in stages}
    assert len(names) == len(stages)
    seen: set[str] = set()
    for stage in stages:
        assert ancestors(model, stage.name, seen) & names <= seen
        seen.add(stage.name)
    count = {kind: sum(stage.kind == kind for stage in stages) for kind in KINDS}
    assert (count["cell"], count["tower"]) == (cells, towers)
    assert count["box"] == count["class"] == len(spec.neck.levels) + 1
    assert sum(stage.words.startswith("backbone level C") for stage in stages) == 3


def ancestors(model, name: str, stop: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = [model.get_layer(name).output]
    while waiting:
        history = waiting.pop()._keras_history
        for source in history.operation._inbound_nodes[history.node_index].input_tensors:
            before = source._keras_history.operation.name
            if before not in found:
                found.add(before)
                if before not in stop:
                    waiting.append(source)
    return found


@pytest.mark.parametrize("variant", ["nasfpnlite_3x48", "fpnlite_64", "ssdlite"])
def test_all_stages_are_found_in_converted_files(variant, tmp_path):
    spec = get_spec(variant, size="64x128", num_classes=3)
    targets = [Target(r, "raw", tmp_path / f"{r}.tflite") for r in ("float32", "static_wi8_ai8")]
    convert_all(Source.random(spec), targets, calibration=make_synthetic_calibration(spec))
    shapes = layer_shapes(spec)
    for target in targets:
        folded = get_recipe(target.recipe).integer_activations
        places = find_tensors(Graph(target.path.read_bytes()), list(shapes), shapes, folded=folded)
        assert set(shapes) - set(places) == set()
        assert len(set(places.values())) == len(places)


def test_the_first_of_joined_names_counts():
    graph = FakeGraph([tensor("m/a_act_1/Relu6;m/a_bn_1/batchnorm/add_1;m/a_1/convolution", (1, 2, 3, 4))], [([], [0])])
    shapes = {"a_bn": (2, 3, 4), "a_act": (2, 3, 4)}
    assert find_tensors(graph, ["a_bn", "a_act"], shapes) == {"a_act": 0}


def test_of_several_tensors_the_last_of_the_right_shape_counts():
    tensors = [tensor(f"m/a_bn_1/batchnorm/{part}", (1, 2, 3, 4)) for part in ("mul_1", "add_1")]
    tensors.append(tensor("m/a_bn_1/batchnorm/mul", (1, 4)))
    graph = FakeGraph(tensors, [([], [0]), ([0], [1]), ([1], [2])])
    assert find_tensors(graph, ["a_bn"], {"a_bn": (2, 3, 4)}) == {"a_bn": 1}


def test_names_that_end_in_a_number():
    graph = FakeGraph(
        [tensor("m/Conv_1_1/BiasAdd", (1, 5)), tensor("m/Conv_1/BiasAdd", (1, 5))], [([], [0]), ([], [1])]
    )
    assert find_tensors(graph, ["Conv_1"], {"Conv_1": (5,)}) == {"Conv_1": 1}
    assert find_tensors(graph, ["Conv_2"], {"Conv_2": (5,)}) == {}


def test_a_batch_norm_after_its_convolution_is_not_taken_for_it():
    graph = FakeGraph([tensor("m/a_conv_1/convolution1", (1, 5))], [([], [0])])
    assert find_tensors(graph, ["a_bn"], {"a_bn": (5,)}) == {}
    assert find_tensors(graph, ["a_bn"], {"a_bn": (5,)}, folded=True) == {"a_bn": 0}


def test_a_grid_stands_for_the_layer_that_it_rounds():
    graph = FakeGraph([tensor("m/a_act_grid_1/FakeQuant", (1, 5))], [([], [0])])
    assert find_tensors(graph, ["a_act"], {"a_act": (5,)}) == {"a_act": 0}


def test_outputs_are_found_by_signature_or_by_number():
    tensors = [tensor("PartitionedCall:1", (1, 9, 3)), tensor("PartitionedCall:0", (1, 9, 4))]
    shapes = {"box_encodings": (9, 4), "class_logits": (9, 3)}
    graph = FakeGraph(tensors, [([], [0]), ([], [1])])
    assert find_tensors(graph, list(shapes), shapes) == {"box_encodings": 1, "class_logits": 0}
    graph = FakeGraph([tensor("x", (1, 9, 4))], [([], [0])], {"box_encodings": 0, "others": 3})
    assert find_tensors(graph, list(shapes), shapes) == {"box_encodings": 0}


def test_sources_are_the_nearest_stages_of_all_branches():
    # 0 = a -> 1 -> 2 = b;  1 and 2 -> 3 = c;  a constant (9) has no source
    graph = FakeGraph([], [([9], [0]), ([0, 9], [1]), ([1], [2]), ([1, 2], [3])])
    assert find_sources(graph, {"a": 0, "b": 2, "c": 3}) == {"a": (), "b": ("a",), "c": ("a", "b")}
