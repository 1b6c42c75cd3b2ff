"""Exits as networks that go on from each other."""

import dataclasses

import keras
import numpy as np
import pytest

from nasfpn_lite.cost import count_cost
from nasfpn_lite.data.records import Category
from nasfpn_lite.detector import build_detector
from nasfpn_lite.exit_parts import ExitParts
from nasfpn_lite.genotype import NASFPNLITE_15
from nasfpn_lite.keras_exits import KerasExits
from nasfpn_lite.preprocess import normalise
from nasfpn_lite.specs import DetectorSpec
from nasfpn_lite.variants import VARIANTS

FEATURES = ["P3", "P4", "P5", "P6"]


@pytest.fixture(scope="module")
def spec() -> DetectorSpec:
    spec = VARIANTS["nasfpnlite_3x48"]
    assert spec.neck.genotype == NASFPNLITE_15  # its P6 is computed from other outputs
    neck = dataclasses.replace(spec.neck, width=8)
    return dataclasses.replace(spec, neck=neck, image_size=(64, 128), num_classes=2, exits=(1, 3))


@pytest.fixture(scope="module")
def model(spec: DetectorSpec) -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_detector(spec, every_exit=True)


@pytest.fixture(scope="module")
def parts(model: keras.Model, spec: DetectorSpec) -> ExitParts:
    return ExitParts(model, spec)


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 128, 3)).astype(np.uint8)


def test_parts_in_turn_give_every_exits_outputs(model: keras.Model, parts: ExitParts) -> None:
    images = normalise(photos(2))
    expected, given = model(images), images
    for number, prefix in ((1, "exit1_"), (2, "")):
        found = parts.part(number)(given)
        for name in ("box_encodings", "class_logits"):
            np.testing.assert_allclose(found.pop(name), expected[prefix + name], rtol=0, atol=1e-5)
        assert list(found) == (FEATURES if number == 1 else [])
        given = found


def test_whole_calls_the_head_once_for_each_exit(model: keras.Model, parts: ExitParts) -> None:
    found, expected = parts.whole()(normalise(photos(2))), model(normalise(photos(2)))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5)


def test_nothing_is_computed_twice(spec: DetectorSpec, parts: ExitParts) -> None:
    first, second = parts.part(1), parts.part(2)
    layers = [{layer.name for layer in part.layers if layer.weights} for part in (first, second)]
    assert layers[0] & layers[1] == {name for name in layers[1] if name.startswith("head_")}
    assert not any(name.startswith("pyramid1") for name in layers[1])
    assert {name.split("_")[0] for name in layers[1]} == {"pyramid2", "pyramid3", "head"}
    plain = [
        count_cost(build_detector(dataclasses.replace(spec, exits=(), neck=dataclasses.replace(spec.neck, repeats=r))))
        for r in (1, 3)
    ]
    head = (
        sum(cost.flops for cost in map(count_cost, (first, second))) - plain[1].flops
    )  # the first part's head is all that comes on top of the last exit alone
    assert 0 < head < plain[0].flops
    assert count_cost(first).flops == plain[0].flops


def test_features_come_from_the_last_cells(parts: ExitParts) -> None:
    assert parts.producers(2) == {
        "P3": "pyramid3_cell12_P3_bn",
        "P4": "pyramid3_cell13_P4_bn",
        "P5": "pyramid3_cell14_P5_bn",
        "P6": "pyramid3_cell15_P6_bn",
    }


def test_features_may_pass_a_layer_first(parts: ExitParts, model: keras.Model) -> None:
    double = {name: keras.layers.Rescaling(2.0, name=f"double_{name}") for name in FEATURES}
    features = {name: x for name, x in parts.part(1)(normalise(photos(1))).items() if name in FEATURES}
    halves = {name: x / 2 for name, x in features.items()}
    found = parts.part(2, double)(halves)
    np.testing.assert_allclose(found["class_logits"], parts.part(2)(features)["class_logits"], rtol=0, atol=1e-4)


def test_keras_exits(model: keras.Model, spec: DetectorSpec) -> None:
    network = KerasExits(model, spec, (Category(1, "ant"), Category(2, "bee")))
    photo = photos(1)[0]
    given, context = network.prepare(photo)
    expected = model(normalise(photo)[None])
    for number, prefix in ((1, "exit1_"), (2, "")):
        outputs, given = network.run(number, given)
        np.testing.assert_allclose(outputs["class_logits"], expected[f"{prefix}class_logits"], rtol=0, atol=1e-4)
    assert given == {}
    assert len(network.finish(outputs, context).scores) <= 100
