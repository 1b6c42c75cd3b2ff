"""Generated decoders on golden vectors: they conform, and each of some mistakes in them is noticed."""

import dataclasses
import json

import numpy as np
import pytest

from nasfpn_lite.converters.decoders.golden import check_answers, expand_tensor, make_golden
from nasfpn_lite.converters.decoders.write import (
    CPP_FILE,
    FILES,
    KOTLIN_FILE,
    PYTHON_FILE,
    make_sources,
    write_decoders,
)
from nasfpn_lite.data.records import Category, Detections
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import to_original
from nasfpn_lite.preprocess import fit_image
from tests.decoder_runners import (
    PHOTO_SIZE,
    QUANTIZATIONS,
    find_kotlin_jars,
    golden_cases,
    make_contract,
    run_cpp,
    run_kotlin,
    run_python,
)

FORMS_AND_TYPES = [*(("raw", dtype) for dtype in QUANTIZATIONS), ("detect", "int8"), ("detect", "uint8")]
RUNNERS = {"python": run_python, "cpp": run_cpp}


def check(folder, contract, runner, golden):
    return check_answers(golden, runner(folder, contract, golden_cases(golden)))


def check_conforms(folder, contract, runner):
    """A decoder agrees with the golden vectors, and brings boxes back into a photo as we do."""
    write_decoders(contract, folder)
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    answers = runner(folder, contract, golden_cases(golden))
    assert check_answers(golden, answers) == []
    _, scale = fit_image(np.zeros((*PHOTO_SIZE, 3), np.uint8), contract.image_size, contract.input.resize)
    for case, answer in zip(golden["cases"], answers["cases"], strict=True):
        boxes = np.array(case["expected"]["boxes_yxyx"], np.float32)
        found = Detections(boxes, np.zeros(len(boxes), np.float32), np.zeros(len(boxes), np.int32))
        expected = to_original(found, scale, PHOTO_SIZE).boxes_yxyx
        np.testing.assert_allclose(answer["original"], expected, atol=5e-3)


@pytest.mark.parametrize("language", RUNNERS)
@pytest.mark.parametrize(("form", "dtype"), FORMS_AND_TYPES)
def test_generated_decoder_conforms(tmp_path, language, form, dtype):
    check_conforms(tmp_path, make_contract(form, dtype, resize="pad"), RUNNERS[language])


@pytest.mark.parametrize("language", RUNNERS)
def test_generated_decoder_knows_stretched_photos(tmp_path, language):
    check_conforms(tmp_path, make_contract("raw", "int8", resize="stretch"), RUNNERS[language])


@pytest.mark.parametrize(("form", "dtype"), FORMS_AND_TYPES)
def test_generated_kotlin_decoder_conforms(tmp_path, form, dtype):
    check_conforms(tmp_path, make_contract(form, dtype, resize="pad"), run_kotlin)


@pytest.mark.parametrize(("form", "dtype"), FORMS_AND_TYPES)
def test_kotlin_text_only_looks_right(form, dtype):
    """Where no Kotlin compiler is: brackets balance, the contract's names and numbers are there. No more."""
    contract = make_contract(form, dtype)
    text = make_sources(contract)[KOTLIN_FILE]
    for left, right in ("()", "[]", "{}"):
        assert text.count(left) == text.count(right)
    for output in contract.outputs:
        reader = "read" + "".join(word.capitalize() for word in output.name.split("_"))
        assert text.count(f"private fun {reader}(") == 1
        assert text.count(f"{reader}(") > 1
        assert f'find(outputs, "{output.name}")' in text
        assert str(output.zero_point) in text
    assert f"const val IMAGE_WIDTH = {contract.image_size[1]}" in text
    assert "import android" not in text


def test_every_file_is_written_and_reads_back(tmp_path):
    contract = make_contract("raw", "int8")
    assert write_decoders(contract, tmp_path / "new") == [tmp_path / "new" / name for name in FILES]
    data = json.loads((tmp_path / "new" / "contract.json").read_text(encoding="utf-8"))
    assert type(contract).from_dict(data) == contract


@pytest.mark.parametrize("dtype", QUANTIZATIONS)
def test_golden_vectors_show_every_step(dtype):
    """Ties, suppression, a box that is cut, one that is lost, and both limits do occur in them."""
    golden = make_golden(make_contract("raw", dtype))
    found = {case["name"]: case["expected"] for case in golden["cases"]}
    assert len(found["few detections"]["scores"]) == 7
    assert 4 < len(found["few candidates"]["scores"]) <= 9
    assert 20 < len(found["loose"]["scores"]) < 100
    assert set(found["loose"]["classes"]) == {0, 1, 2}
    assert np.min(found["loose"]["boxes_yxyx"]) == 0.0
    assert np.max(found["loose"]["boxes_yxyx"]) == 128.0
    assert len(set(found["loose"]["scores"])) < len(found["loose"]["scores"]) or dtype == "int16"
    assert golden["outputs"]["class_logits"]["shape"] == [1, 1530, 3]


def test_golden_tensors_expand():
    tensor = expand_tensor({"dtype": "int8", "shape": [1, 2, 3], "fill": -5, "at": [1, 5], "values": [7, 9]})
    np.testing.assert_array_equal(tensor, np.array([[[-5, 7, -5], [-5, -5, 9]]], np.int8))
    assert tensor.dtype == np.int8


def test_a_box_order_that_the_decoders_do_not_know_is_refused():
    contract = make_contract("raw", "int8")
    boxes = dataclasses.replace(contract.boxes, order=("xmin", "ymin", "xmax", "ymax"))
    with pytest.raises(UserError, match="expected boxes as"):
        make_sources(dataclasses.replace(contract, boxes=boxes))


def test_python_decoder_refuses_other_outputs(tmp_path):
    contract = make_contract("raw", "int8")
    write_decoders(contract, tmp_path)
    ((thresholds, outputs), *_) = golden_cases(make_golden(contract))
    with pytest.raises(ValueError, match="got \\['class_logits'\\]"):
        run_python(tmp_path, contract, [(thresholds, {"class_logits": outputs["class_logits"]})])
    with pytest.raises(ValueError, match="expected box_encodings as int8"):
        run_python(tmp_path, contract, [(thresholds, {**outputs, "box_encodings": outputs["box_encodings"][:, 1:]})])


# --- mistakes: each must turn the conformance check red ---


def replace_output(contract, name, **changes):
    outputs = tuple(dataclasses.replace(o, **changes) if o.name == name else o for o in contract.outputs)
    return dataclasses.replace(contract, outputs=outputs)


def with_wrong_mean(contract):
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, offset=123.675))


def with_ids_shifted_by_one(contract):
    labels = tuple(Category(label.id + 1, label.name) for label in contract.labels)
    return dataclasses.replace(contract, labels=labels)


def with_classes_shifted_by_one(contract):
    return dataclasses.replace(contract, labels=(*contract.labels[1:], contract.labels[0]))


CONTRACT_MISTAKES = {
    "zero point of the boxes dropped": (lambda c: replace_output(c, "box_encodings", zero_point=0), "boxes differ"),
    "zero point of the scores dropped": (lambda c: replace_output(c, "class_logits", zero_point=0), "scores differ"),
    "ids shifted by one": (with_ids_shifted_by_one, "ids: expected"),
    "classes shifted by one": (with_classes_shifted_by_one, "names: expected"),
    "wrong mean": (with_wrong_mean, "input:"),
}


@pytest.mark.parametrize("language", RUNNERS)
@pytest.mark.parametrize("mistake", CONTRACT_MISTAKES)
def test_mistake_in_the_contract_turns_the_check_red(tmp_path, language, mistake):
    change, message = CONTRACT_MISTAKES[mistake]
    contract = make_contract("raw", "int8")
    write_decoders(change(contract), tmp_path)
    wrong = check(tmp_path, contract, RUNNERS[language], make_golden(contract))
    assert any(message in line for line in wrong), wrong


BOX = "np.concatenate([centre - size / 2, centre + size / 2], axis=1)"
READ = "read_box_encodings(outputs.box_encodings, 4 * anchor"
PYTHON_MISTAKES = {
    "swapped box order": (BOX, f"{BOX}[:, [1, 0, 3, 2]]"),
    "zero point dropped": ("(real - np.float32(zero_point))", "real"),
    "boxes not cut": (f"_clip({BOX}, IMAGE_SIZE)", BOX),
    "size codes not held": ("np.minimum(encodings[:, 2:], np.float32(MAX_LOG_RATIO))", "encodings[:, 2:]"),
    "suppression across classes": ("(classes[waiting] == classes[best]) & ", ""),
    "limit of candidates forgotten": ("[:pre_nms_top]", ""),
    "limit of detections forgotten": (" and len(kept) < max_detections", ""),
    "ties in reverse": ("np.lexsort((pairs, -logits[pairs]))", "np.lexsort((-pairs, -logits[pairs]))"),
    "threshold forgotten": ("np.float32(_to_logit(score_threshold))", "-np.inf"),
    "no sigmoid": ("1.0 / (1.0 + np.exp(-logits[kept].astype(np.float64)))", "logits[kept]"),
}
CPP_MISTAKES = {
    "swapped box order": (f"ty = {READ})", f"ty = {READ} + 1)"),
    "zero point dropped": ("- -7.0f", "- 0.0f"),
    "suppression across classes": ("better.class_index == box.class_index && ", ""),
    "limit of candidates forgotten": ("candidates.resize(count);", ""),
    "ties in reverse": ("a.pair < b.pair", "a.pair > b.pair"),
}


def check_source_mistake(folder, name, runner, texts):
    before, after = texts
    # No 8-bit code moves a box so far that the limit of its size shows.
    contract = make_contract("raw", "float32" if "LOG_RATIO" in before else "int8")
    write_decoders(contract, folder)
    source = (folder / name).read_text(encoding="utf-8")
    assert source.count(before) == 1
    (folder / name).write_text(source.replace(before, after), encoding="utf-8")
    return check(folder, contract, runner, make_golden(contract))


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("mistake", PYTHON_MISTAKES)
def test_mistake_in_the_python_decoder_turns_the_check_red(tmp_path, mistake):
    assert check_source_mistake(tmp_path, PYTHON_FILE, run_python, PYTHON_MISTAKES[mistake]) != []


@pytest.mark.parametrize("mistake", CPP_MISTAKES)
def test_mistake_in_the_cpp_decoder_turns_the_check_red(tmp_path, mistake):
    assert check_source_mistake(tmp_path, CPP_FILE, run_cpp, CPP_MISTAKES[mistake]) != []


@pytest.mark.parametrize(
    ("field", "error", "is_noticed"),
    [("boxes_yxyx", 5e-4, False), ("boxes_yxyx", 2e-3, True), ("scores", 5e-6, False), ("scores", 2e-5, True)],
)
def test_tolerances_can_fail(field, error, is_noticed):
    golden = make_golden(make_contract("raw", "float32"))
    cases = [dict(case["expected"]) for case in golden["cases"]]
    cases[1][field] = (np.array(cases[1][field]) + error).tolist()
    assert (check_answers(golden, {"input": golden["input"]["values"], "cases": cases}) != []) == is_noticed


@pytest.mark.parametrize(("error", "is_noticed"), [(5e-7, False), (2e-6, True)])
def test_tolerance_of_float_inputs_can_fail(error, is_noticed):
    golden = make_golden(make_contract("detect", "float32"))
    answers = {"input": np.array(golden["input"]["values"]) + error, "cases": [golden["cases"][0]["expected"]]}
    assert (check_answers(golden, answers) != []) == is_noticed


def test_kotlin_jars_are_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("KOTLIN_JARS", str(tmp_path))
    assert find_kotlin_jars() == tmp_path
