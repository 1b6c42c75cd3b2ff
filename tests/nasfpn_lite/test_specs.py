import dataclasses
import json

import pytest

from nasfpn_lite.genotype import NASFPNLITE_15
from nasfpn_lite.specs import AnchorSpec, BackboneSpec, DetectorSpec, NeckSpec, SpecError
from nasfpn_lite.variants import VARIANTS, get_spec, parse_size


@pytest.mark.parametrize("variant", VARIANTS)
def test_json_round_trip(variant: str) -> None:
    assert DetectorSpec.from_dict(json.loads(VARIANTS[variant].to_json())) == VARIANTS[variant]


@pytest.mark.parametrize("size", [(320, 300), (0, 320), (-64, 64), (320,)])
def test_refuses_sizes_that_do_not_nest(size: tuple) -> None:
    with pytest.raises(SpecError, match="multiple of 64"):
        dataclasses.replace(VARIANTS["nasfpnlite_3x48"], image_size=size)


def test_p7_needs_multiples_of_128() -> None:
    with pytest.raises(SpecError, match="multiples of 128"):
        dataclasses.replace(VARIANTS["nasfpn_r50_7x256"], image_size=(320, 640))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "bifpn"}, "neck kind must be one of"),
        ({"width": 50}, "multiple of 8, got 50"),
        ({"repeats": 0}, "at least 1"),
        ({"kind": "ssdlite", "genotype": None, "repeats": 2}, "cannot be stacked, got repeats=2"),
        ({"min_level": 2}, "starts at P3, P4 or P5"),
        ({"genotype": None}, "a genotype goes with"),
        ({"max_level": 7}, "the genotype spans P3..P6, the neck P3..P7"),
    ],
)
def test_neck_refuses(options: dict, message: str) -> None:
    neck = {"kind": "nasfpn", "min_level": 3, "max_level": 6, "width": 48, "genotype": NASFPNLITE_15}
    with pytest.raises(SpecError, match=message):
        NeckSpec(**{**neck, **options})


@pytest.mark.parametrize(
    ("field", "value"), [("num_classes", 0), ("activation", "swish"), ("resize", "crop"), ("image_size", (64, 65))]
)
def test_detector_refuses(field: str, value: object) -> None:
    with pytest.raises(SpecError):
        dataclasses.replace(VARIANTS["fpnlite_64"], **{field: value})


def test_backbone_and_anchors_refuse() -> None:
    with pytest.raises(SpecError, match="backbone must be one of"):
        BackboneSpec("vgg")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="positive"):
        AnchorSpec(scale=0)


def test_from_dict_names_the_missing_field() -> None:
    data = VARIANTS["ssdlite"].to_dict()
    del data["head"]
    with pytest.raises(SpecError, match="head"):
        DetectorSpec.from_dict(data)


@pytest.mark.parametrize(("text", "expected"), [("320", (320, 320)), ("192x256", (192, 256)), ("64X128", (64, 128))])
def test_sizes_are_height_by_width(text: str, expected: tuple) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1x2x3", "-64", "64.0", "²"])
def test_unreadable_sizes(text: str) -> None:
    with pytest.raises(SpecError, match="a size is"):
        parse_size(text)


def test_get_spec_applies_options(tmp_path) -> None:
    path = tmp_path / "genotype.json"
    graph = {"min_level": 3, "max_level": 4, "cells": [
        {"level": 3, "op": "sum", "inputs": [0, 1]},
        {"level": 4, "op": "attention", "inputs": [1, 2]},
    ]}  # fmt: skip
    path.write_text(json.dumps(graph))
    spec = get_spec("nasfpnlite_5x64", size="128x192", num_classes=7, genotype=path)
    assert (spec.image_size, spec.num_classes, spec.neck.levels) == ((128, 192), 7, (3, 4))
    with pytest.raises(SpecError, match="--genotype goes with a NAS-FPN"):
        get_spec("ssdlite", genotype=path)
    with pytest.raises(SpecError, match="unknown variant 'yolo'"):
        get_spec("yolo")
