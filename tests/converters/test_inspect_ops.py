"""Operators and multiply-adds, against counts made by hand and a published figure."""

from pathlib import Path

import pytest

from nasfpn_lite.converters.inspect_ops import count_multiply_adds, list_operators
from nasfpn_lite.errors import UserError
from tests.tiny_tflite import make_tiny_tflite


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(make_tiny_tflite())
    return path


def test_operators_are_counted(tiny):
    assert list_operators(tiny) == [("CONV_2D", 1), ("DEPTHWISE_CONV_2D", 1), ("FULLY_CONNECTED", 1)]


def test_multiply_adds_by_hand(tiny):
    assert count_multiply_adds(tiny) == 5184 + 1728 + 960


def test_multiply_adds_of_a_published_classifier(shared_dir):
    # MobileNetV2 1.0 at 224: 300 M (Sandler et al. 2018, table 4), 300.8 M with the last layer's 1001 classes.
    count = count_multiply_adds(shared_dir / "peers" / "mobilenet_v2_224_int8_ptq.tflite")
    assert count == 300_775_552


def test_custom_operators_have_their_own_name(shared_dir):
    names = dict(list_operators(shared_dir / "peers" / "ssd_mobilenet_v1_coco_quant_300.tflite"))
    assert names["TFLite_Detection_PostProcess"] == 1


@pytest.mark.parametrize(("data", "message"), [(None, "cannot read"), (b"PK\x03\x04 a zip", "no .tflite file")])
def test_other_files_are_refused(tmp_path, data, message):
    path = tmp_path / "other.tflite"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        count_multiply_adds(path)
