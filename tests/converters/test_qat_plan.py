"""What is quantized, decided before any training."""

import dataclasses

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasfpn_lite.converters.qat_plan import PlanError, plan_quantization
from nasfpn_lite.detector import build_detector
from nasfpn_lite.folding import unshare
from nasfpn_lite.genotype import Genotype, MergingCell
from nasfpn_lite.variants import VARIANTS, get_spec


def make_plan(spec):
    return {p.name: p for p in plan_quantization(build_detector(unshare(spec, {})[0], folded=True))}


@pytest.mark.parametrize(
    "variant",
    [
        *("nasfpnlite_3x48", "nasfpnlite_3x64", "nasfpnlite_7x64", "fpnlite_64", "fpnlite_128", "ssdlite"),
        *("fpn_r50_256", "nasfpn_r50_7x256"),
    ],
)
def test_every_layer_of_every_kind_of_detector_is_covered(variant):
    size = "128" if VARIANTS[variant].neck.max_level == 7 else "64x128"
    plan = make_plan(get_spec(variant, size=size, num_classes=2))
    assert {p.output for p in plan.values()} <= {"learned", "fixed", "fused", "source"}
    assert all(p.weights == (p.kind in ("Conv2D", "DepthwiseConv2D")) for p in plan.values())
    assert all(p.explanation for p in plan.values())


def test_literal_decisions_in_nasfpnlite():
    plan = make_plan(get_spec("nasfpnlite_3x48", size="64x128", num_classes=2))
    expected = {
        "Conv1": ("Conv2D", True, "fused"),  # ReLU6 follows
        "Conv1_relu": ("ReLU", False, "learned"),
        "Conv1_pad": ("ZeroPadding2D", False, "source"),
        "block_1_project": ("Conv2D", True, "learned"),  # linear
        "block_2_add": ("Add", False, "learned"),
        "pyramid1_cell1_P4_act": ("ReLU", False, "learned"),
        "pyramid1_cell1_P4_depthwise": ("DepthwiseConv2D", True, "learned"),
        "pyramid1_cell1_P4_pointwise": ("Conv2D", True, "learned"),
        "head_box_predictor_pointwise": ("Conv2D", True, "fused"),  # on the grid of the concatenation
        "head_box_P3_flat": ("Reshape", False, "source"),
        "box_encodings": ("Concatenate", False, "learned"),
        "class_logits": ("Concatenate", False, "learned"),
    }
    assert {n: (plan[n].kind, plan[n].weights, plan[n].output) for n in expected} == expected
    gates = [p for p in plan.values() if p.kind == "Activation"]
    assert gates
    assert {p.output for p in gates} == {"fixed"}


def test_an_affine_layer_stands_in_for_a_batch_norm_that_cannot_be_folded():
    plan = make_plan(get_spec("fpnlite_64", size="64x128", num_classes=2))
    assert (plan["fpn_P5_bn"].kind, plan["fpn_P5_bn"].output) == ("DepthwiseConv2D", "learned")
    assert plan["fpn_P5_pointwise"].output == "learned"  # P6 is made of it too
    assert "fpn_P4_bn" not in plan


def test_a_layer_without_a_rule_is_named():
    image = keras.Input((8, 12, 3))
    with pytest.raises(PlanError, match="odd is a Softmax"):
        plan_quantization(keras.Model(image, keras.layers.Softmax(name="odd")(image)))


@st.composite
def genotypes(draw: st.DrawFn) -> Genotype:
    """Random wirings on P3..P6, every level among the last four cells."""
    count = draw(st.integers(0, 5))
    levels = [draw(st.integers(3, 6)) for _ in range(count)] + draw(st.permutations([3, 4, 5, 6]))
    cells = []
    for index, level in enumerate(levels):
        nodes = st.integers(0, 3 + index)
        first = draw(nodes)
        second = draw(nodes.filter(lambda node, first=first: node != first))
        cells.append(MergingCell(level, draw(st.sampled_from(["sum", "attention"])), (first, second)))
    return Genotype(3, 6, tuple(cells))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(genotypes(), st.sampled_from([48, 64]))
def test_any_genotype_is_covered(genotype, width):
    spec = get_spec("nasfpnlite_3x48", size="64x128", num_classes=2)
    spec = dataclasses.replace(spec, neck=dataclasses.replace(spec.neck, genotype=genotype, width=width, repeats=1))
    plan = make_plan(spec)
    assert sum(p.kind == "Concatenate" for p in plan.values()) == 2
    # Every cell's convolution is on its grid, and so is what it gives: nothing of the pyramid stays in float.
    cells = [p for p in plan.values() if p.name.startswith("pyramid1_cell") and p.name.endswith("_pointwise")]
    assert len(cells) == len(genotype.cells)
    assert all(p.weights and p.output == "learned" for p in cells)
    assert {p.output for p in plan.values() if p.kind == "Multiply"} <= {"learned"}
