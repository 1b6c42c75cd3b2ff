"""The paper's Table 1, figure 9b and 8: parameters and FLOPs that the builder must reproduce."""

import dataclasses

import pytest

from nasfpn_lite.cost import count_cost
from nasfpn_lite.detector import build_detector
from nasfpn_lite.variants import VARIANTS

# variant: size, parameters in millions, FLOPs in billions, bounds of both; source: paper, Table 1 and figure 9b.
PAPER = {
    "nasfpnlite_3x48": (320, 2.16, 1.52, 0.05, 0.02),
    "nasfpnlite_5x48": (320, 2.22, 1.60, 0.05, 0.02),
    "nasfpnlite_7x48": (320, 2.33, 1.67, 0.05, 0.02),
    "nasfpnlite_3x64": (320, 2.32, 1.71, 0.05, 0.02),
    "nasfpnlite_5x64": (320, 2.47, 1.83, 0.05, 0.02),
    "nasfpnlite_7x64": (320, 2.62, 1.96, 0.05, 0.02),
    "fpnlite_64": (320, 2.02, 1.51, 0.02, 0.02),
    "fpnlite_128": (320, 2.20, 2.03, 0.02, 0.02),
    "ssdlite": (320, 4.3, 1.6, 0.06, 0.06),
    "fpn_r50_256": (640, 34.0, 193.6, 0.02, 0.02),
    "nasfpn_r50_7x256": (640, 60.3, 281.3, 0.02, 0.02),
    "nasfpn_r50_7x384": (1280, 103.9, 2086.3, 0.02, 0.02),
}


def test_every_variant_stands_in_the_table() -> None:
    assert set(PAPER) == set(VARIANTS)


@pytest.mark.parametrize("variant", PAPER)
def test_cost_is_the_papers(variant: str) -> None:
    size, params_m, flops_b, params_bound, flops_bound = PAPER[variant]
    cost = count_cost(build_detector(dataclasses.replace(VARIANTS[variant], image_size=(size, size))))
    assert cost.params / 1e6 == pytest.approx(params_m, rel=params_bound)
    assert cost.flops / 1e9 == pytest.approx(flops_b, rel=flops_bound)


def test_flops_by_hand() -> None:
    import keras

    image = keras.Input((8, 6, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(image)  # 4 * 3 locations, 9 * 3 * 4 multiply-adds
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)  # 12 locations, 9 * 4
    shared = keras.layers.Conv2D(2, 1)  # 12 locations + 2 * 1 locations, 4 * 2
    outputs = [shared(x), shared(keras.layers.MaxPooling2D(2)(x)[:, :, :1, :])]
    assert count_cost(keras.Model(image, outputs)).flops == 2 * (12 * 108 + 12 * 36 + (12 + 2) * 8)
