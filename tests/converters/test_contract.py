"""Contracts: derived from the file, read back strictly, and enough to decode the file's real outputs."""

import dataclasses
import json

import numpy as np
import pytest

from nasfpn_lite.converters.contract import Contract, read_contract
from nasfpn_lite.converters.decoders.golden import compare_detections, describe
from nasfpn_lite.converters.decoders.write import write_decoders
from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import make_interpreter, signature_tensors
from nasfpn_lite.converters.tflite_detector import TFLiteDetector
from nasfpn_lite.data.records import Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import to_original
from nasfpn_lite.specs import AnchorSpec
from nasfpn_lite.variants import VARIANTS, get_spec
from tests.decoder_runners import make_contract, run_cpp, run_kotlin, run_python
from tests.tiny_tflite import make_tiny_tflite

FILES = [("float32", "raw"), ("static_wi8_ai8", "raw"), ("float32", "detect"), ("static_wi8_ai8", "detect")]


def run_file(path, photo):
    """Returns the outputs as the interpreter stores them, by name."""
    detector, interpreter = TFLiteDetector(path), make_interpreter(path)
    inputs, outputs = signature_tensors(interpreter)
    interpreter.set_tensor(inputs["image"].index, read_contract(path).input.values()[photo][None])
    interpreter.invoke()
    stored = {name: interpreter.get_tensor(tensor.index) for name, tensor in outputs.items()}
    return stored, detector.decode(detector.run(photo))


def cut(detections, image_size):
    """Detections as the decoders give them: a detect file cuts nothing at the image."""
    return to_original(detections, (1.0, 1.0), image_size)


def check_real_outputs(folder, path, photos, runner):
    contract = read_contract(path)
    write_decoders(contract, folder)
    thresholds = dataclasses.asdict(contract.thresholds) if contract.form == "raw" else None
    runs = [run_file(path, photo) for photo in photos]
    answers = runner(folder, contract, [(thresholds, stored) for stored, _ in runs])
    found = 0
    for (_, expected), answer in zip(runs, answers["cases"], strict=True):
        expected = cut(expected, contract.image_size)
        assert compare_detections(describe(expected, contract), answer) == []
        found += len(expected.scores)
    assert found >= 20


@pytest.mark.parametrize("runner", [run_python, run_cpp])
@pytest.mark.parametrize("file", FILES)
def test_generated_decoders_find_what_we_find_in_real_outputs(small_detector, tmp_path, file, runner):
    check_real_outputs(tmp_path, small_detector.files[file], small_detector.photos[30:34], runner)


@pytest.mark.parametrize("file", [("static_wi8_ai8", "raw")])
def test_generated_kotlin_decoder_finds_what_we_find_in_real_outputs(small_detector, tmp_path, file):
    check_real_outputs(tmp_path, small_detector.files[file], small_detector.photos[30:34], run_kotlin)


@pytest.mark.parametrize("runner", [run_python, run_cpp])
@pytest.mark.parametrize("file", [("static_wi8_ai8", "raw"), ("float32", "detect")])
def test_shuffled_outputs_still_decode(small_detector, tmp_path, file, runner):
    path = small_detector.files[file]
    graph = Graph(path.read_bytes())
    graph.set_outputs(dict(reversed(graph.outputs().items())))
    shuffled = tmp_path / "shuffled.tflite"
    shuffled.write_bytes(graph.to_bytes())
    order = [make_interpreter(p).get_output_details()[0]["shape"].tolist() for p in (path, shuffled)]
    assert order[0] != order[1]
    assert read_contract(shuffled) == read_contract(path)
    check_real_outputs(tmp_path, shuffled, small_detector.photos[30:34], runner)
    photo = small_detector.photos[30]
    first, second = TFLiteDetector(path).detect(photo), TFLiteDetector(shuffled).detect(photo)
    assert len(first.scores) > 0
    np.testing.assert_array_equal(first.boxes_yxyx, second.boxes_yxyx)


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic_wi8_afp32", "static_wi8_ai8"])
def test_raw_files_are_free_of_custom_operators(small_detector, recipe):
    raw, detect = (Graph(small_detector.files[recipe, form].read_bytes()) for form in ("raw", "detect"))
    assert [code.customCode for code in raw.model.operatorCodes if code.customCode] == []
    assert [code.customCode for code in detect.model.operatorCodes if code.customCode] != []


@pytest.mark.parametrize("file", FILES)
def test_contract_says_what_the_file_does(small_detector, file):
    path, spec = small_detector.files[file], small_detector.spec
    contract = read_contract(path)
    assert contract == read_contract(path.read_bytes())
    assert contract.form == file[1]
    assert contract.image_size == (64, 128)
    assert [(label.id, label.name) for label in contract.labels] == [(2, "ant"), (5, "bee"), (9, "cow")]
    assert contract.thresholds.score_threshold == 0.6
    assert (contract.input.color, contract.input.resize) == ("RGB", spec.resize)
    names = ["box_encodings", "class_logits"] if file[1] == "raw" else ["boxes", "classes", "scores", "count"]
    assert [output.name for output in contract.outputs] == names
    pixels = contract.input.values()[[0, 127, 128, 255]].tolist()
    if file[0] == "float32":
        np.testing.assert_allclose(pixels, [-1.0, -1 / 255, 1 / 255, 1.0], atol=1e-7)
    else:
        assert pixels == ([-128, -1, 0, 127] if file[1] == "raw" else [0, 127, 128, 255])


def test_contract_of_an_int8_file_has_the_interpreters_quantization(small_detector):
    path = small_detector.files["static_wi8_ai8", "raw"]
    contract = read_contract(path)
    for detail in make_interpreter(path).get_output_details():
        output = next(o for o in contract.outputs if list(o.shape) == detail["shape"].tolist())
        assert (output.scale, output.zero_point) == detail["quantization"]
        assert output.dtype == "int8"


@pytest.mark.parametrize("variant", [name for name, spec in VARIANTS.items() if spec.neck.max_level != 7])
def test_anchors_of_the_contract_are_the_detectors(variant):
    from nasfpn_lite.anchors import make_anchors
    from nasfpn_lite.converters.contract import describe_anchors

    spec = get_spec(variant, size="192x320")
    anchors = describe_anchors(spec)
    np.testing.assert_array_equal(anchors.to_array(), make_anchors(spec))
    assert anchors.count == len(make_anchors(spec))
    other = dataclasses.replace(spec, anchors=AnchorSpec(scale=3.001))
    assert describe_anchors(other).sha256 != anchors.sha256


def test_contract_survives_json():
    contract = make_contract("raw", "int8", resize="pad")
    assert Contract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_unknown_schema_versions_are_refused(version):
    data = {**make_contract("raw", "int8").to_dict(), "schema_version": version}
    with pytest.raises(UserError, match="expected a contract of schema version 1"):
        Contract.from_dict(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("labels"),
        lambda data: data.update(more=1),
        lambda data: data["input"].pop("tensor"),
        lambda data: data["anchors"].pop("sha256"),
        lambda data: data["anchors"]["levels"][0].update(sizes=[1.0]),
        lambda data: data.update(outputs=3),
        lambda data: data.update(thresholds=None),
    ],
)
def test_damaged_contracts_are_refused(change):
    data = json.loads(json.dumps(make_contract("raw", "int8").to_dict()))
    change(data)
    with pytest.raises(UserError, match="the contract is damaged"):
        Contract.from_dict(data)


def test_outputs_of_another_form_are_refused():
    contract = make_contract("raw", "int8")
    with pytest.raises(UserError, match="expected the outputs"):
        dataclasses.replace(contract, form="detect")
    with pytest.raises(UserError, match="expected a contract of a form"):
        dataclasses.replace(contract, form="cooked")


def test_a_file_whose_outputs_have_other_names_is_refused(small_detector):
    graph = Graph(small_detector.files["float32", "raw"].read_bytes())
    first, second = graph.outputs().values()
    graph.set_outputs({"output_0": first, "output_1": second})
    with pytest.raises(UserError, match="got \\['image'\\] and \\['output_0', 'output_1'\\]"):
        read_contract(graph.to_bytes())


def test_files_of_others_are_refused_by_name(tmp_path):
    path = tmp_path / "tiny.tflite"
    with pytest.raises(UserError, match="cannot read .*tiny.tflite"):
        read_contract(path)
    path.write_bytes(make_tiny_tflite())
    with pytest.raises(UserError, match="tiny.tflite: expected a .tflite with 'nasfpn_lite' metadata"):
        read_contract(path)


def test_a_moved_box_or_another_class_is_a_difference():
    contract = make_contract("raw", "int8")
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    first = describe(Detections(boxes, np.array([0.5], np.float32), np.array([1], np.int32)), contract)
    for other in (
        Detections(boxes + np.float32(2e-3), np.array([0.5], np.float32), np.array([1], np.int32)),
        Detections(boxes, np.array([0.5], np.float32), np.array([2], np.int32)),
    ):
        assert compare_detections(first, first) == []
        assert compare_detections(first, describe(other, contract)) != []
