"""Drift between a file and its reference, and that every tolerance can fail."""

import dataclasses
import math

import numpy as np
import pytest

from nasfpn_lite.converters.flatbuffer import Graph
from nasfpn_lite.converters.interpreter import all_tensors, make_interpreter
from nasfpn_lite.converters.metadata import embed_metadata, read_metadata
from nasfpn_lite.converters.parity import compare, keras_activations, measure_parity, signal_to_noise
from nasfpn_lite.converters.parity_stages import find_tensors, list_stages
from nasfpn_lite.converters.parity_tolerances import TOLERANCES_DB, tolerance_db
from nasfpn_lite.converters.recipes import ALL_RECIPES, RECIPES, get_recipe
from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import normalise
from tests.hand_made_detector import make_detector_tflite

IMAGES = 2
CASES = [(recipe, kind) for recipe, kinds in TOLERANCES_DB.items() for kind in kinds]


@pytest.fixture(scope="module")
def images(small_detector):
    return small_detector.photos[:IMAGES]


@pytest.fixture(scope="module")
def reference(small_detector, images):
    names = [stage.name for stage in list_stages(small_detector.spec)]
    return keras_activations(small_detector.model, names, images)


@pytest.fixture(scope="module")
def raw_files(small_detector, tmp_path_factory):
    """Recipe -> a raw file; the one of QAT is the int8 file under another recipe's name: only its tolerance differs."""
    files = {recipe: small_detector.files[recipe, "raw"] for recipe in RECIPES}
    content = files["static_wi8_ai8"].read_bytes()
    metadata = dataclasses.replace(read_metadata(content), recipe="qat_wi8_ai8")
    files["qat_wi8_ai8"] = tmp_path_factory.mktemp("qat") / "qat.tflite"
    files["qat_wi8_ai8"].write_bytes(embed_metadata(content, metadata))
    return files


@pytest.fixture(scope="module")
def own_activations(raw_files, images, reference):
    """Recipe -> what the file itself computes: a reference that it agrees with to the last bit."""
    made = {}
    for recipe in TOLERANCES_DB:
        content = raw_files[recipe].read_bytes()
        shapes = {name: values.shape[1:] for name, values in reference.items()}
        places = find_tensors(Graph(content), list(shapes), shapes, folded=get_recipe(recipe).integer_activations)
        interpreter = make_interpreter(content, preserve_all_tensors=True)
        tensors = all_tensors(interpreter)
        image_tensor = tensors[interpreter.get_input_details()[0]["index"]]
        rows = []
        for image in images:
            interpreter.set_tensor(image_tensor.index, image_tensor.quantize(normalise(image))[None])
            interpreter.invoke()
            rows.append({n: tensors[i].dequantize(interpreter.get_tensor(i))[0] for n, i in places.items()})
        made[recipe] = {name: np.stack([row[name] for row in rows]) for name in places}
    return made


def with_error(reference, name: str, ratio_db: float):
    """The reference with one stage times a: its ratio to the error of what was 1 is a**2 / (1 - a)**2."""
    root = 10 ** (ratio_db / 20)
    return {**reference, name: reference[name].astype(np.float64) * (root / (1 + root))}


@pytest.mark.parametrize(("recipe", "kind"), CASES)
@pytest.mark.parametrize(("times", "passes"), [(0.5, True), (2.0, False)])
def test_an_error_twice_as_large_as_allowed_fails_and_half_as_large_passes(
    recipe, kind, times, passes, small_detector, raw_files, images, own_activations
):
    stage = next(s for s in reversed(list_stages(small_detector.spec)) if s.kind == kind)
    ratio = tolerance_db(recipe, kind) - 20 * math.log10(times)
    damaged = with_error(own_activations[recipe], stage.name, ratio)
    parity = compare(damaged, raw_files[recipe], images)
    entry = next(e for e in parity.stages if e.stage == stage)
    assert entry.snr_db == pytest.approx(ratio, abs=0.01)
    assert parity.within is passes
    assert parity.collapse == (None if passes else entry)


def test_every_recipe_of_today_has_tolerances_and_others_are_refused():
    assert all(tolerance_db(recipe, "cell") > 0 for recipe in ALL_RECIPES)
    with pytest.raises(UserError, match="known tolerance, one of float32, .* got 'int4'"):
        tolerance_db("int4", "cell")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("form", ["raw", "detect"])
def test_every_stage_of_every_file_is_measured(recipe, form, small_detector, images, reference):
    parity = compare(reference, small_detector.files[recipe, form], images)
    assert parity.missing == ()
    assert (parity.recipe, parity.images) == (recipe, IMAGES)
    assert [e.stage for e in parity.stages] == list(list_stages(small_detector.spec))
    assert all(math.isfinite(e.snr_db) and e.max_abs_error > 0 for e in parity.stages)


def test_float32_agrees_with_keras(small_detector, images):
    parity = measure_parity(small_detector.model, small_detector.files["float32", "raw"], images)
    assert min(entry.snr_db for entry in parity.stages) > 80
    first = parity.stages[0]
    assert (first.stage.name, first.fall_db) == ("Conv1_relu", None)
    second = parity.stages[1]
    assert second.fall_db == pytest.approx(first.snr_db - second.snr_db)


def test_eight_bits_lose_more_than_sixteen(small_detector, images, reference):
    recipes = ("static_wi8_ai8", "float16", "float32")
    outputs = [compare(reference, small_detector.files[recipe, "raw"], images).stages[-1].snr_db for recipe in recipes]
    assert outputs[0] + 10 < outputs[1] < outputs[2] - 10


@pytest.mark.parametrize(("recipe", "dtype"), [("float32", np.float32), ("static_wi8_ai8", np.int8)])
def test_a_damaged_layer_is_named(recipe, dtype, small_detector, images, own_activations, tmp_path):
    path, reference = small_detector.files[recipe, "raw"], own_activations[recipe]
    graph = Graph(path.read_bytes())
    shapes = {name: values.shape[1:] for name, values in reference.items()}
    place = find_tensors(graph, list(shapes), shapes, folded=dtype == np.int8)["pyramid1_cell7_P4_bn"]
    convolution = next(operator for operator in graph.main.operators if place in operator.outputs)
    weights = graph.model.buffers[graph.main.tensors[convolution.inputs[1]].buffer]
    weights.data = np.frombuffer((-np.frombuffer(bytes(weights.data), dtype)).tobytes(), np.uint8)
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(graph.to_bytes())
    assert compare(reference, path, images).within
    parity = compare(reference, damaged, images)
    assert parity.verdict().startswith(
        f"{recipe} leaves its tolerance first at cell 7 of pyramid 1 at P4 (pyramid1_cell7_P4_bn): "
    )


def test_a_stage_without_a_tensor_is_reported(small_detector, images, own_activations, tmp_path):
    graph = Graph(small_detector.files["float32", "raw"].read_bytes())
    for tensor in graph.main.tensors:
        tensor.name = tensor.name.replace(b"pyramid1_cell3_P", b"renamed")
    renamed = tmp_path / "renamed.tflite"
    renamed.write_bytes(graph.to_bytes())
    parity = compare(own_activations["float32"], renamed, images)
    assert len(parity.missing) == 1
    assert not parity.within
    assert parity.collapse is None
    assert f"1 of {len(parity.stages)} stages are not in the file: pyramid1_cell3_P" in parity.verdict()


def test_a_file_that_agrees_is_within(small_detector, images, own_activations):
    parity = compare(own_activations["float16"], small_detector.files["float16", "raw"], images)
    assert {entry.snr_db for entry in parity.stages} == {math.inf}
    assert parity.within
    assert parity.steepest is None
    assert parity.verdict().startswith(f"float16 is within its tolerance at all {len(parity.stages)} stages")


@pytest.mark.parametrize(
    ("signal", "noise", "expected"),
    [
        (100.0, 1.0, 20.0),
        (1.0, 4.0, -6.0206),
        (0.0, 0.0, math.inf),
        (0.0, 1.0, -math.inf),
        (1.0, math.nan, -math.inf),
        (1.0, math.inf, -math.inf),
    ],
)
def test_signal_to_noise(signal, noise, expected):
    assert signal_to_noise(signal, noise) == pytest.approx(expected, abs=1e-4)


def test_a_reference_that_does_not_fit_is_refused(small_detector, images, reference):
    path = small_detector.files["float32", "raw"]
    with pytest.raises(ValueError, match="expected 1 images at Conv1_relu, got 2"):
        compare(reference, path, images[:1])
    short = {name: values for name, values in reference.items() if name != "block_5_add"}
    with pytest.raises(ValueError, match="lacks block_5_add"):
        compare(short, path, images)


def test_files_that_cannot_be_used(small_detector, images, reference, tmp_path):
    with pytest.raises(UserError, match="cannot read .*gone"):
        measure_parity(small_detector.model, tmp_path / "gone.tflite", images)
    other = tmp_path / "other.tflite"
    other.write_bytes(b"something else")
    with pytest.raises(UserError, match="other.tflite: expected a .tflite"):
        compare(reference, other, images)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_file_that_was_cut_is_named(share, tmp_path):
    content, path = make_detector_tflite(), tmp_path / "cut.tflite"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"cut\.tflite: .*damaged"):
        measure_parity(None, path, np.zeros((1, 64, 128, 3), np.uint8))


def test_a_file_trained_on_grids_needs_the_weights_of_its_training(raw_files, tiny_run, images, tmp_path, monkeypatch):
    from nasfpn_lite.runs import load_run

    run = load_run(tiny_run)
    run = dataclasses.replace(run, spec=read_metadata(raw_files["qat_wi8_ai8"].read_bytes()).spec)
    with pytest.raises(UserError, match=r"qat/trained.npz; leave it where"):
        measure_parity(run, raw_files["qat_wi8_ai8"], images)


def test_preserving_tensors_changes_no_output(small_detector, images):
    for recipe in RECIPES:
        content = small_detector.files[recipe, "raw"].read_bytes()
        assert read_metadata(content).form == "raw"
        outputs = []
        for preserve in (False, True):
            interpreter = make_interpreter(content, preserve_all_tensors=preserve)
            tensors = all_tensors(interpreter)
            tensor = tensors[interpreter.get_input_details()[0]["index"]]
            interpreter.set_tensor(tensor.index, tensor.quantize(normalise(images[0]))[None])
            interpreter.invoke()
            outputs.append([interpreter.get_tensor(d["index"]).copy() for d in interpreter.get_output_details()])
        for plain, preserved in zip(*outputs, strict=True):
            assert np.array_equal(plain, preserved)
