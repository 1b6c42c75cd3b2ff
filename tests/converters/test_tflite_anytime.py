"""One file of three exits, from its conversion to a budget: weights are stored once, nothing is computed twice."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from nasfpn_lite.cli import main
from nasfpn_lite.converters.contract import Contract, read_contract
from nasfpn_lite.converters.convert import ConversionError, Source, Target, convert_all
from nasfpn_lite.converters.decoders.write import make_sources
from nasfpn_lite.converters.flatbuffer import parse_model
from nasfpn_lite.converters.graph_view import view_graphs
from nasfpn_lite.converters.inspect_ops import count_multiply_adds
from nasfpn_lite.converters.interpreter import make_interpreter, signature_tensors
from nasfpn_lite.converters.load_detector import load_detector
from nasfpn_lite.converters.metadata import read_metadata
from nasfpn_lite.converters.tflite_anytime import AnytimeDetector, TFLiteExits
from nasfpn_lite.converters.tflite_detector import TFLiteDetector
from nasfpn_lite.cost import count_cost
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import normalise
from nasfpn_lite.variants import VARIANTS

RECIPES = ("float32", "static_wi8_ai8")
NAMES = ("exit_1", "exit_2", "exit_3")
FEATURES = ("P3", "P4")


def run_exits(path, photo):
    """Each exit's (box_encodings, class_logits), real values."""
    network = TFLiteExits(path)
    given, _ = network.prepare(photo)
    found = []
    for number in (1, 2, 3):
        outputs, given = network.run(number, given)
        tensors = network.tensors[f"exit_{number}"][1]
        found.append([tensors[name].dequantize(outputs[name])[0] for name in ("box_encodings", "class_logits")])
    assert given == {}
    return found


def test_float_exits_are_the_networks(small_exits):
    outputs = small_exits.model(normalise(small_exits.photos[:1]))
    prefixes = ("exit1_", "exit2_", "")
    found = run_exits(small_exits.files["float32", "exits"], small_exits.photos[0])
    for prefix, (boxes, logits) in zip(prefixes, found, strict=True):
        np.testing.assert_allclose(boxes, outputs[f"{prefix}box_encodings"][0], rtol=0, atol=2e-4)
        np.testing.assert_allclose(logits, outputs[f"{prefix}class_logits"][0], rtol=0, atol=2e-3)
    assert np.abs(found[0][1] - found[2][1]).max() > 0.1  # the exits do not say the same


def test_int8_exits_follow_the_float_ones(small_exits):
    alone = TFLiteDetector(small_exits.files["static_wi8_ai8", "raw"])
    for photo in small_exits.photos[:3]:
        exact = run_exits(small_exits.files["float32", "exits"], photo)
        rounded = run_exits(small_exits.files["static_wi8_ai8", "exits"], photo)
        agreement = [
            np.corrcoef(logits.ravel(), found.ravel())[0, 1]
            for (_, logits), (_, found) in zip(exact, rounded, strict=True)
        ]
        assert min(agreement) > 0.8  # weights are random: a trained network's is far higher
        last_alone = np.corrcoef(exact[2][1].ravel(), alone.run(photo)["class_logits"].ravel())[0, 1]
        assert agreement[2] > last_alone - 0.05


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_last_exit_is_the_raw_file(small_exits, recipe):
    photo = small_exits.photos[1]
    alone = TFLiteDetector(small_exits.files[recipe, "raw"]).run(photo)
    exits = run_exits(small_exits.files[recipe, "exits"], photo)
    # Ranges of the head are those of all exits: in int8 its grids differ from those of the last exit alone.
    atol = 2e-4 if recipe == "float32" else 0.1 * float(np.ptp(alone["box_encodings"]))
    deviations = [float(np.abs(boxes - alone["box_encodings"]).max()) for boxes, _ in exits]
    assert deviations[2] < atol < min(deviations[:2])  # the other exits would be seen
    atol = 2e-4 if recipe == "float32" else 0.25 * float(np.ptp(alone["class_logits"]))
    np.testing.assert_allclose(exits[2][1], alone["class_logits"], rtol=0, atol=atol)


@pytest.mark.parametrize("recipe", RECIPES)
def test_weights_are_stored_once(small_exits, recipe):
    alone, all_exits = (small_exits.files[recipe, form] for form in ("raw", "exits"))
    assert all_exits.stat().st_size <= 1.03 * alone.stat().st_size
    model = parse_model(all_exits.read_bytes())
    contents = [bytes(b.data) for b in model.buffers if b.data is not None and len(b.data)]
    assert len(contents) == len(set(contents))
    weights = [{t.buffer for t in graph.tensors if t.buffer} for graph in model.subgraphs]
    sizes = [sum(len(model.buffers[b].data) for b in there) for there in (weights[1] & weights[2], weights[2])]
    assert sizes[0] > 0.5 * sizes[1]  # the head, which is most of a later exit


def test_nothing_is_computed_twice(small_exits):
    spec = dataclasses.replace(small_exits.spec, exits=())
    plain = count_cost(small_exits.model).flops  # the head reads a batch of three: its FLOPs count one
    assert spec.neck.repeats == 3
    graphs = view_graphs(parse_model(small_exits.files["float32", "exits"].read_bytes()))
    works = [sum(operator.multiply_adds for operator in graph.operators) for graph in graphs]
    alone = count_multiply_adds(small_exits.files["float32", "raw"])
    head = (sum(works) - alone) / 2
    pyramid = works[2] - head
    assert works[1] == works[2]  # a pyramid and a head each
    assert works[0] == pytest.approx(alone - 2 * pyramid)
    assert plain == pytest.approx(2 * alone, rel=0.01)


def test_features_pass_as_they_are_stored(small_exits):
    interpreter = make_interpreter(small_exits.files["static_wi8_ai8", "exits"])
    tensors = [signature_tensors(interpreter, name) for name in NAMES]
    for (_, given), (taken, _) in zip(tensors, tensors[1:], strict=False):
        for name in FEATURES:
            assert given[name].dtype == taken[name].dtype == np.int8
            assert (given[name].scale, given[name].zero_point) == (taken[name].scale, taken[name].zero_point)
            assert given[name].scale > 0
    assert set(tensors[2][1]) == {"box_encodings", "class_logits"}
    graphs = view_graphs(parse_model(small_exits.files["static_wi8_ai8", "exits"].read_bytes()))
    kinds = [operator.name for graph in graphs for operator in graph.operators]
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(kinds)


@pytest.mark.parametrize("recipe", RECIPES)
def test_contract_describes_all_signatures(small_exits, recipe):
    path = small_exits.files[recipe, "exits"]
    contract = read_contract(path)
    assert [(s.name, s.pyramid) for s in contract.signatures] == [(name, n) for n, name in enumerate(NAMES, start=1)]
    assert [t.name for t in contract.signatures[0].inputs] == ["image"]
    assert [t.name for t in contract.signatures[1].inputs] == list(FEATURES)
    assert [t.name for t in contract.signatures[1].outputs] == ["box_encodings", "class_logits", *FEATURES]
    assert [t.name for t in contract.signatures[2].outputs] == ["box_encodings", "class_logits"]
    data = json.loads(json.dumps(contract.to_dict()))
    assert data["schema_version"] == 2
    assert Contract.from_dict(data) == contract
    raw = read_contract(small_exits.files[recipe, "raw"])
    assert raw.to_dict()["schema_version"] == 1
    assert "signatures" not in raw.to_dict()
    assert set(make_sources(contract)) == set(make_sources(raw))  # decoders read an exit's outputs as a raw file's


def test_metadata_describe_all_signatures(small_exits):
    metadata = read_metadata(small_exits.files["float32", "exits"].read_bytes())
    assert (metadata.form, metadata.spec.exits) == ("exits", (1, 2, 3))
    data = json.loads(metadata.to_json())
    assert data["schema_version"] == 2
    assert [entry["name"] for entry in data["signatures"]] == list(NAMES)
    assert data["signatures"][1]["inputs"] == list(FEATURES)
    with pytest.raises(UserError, match="schema version 2, got 1"):
        type(metadata).from_json(json.dumps({**data, "schema_version": 1}))
    with pytest.raises(UserError, match="a spec with exits"):
        dataclasses.replace(metadata, spec=dataclasses.replace(metadata.spec, exits=()))


def test_a_budget_chooses_the_exit(small_exits):
    path = small_exits.files["float32", "exits"]
    detector = AnytimeDetector(path)
    photo = small_exits.photos[0]
    assert detector.detect(photo, 0).exit == 1
    assert detector.detect(photo, 60_000).exit == 3
    found = detector.detect(photo)
    alone = TFLiteDetector(small_exits.files["float32", "raw"]).detect(photo)
    np.testing.assert_allclose(found.boxes_yxyx, alone.boxes_yxyx, atol=0.05)
    assert len(found.scores) > 0
    assert found.elapsed_ms > 0
    assert len(detector.exit_ms) == 3
    assert isinstance(load_detector(path), AnytimeDetector)


def test_the_host_class_needs_no_keras(small_exits):
    code = (
        "import sys; from nasfpn_lite.converters.tflite_anytime import AnytimeDetector; import numpy as np\n"
        "AnytimeDetector(sys.argv[1]).detect(np.zeros((9, 9, 3), np.uint8), 5)\n"
        "assert not {'keras', 'tensorflow', 'tf_keras'} & set(sys.modules)"
    )
    path = small_exits.files["static_wi8_ai8", "exits"]
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_other_files_have_no_exits(small_exits, tmp_path):
    with pytest.raises(UserError, match=r"expected a file of several exits, got a raw file.*--form exits"):
        AnytimeDetector(small_exits.files["float32", "raw"])
    with pytest.raises(UserError, match=r"there is no file .*none\.tflite"):
        AnytimeDetector(tmp_path / "none.tflite")


def test_parity_wants_one_signature(small_exits, tiny_run, tiny_coco, capsys):
    command = ["parity", str(tiny_run), str(small_exits.files["float32", "exits"]), "--data", str(tiny_coco)]
    assert main(command) == 2
    assert "convert the same run with --form raw" in capsys.readouterr().err


def test_what_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(UserError, match="is made with one of float32"):
        Target("static_wi8_ai16", "exits", tmp_path / "a.tflite")
    source = Source.random(VARIANTS["nasfpnlite_3x48"])
    with pytest.raises(UserError, match="--exits every"):
        convert_all(source, [Target("float32", "exits", tmp_path / "a.tflite")])
    assert not issubclass(UserError, ConversionError)  # told before any process starts


@pytest.fixture
def known_photos(small_exits, tmp_path):
    """A COCO folder of two photos and the classes of the small detector."""
    import cv2

    (tmp_path / "test").mkdir()
    images, annotations = [], []
    for number, photo in enumerate(small_exits.photos[:2], start=1):
        cv2.imwrite(str(tmp_path / "test" / f"{number}.png"), photo)
        images.append({"id": number, "file_name": f"{number}.png", "height": 64, "width": 128})
        box = {"bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0}
        annotations.append({"id": number, "image_id": number, "category_id": 5, **box})
    categories = [{"id": 2, "name": "ant"}, {"id": 5, "name": "bee"}, {"id": 9, "name": "cow"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "instances_test.json").write_text(json.dumps(data))
    return tmp_path


def test_eval_shows_every_exit(small_exits, known_photos, capsys):
    path = str(small_exits.files["float32", "exits"])
    assert main(["eval", path, "--data", str(known_photos), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [(entry["exit"], entry["pyramid"]) for entry in figures["exits"]] == [(1, 1), (2, 2), (3, 3)]
    assert figures["AP"] == figures["exits"][2]["AP"]
    times = [entry["latency_ms"] for entry in figures["exits"]]
    assert all(time > 0 for time in times)
    assert main(["eval", path, "--data", str(known_photos)]) == 0
    assert "exit  pyramids" in capsys.readouterr().out


def test_predict_within_a_budget(small_exits, known_photos, capsys):
    photo, path = str(known_photos / "test" / "1.png"), str(small_exits.files["float32", "exits"])
    for budget, answers in (("0.001", 1), ("60000", 3)):
        output = str(known_photos / budget)
        assert main(["predict", path, photo, "-o", output, "--budget-ms", budget, "--json"]) == 0
        row = json.loads(capsys.readouterr().out)["images"][0]
        assert row["exit"] == answers
        assert row["elapsed_ms"] > 0
    raw = str(small_exits.files["float32", "raw"])
    assert main(["predict", raw, photo, "-o", str(known_photos / "raw"), "--budget-ms", "5"]) == 2
    assert "several exits" in capsys.readouterr().err


def test_a_budget_of_ap_goes_with_other_forms(tmp_path, capsys):
    command = ["convert", str(tmp_path), "--recipe", "float32", "--form", "exits", "-o", str(tmp_path / "out")]
    assert main([*command, "--max-ap-drop", "0.5"]) == 2
    assert "an AP for each" in capsys.readouterr().err
