"""Stages that may stay in float: every computing layer belongs to one."""

import pytest

from nasfpn_lite.converters.float_stages import group_stages, layers_of, stage_of
from nasfpn_lite.converters.qat_plan import LayerPlan
from nasfpn_lite.errors import UserError


@pytest.mark.parametrize(
    ("layer", "stage"),
    [
        ("Conv1_relu", "Conv1"),
        ("Conv_1", "Conv_1"),
        ("out_relu", "Conv_1"),
        ("expanded_conv_depthwise_relu", "expanded_conv"),
        ("block_1_project", "block_1"),
        ("block_16_expand_relu", "block_16"),
        ("conv5_block3_2_relu", "conv5_block3"),
        ("lateral_C3", "lateral_C3"),
        ("pyramid2_cell10_P4_attention", "pyramid2_cell10_P4"),
        ("pyramid1_cell1_P4_dangling3", "pyramid1_cell1_P4"),
        ("fpn_sum_P4", "fpn_sum_P4"),
        ("fpn_P6_act", "fpn_P6"),
        ("extra_P8_squeeze_conv", "extra_P8"),
        ("head_class3_P4_act", "head_class3_P4"),
        ("head_box_predictor_P9_pointwise", "head_box_predictor"),
        ("box_encodings", "head_box_predictor"),
        ("class_logits", "head_class_predictor"),
        ("something_new", "something_new"),
    ],
)
def test_stage_of_a_layer(layer, stage):
    assert stage_of(layer) == stage


PLAN = (
    LayerPlan("Conv1_pad", "ZeroPadding2D", False, "source"),
    LayerPlan("Conv1", "Conv2D", True, "fused"),
    LayerPlan("Conv1_relu", "ReLU", False, "learned"),
    LayerPlan("pyramid1_node2_gate", "Activation", False, "fixed"),
    LayerPlan("class_logits", "Concatenate", False, "learned"),
)


def test_what_moves_values_and_sigmoids_belong_to_no_stage():
    assert group_stages(PLAN) == {"Conv1": ("Conv1", "Conv1_relu"), "head_class_predictor": ("class_logits",)}


def test_layers_of_stages_and_a_mistake():
    assert layers_of(PLAN, ("Conv1",)) == {"Conv1", "Conv1_relu"}
    assert layers_of(PLAN, ()) == frozenset()
    with pytest.raises(UserError, match="got block_5; there are Conv1, head_class_predictor"):
        layers_of(PLAN, ("Conv1", "block_5"))
