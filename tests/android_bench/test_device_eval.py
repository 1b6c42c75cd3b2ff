"""The evaluation with a phone that is a second interpreter here; its outputs can be spoilt."""

from dataclasses import replace

import numpy as np
import pytest

from nasfpn_lite.android_bench.device_eval import EvalError, evaluate_on_phone
from nasfpn_lite.converters.stored_tensors import write_stored
from nasfpn_lite.converters.tflite_detector import TFLiteDetector
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError
from nasfpn_lite.evaluate import evaluate
from tests.hand_made_detector import make_detector_tflite


class FakeModel:
    """Runs here what the phone would, and notes how many images it got at once."""

    def __init__(self, path, spoil=lambda outputs: outputs):
        self.detector, self.spoil, self.batches = TFLiteDetector(path), spoil, []

    def run(self, inputs):
        self.batches.append(len(inputs))
        tensor = self.detector.input
        arrays = [np.frombuffer(data, tensor.dtype).reshape(tensor.shape) for data in inputs]
        outputs = [self.detector.run_stored(array) for array in arrays]
        return [{name: write_stored(array) for name, array in self.spoil({**found}).items()} for found in outputs]


@pytest.fixture(params=[("raw", "float32"), ("raw", "int8"), ("detect", "float32"), ("detect", "int8")])
def path(request, tmp_path):
    form, dtype = request.param
    path = tmp_path / "model.tflite"
    path.write_bytes(make_detector_tflite(form=form, dtype=dtype))
    return path


@pytest.fixture
def raw_path(tmp_path):
    path = tmp_path / "raw.tflite"
    path.write_bytes(make_detector_tflite(dtype="int8"))
    return path


def test_equal_outputs_give_the_figures_of_eval(path, tiny_coco):
    detector, split = TFLiteDetector(path), load_split(tiny_coco, "train")
    found = evaluate_on_phone(detector, split, FakeModel(path))
    expected = evaluate(detector, split)
    assert expected.summary["AP50"] > 0.05
    assert found.phone.summary == found.host.summary == expected.summary
    assert found.phone.per_class == expected.per_class
    assert {item.largest for item in found.differences} == {0.0}
    assert {item.name for item in found.differences} == set(detector.outputs)
    assert found.images_apart == 0


def test_what_the_phone_gets_wrong_shows(raw_path, tiny_coco):
    def spoil(outputs):
        outputs["class_logits"][0, 0, 0] -= 3
        return {**outputs, "box_encodings": np.full_like(outputs["box_encodings"], 127)}

    found = evaluate_on_phone(TFLiteDetector(raw_path), load_split(tiny_coco, "train"), FakeModel(raw_path, spoil))
    assert found.phone.summary["AP"] == 0.0 < found.host.summary["AP"]
    logits = next(item for item in found.differences if item.name == "class_logits")
    assert (logits.largest, logits.largest_steps) == (pytest.approx(0.15), 3)
    assert logits.share == pytest.approx(1 / 3060)
    assert found.images_apart == 6


@pytest.mark.parametrize(("batch_bytes", "batches"), [(1, [1] * 6), (150_000, [4, 2]), (10**9, [6])])
def test_batches_bound_what_lies_on_the_phone(raw_path, tiny_coco, batch_bytes, batches):
    # An image of 64 x 128 x 3 bytes and outputs of 1530 x (4 + 2) bytes: 33756 in all, of which 4 fit into 150000.
    model, seen = FakeModel(raw_path), []
    evaluate_on_phone(
        TFLiteDetector(raw_path),
        load_split(tiny_coco, "train"),
        model,
        batch_bytes=batch_bytes,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert model.batches == batches
    assert seen[-1] == (6, 6)
    assert len(seen) == len(batches)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda found: {"boxes": found["box_encodings"]}, r"expected the outputs \['box_encodings', 'class_logits'\]"),
        (lambda found: {**found, "class_logits": found["class_logits"][:, 1:]}, "expected 3060 bytes .* got 3058"),
    ],
)
def test_outputs_of_another_file(raw_path, tiny_coco, spoil, message):
    with pytest.raises(EvalError, match=message):
        evaluate_on_phone(TFLiteDetector(raw_path), load_split(tiny_coco, "test"), FakeModel(raw_path, spoil))


def test_errors_in_the_data_come_before_any_run(raw_path, tiny_coco):
    split, model = load_split(tiny_coco, "test"), FakeModel(raw_path)
    others = tuple(replace(category, name=f"other {category.name}") for category in split.categories)
    with pytest.raises(UserError, match="the detector does not know other blue"):
        evaluate_on_phone(TFLiteDetector(raw_path), replace(split, categories=others), model)
    gone = replace(split.images[0], path=tiny_coco / "none.png")
    with pytest.raises(UserError, match="none.png"):
        evaluate_on_phone(TFLiteDetector(raw_path), replace(split, images=(split.images[1], gone)), model)
    assert model.batches == []
