"""One conformance suite for all mobile variants, and the laws of the pyramid."""

import dataclasses

import keras
import numpy as np
import pytest

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.cost import count_cost
from nasfpn_lite.detector import build_detector
from nasfpn_lite.errors import UserError
from nasfpn_lite.genotype import FPN_P3P6, PANET_P3P6, Genotype, MergingCell
from nasfpn_lite.regularizers import DropPath, Dropping, Regularization
from nasfpn_lite.specs import BackboneSpec, DetectorSpec, NeckSpec
from nasfpn_lite.variants import VARIANTS

MOBILE = [name for name, spec in VARIANTS.items() if spec.neck.max_level != 7]


def small(name: str) -> DetectorSpec:
    return dataclasses.replace(VARIANTS[name], image_size=(64, 128), num_classes=5)


@pytest.mark.parametrize("name", MOBILE)
def test_conformance(name: str) -> None:
    spec = small(name)
    model = build_detector(spec)
    assert len({layer.name for layer in model.layers}) == len(model.layers)
    for batch in (1, 3):
        images = np.random.default_rng(0).uniform(-1, 1, (batch, 64, 128, 3)).astype(np.float32)
        outputs = {key: np.asarray(value) for key, value in model(images, training=False).items()}
        anchors = len(make_anchors(spec))
        assert {key: value.shape for key, value in outputs.items()} == {
            "box_encodings": (batch, anchors, 4),
            "class_logits": (batch, anchors, 5),
        }
        assert all(np.isfinite(value).all() for value in outputs.values())
    # Every anchor starts at a score of about .01.
    assert float(np.median(outputs["class_logits"])) == pytest.approx(-np.log(99), abs=0.3)


def tiny(genotype: Genotype, repeats: int = 1, separable: bool = True) -> DetectorSpec:
    neck = NeckSpec(
        "nasfpn", genotype.min_level, genotype.max_level, width=16, repeats=repeats, separable=separable,
        genotype=genotype,
    )  # fmt: skip
    return dataclasses.replace(small("nasfpnlite_3x48"), neck=neck)


ATTENTION = Genotype(3, 4, (MergingCell(4, "attention", (0, 1)), MergingCell(3, "sum", (0, 2))))


def pyramid_values(model: keras.Model, name: str, image: np.ndarray) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer(name).output)(image, training=False))


def test_attention_gates_the_finer_by_the_coarser_ones_maximum() -> None:
    model = build_detector(tiny(ATTENTION))
    image = np.random.default_rng(1).uniform(-1, 1, (2, 64, 128, 3)).astype(np.float32)
    coarse = pyramid_values(model, "lateral_C4_bn", image)
    fine = pyramid_values(model, "lateral_C3_bn", image)
    pooled = fine.reshape(2, 4, 2, 8, 2, 16).max(axis=(2, 4))
    gate = 1 / (1 + np.exp(-coarse.max(axis=(1, 2), keepdims=True)))
    merged = pyramid_values(model, "pyramid1_cell1_P4_attention", image)
    np.testing.assert_allclose(merged, coarse + pooled * gate, rtol=1e-4, atol=1e-5)


def test_upsampling_is_nearest() -> None:
    model = build_detector(tiny(ATTENTION))
    image = np.random.default_rng(2).uniform(-1, 1, (1, 64, 128, 3)).astype(np.float32)
    small_map = pyramid_values(model, "pyramid1_cell1_P4_bn", image)
    large_map = pyramid_values(model, "pyramid1_node2_to_P3", image)
    np.testing.assert_allclose(large_map, small_map.repeat(2, axis=1).repeat(2, axis=2), rtol=1e-5, atol=1e-6)


def test_a_resampled_node_and_a_gate_are_made_once() -> None:
    cells = tuple(MergingCell(4, "attention", (0, 1)) for _ in range(3)) + (MergingCell(3, "sum", (0, 2)),)
    names = [layer.name for layer in build_detector(tiny(Genotype(3, 4, cells))).layers]
    assert sum("node0_to_P4" in name for name in names) == 1
    assert sum("globalmax" in name for name in names) == 1


def test_the_top_level_of_fpn_in_cells_is_its_input_twice() -> None:
    model = build_detector(tiny(FPN_P3P6))
    image = np.random.default_rng(3).uniform(-1, 1, (1, 64, 128, 3)).astype(np.float32)
    inputs, merged = (pyramid_values(model, name, image) for name in ("pool_C6", "pyramid1_cell1_P6_sum"))
    np.testing.assert_allclose(merged, 2 * inputs, rtol=1e-5)


@pytest.mark.parametrize(("genotype", "cells"), [(FPN_P3P6, 4), (PANET_P3P6, 6)])
def test_classic_pyramids_stack(genotype: Genotype, cells: int) -> None:
    counts = {}
    for repeats in (1, 7):
        with keras.StatelessScope(initialize_variables=False):
            names = [layer.name for layer in build_detector(tiny(genotype, repeats)).layers]
        counts[repeats] = sum(name.startswith("pyramid") and name.endswith("_bn") for name in names)
    assert counts == {1: cells, 7: 7 * cells}


def test_dangling_nodes_are_added() -> None:
    cells = (MergingCell(4, "sum", (0, 1)), MergingCell(4, "sum", (0, 1)), MergingCell(3, "sum", (0, 3)))
    names = [layer.name for layer in build_detector(tiny(Genotype(3, 4, cells))).layers]
    assert "pyramid1_cell2_P4_dangling2" in names


@pytest.mark.parametrize(("separable", "expected"), [(True, 9 * 16 + 16 * 16 + 2 * 16), (False, 9 * 16 * 16 + 2 * 16)])
def test_a_cell_costs_what_the_paper_says(separable: bool, expected: int) -> None:
    once, twice = (count_cost(build_detector(tiny(ATTENTION, n, separable))).params for n in (1, 2))
    assert twice - once == 2 * expected


def test_shared_predictors_are_shared_and_towers_are_not() -> None:
    names = [layer.name for layer in build_detector(small("nasfpnlite_3x48")).layers]
    assert "head_class_predictor_pointwise" in names and "head_class1_P3_pointwise" in names
    names = [layer.name for layer in build_detector(small("fpnlite_64")).layers]
    assert "head_class1_pointwise" in names and "head_class1_P3_bn" in names


def stacked_fpn(repeats: int) -> DetectorSpec:
    return dataclasses.replace(small("fpnlite_64"), neck=NeckSpec("fpn", 3, 6, width=16, repeats=repeats))


def test_a_further_fpn_costs_its_laterals_and_its_smoothing() -> None:
    once, twice = (count_cost(build_detector(stacked_fpn(n))) for n in (1, 2))
    lateral, smooth = 16 * 16 + 16, 9 * 16 + 16 * 16 + 2 * 16  # bias; batch norm
    assert twice.params - once.params == 4 * (lateral + smooth)
    pixels = 8 * 16 + 4 * 8 + 2 * 4 + 1 * 2
    assert twice.flops - once.flops == 2 * pixels * (16 * 16 + 9 * 16 + 16 * 16)


def test_a_further_fpn_goes_down_from_its_top_level() -> None:
    model = build_detector(stacked_fpn(2))
    image = np.random.default_rng(1).uniform(-1, 1, (2, 64, 128, 3)).astype(np.float32)
    top, below = (pyramid_values(model, f"fpn2_lateral_P{level}", image) for level in (6, 5))
    merged = pyramid_values(model, "fpn2_sum_P5", image)
    np.testing.assert_allclose(merged, below + top.repeat(2, axis=1).repeat(2, axis=2), rtol=1e-4, atol=1e-5)
    assert (pyramid_values(model, "fpn2_P6_act", image) >= 0).all()


def test_stochastic_depth_reaches_amoebanet_and_nothing_else() -> None:
    spec = dataclasses.replace(small("fpnlite_64"), backbone=BackboneSpec("amoebanet_d"))
    with keras.StatelessScope(initialize_variables=False):
        model = build_detector(spec, regularization=Regularization(drop_path=Dropping(0.7)))
    assert min(layer.dropping.keep for layer in model.layers if isinstance(layer, DropPath)) == pytest.approx(0.7)
    with pytest.raises(UserError, match="drop_path_keep below 1 for mobilenet_v2"):
        build_detector(small("fpnlite_64"), regularization=Regularization(drop_path=Dropping(0.7)))
