"""Profiles as records: what each operator does, and files that are read back strictly."""

import json

import pytest

from nasfpn_lite.android_bench.checked_json import RecordError
from nasfpn_lite.android_bench.layers import name_layers
from nasfpn_lite.android_bench.op_profile import OperatorTime
from nasfpn_lite.android_bench.profile_record import (
    OperatorWork,
    list_work,
    make_layer_profile,
    read_profile,
    write_profile,
)
from tests.fake_profiles import make_result
from tests.tiny_tflite import make_tiny_tflite


@pytest.fixture
def layered(tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(make_tiny_tflite())
    return name_layers(path)


def row(node_type, index, ms, kind="operator"):
    return OperatorTime(kind, node_type, "", index, ms, ms, 1, 0.1)


def test_work_of_each_operator(layered):
    # float32 of 4 bytes: conv 144 in, 108 + 4 weights, 192 out; depthwise 192, 36 + 4, 192; matrix 192, 960 + 5, 5
    assert list_work(layered.graph) == (
        OperatorWork(0, "CONV_2D 3x3 float", 48 * 4 * 27, 4 * (144 + 112 + 192)),
        OperatorWork(1, "DEPTHWISE_CONV_2D 3x3 float", 48 * 4 * 9, 4 * (192 + 40 + 192)),
        OperatorWork(2, "FULLY_CONNECTED float", 960, 4 * (192 + 965 + 5)),
    )


def test_a_profile(layered):
    rows = [row("CONV_2D", 0, 1.0), row("DEPTHWISE_CONV_2D", 1, 2.0), row("TfLiteXNNPackDelegate", 3, 5.0, "partition")]
    profile = make_layer_profile(rows, layered)
    assert [operator.ms for operator in profile.operators] == [1.0, 2.0, None]
    assert profile.operators[0].rows == ("CONV_2D",)
    assert (profile.total_ms, profile.unmatched_ms) == (8.0, 5.0)
    assert [(other.name, other.layer, other.ms) for other in profile.others] == [("TfLiteXNNPackDelegate:3", None, 5.0)]
    assert [(layer.name, layer.ms) for layer in profile.layers] == [
        ("CONV_2D", 1.0),
        ("DEPTHWISE_CONV_2D", 2.0),
        ("FULLY_CONNECTED", 0.0),
    ]


def test_files_come_back_as_they_were(tmp_path):
    result = make_result("a.tflite", [("CONV_2D int8", 1000, 100, 2.0)])
    write_profile(tmp_path / "p.json", result)
    assert read_profile(tmp_path / "p.json") == result


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(schema="other"), "expected nasfpn-lite/android-profile"),
        (lambda data: data.update(version=9), "expected 1, got 9"),
        (
            lambda data: data["profile"]["operators"][0]["work"].pop("kind"),
            r"profile.operators\[0\].work.kind: is missing",
        ),
        (lambda data: data.update(latency_ms="fast"), "latency_ms: expected a number"),
    ],
)
def test_files_that_do_not_fit(tmp_path, change, message):
    path = tmp_path / "p.json"
    write_profile(path, make_result("a.tflite", [("CONV_2D int8", 1000, 100, 2.0)]))
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(RecordError, match=message):
        read_profile(path)


def test_no_json(tmp_path):
    (tmp_path / "p.json").write_text("profile")
    with pytest.raises(RecordError, match="is no JSON"):
        read_profile(tmp_path / "p.json")
    (tmp_path / "p.json").write_text("[]")
    with pytest.raises(RecordError, match="as `android profile` writes it"):
        read_profile(tmp_path / "p.json")
