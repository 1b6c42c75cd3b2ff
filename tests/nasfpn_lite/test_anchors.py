import dataclasses

import numpy as np
import pytest

from nasfpn_lite.anchors import make_anchors
from nasfpn_lite.specs import AnchorSpec
from nasfpn_lite.variants import VARIANTS


def test_first_anchors_by_hand() -> None:
    spec = dataclasses.replace(VARIANTS["nasfpnlite_3x48"], image_size=(64, 128))
    anchors = make_anchors(spec)
    # P3: stride 8, side 3 * 8 = 24 at the centre (4, 4); then height / width 2 and 1/2 with the same area.
    tall, flat = 12 * 2**0.5, 12 * 0.5**0.5
    np.testing.assert_allclose(anchors[0], [-8, -8, 16, 16], atol=1e-5)
    np.testing.assert_allclose(anchors[1], [4 - tall, 4 - flat, 4 + tall, 4 + flat], atol=1e-5)
    np.testing.assert_allclose(anchors[2], [4 - flat, 4 - tall, 4 + flat, 4 + tall], atol=1e-5)
    side = 12 * 2 ** (1 / 3)
    np.testing.assert_allclose(anchors[3], [4 - side, 4 - side, 4 + side, 4 + side], atol=1e-5)
    # The next location is the next column: x moves by 8 pixels.
    np.testing.assert_allclose(anchors[9] - anchors[0], [0, 8, 0, 8], atol=1e-5)
    # A row of P3 has 128 / 8 = 16 locations.
    np.testing.assert_allclose(anchors[9 * 16] - anchors[0], [8, 0, 8, 0], atol=1e-5)


def test_levels_come_finest_first() -> None:
    spec = dataclasses.replace(VARIANTS["nasfpnlite_3x48"], image_size=(64, 128))
    sizes = [8 * 16 * 9, 4 * 8 * 9, 2 * 4 * 9, 1 * 2 * 9]
    anchors = make_anchors(spec)
    assert len(anchors) == sum(sizes) == 1530
    sides = [anchors[start, 2] - anchors[start, 0] for start in (0, sizes[0], sum(sizes[:2]), sum(sizes[:3]))]
    assert sides == pytest.approx([24, 48, 96, 192], rel=1e-5)


def test_ssdlite_has_fewer_at_its_finest_level() -> None:
    # 20 * 20 * 3 + (10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1) * 6
    assert len(make_anchors(VARIANTS["ssdlite"])) == 2034


def test_aspect_ratio_is_height_over_width() -> None:
    spec = dataclasses.replace(VARIANTS["nasfpnlite_3x48"], anchors=AnchorSpec(octaves=(0.0,), aspect_ratios=(4.0,)))
    box = make_anchors(spec)[0]
    assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(4.0, rel=1e-5)
