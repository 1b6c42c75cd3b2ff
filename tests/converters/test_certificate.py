"""Certificates: inside a file that still runs, beside it, and hashes that anybody can work out again."""

import hashlib
import io
import json
import shutil
import zipfile

import numpy as np
import pytest

from nasfpn_lite.compare import Change, Comparison
from nasfpn_lite.converters import check_certificate
from nasfpn_lite.converters.calibration import Calibration, load_calibration
from nasfpn_lite.converters.certificate import (
    certificate_path,
    describe_data,
    embed_certificate,
    hash_data,
    hash_file,
    hash_images,
    make_certificate,
    read_certificate,
    strip_certificate,
    write_certificate,
)
from nasfpn_lite.converters.interpreter import make_interpreter
from nasfpn_lite.converters.metadata import Metadata, embed_metadata, read_metadata
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.postprocess import PostprocessSpec
from nasfpn_lite.variants import get_spec
from tests.tiny_tflite import HEIGHT, WIDTH, make_tiny_tflite

CERTIFICATE = {"schema_version": 1, "ap": {"difference": -0.25}, "name": "Käfer", "audit": {}}


def run_tiny(content: bytes) -> np.ndarray:
    interpreter = make_interpreter(content, threads=1)
    image = np.random.default_rng(2).normal(size=(1, HEIGHT, WIDTH, 3)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def make_marked(recipe: str = "static_wi8_ai8", variant: str = "nasfpnlite_3x48") -> bytes:
    spec = get_spec(variant, size="64x128", num_classes=2)
    calibration = {"images": 6, "source": "photos/train"} if recipe == "static_wi8_ai8" else {}
    categories = (Category(1, "blue"), Category(7, "red"))
    versions = {"nasfpn-lite": "9"}
    metadata = Metadata(spec, categories, recipe, "raw", PostprocessSpec(), versions, calibration, split_seed=4)
    return embed_metadata(make_tiny_tflite(), metadata)


def test_a_file_with_a_certificate_runs_as_before():
    content = make_tiny_tflite()
    certified = embed_certificate(content, CERTIFICATE)
    assert read_certificate(certified) == CERTIFICATE
    np.testing.assert_array_equal(run_tiny(certified), run_tiny(content))


def test_embedding_again_changes_nothing_and_another_replaces():
    once = embed_certificate(make_tiny_tflite(), CERTIFICATE)
    assert embed_certificate(once, CERTIFICATE) == once
    other = {**CERTIFICATE, "name": "a much longer name than before"}
    replaced = embed_certificate(once, other)
    assert read_certificate(replaced) == other
    assert embed_certificate(replaced, CERTIFICATE) == once


def test_metadata_and_certificate_live_side_by_side():
    content = make_marked()
    certified = embed_certificate(content, CERTIFICATE)
    assert read_metadata(certified) == read_metadata(content)
    again = embed_metadata(certified, read_metadata(content))
    assert read_certificate(again) == CERTIFICATE


@pytest.mark.parametrize("content", [make_tiny_tflite(), make_marked()])
def test_the_hash_is_that_of_the_file_without_certificate(content):
    certified = embed_certificate(content, CERTIFICATE)
    assert hash_file(certified) == hash_file(content) == hashlib.sha256(strip_certificate(content)).hexdigest()
    assert read_certificate(strip_certificate(certified)) is None
    weight = content.index(np.float32(-1).tobytes() + np.linspace(-1, 1, 108, dtype=np.float32)[1:2].tobytes())
    damaged = content[:weight] + np.float32(-0.5).tobytes() + content[weight + 4 :]
    assert hash_file(damaged) != hash_file(content)


def test_label_files_behind_the_flatbuffer_survive():
    file = io.BytesIO(make_tiny_tflite())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", "ant\nbee\n")
    certified = embed_certificate(file.getvalue(), CERTIFICATE)
    with zipfile.ZipFile(io.BytesIO(certified)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt") == b"ant\nbee\n"
    assert read_certificate(certified) == CERTIFICATE
    assert hash_file(certified) == hash_file(file.getvalue())
    assert embed_certificate(certified, CERTIFICATE) == certified


def test_most_files_have_none():
    assert read_certificate(make_tiny_tflite()) is None
    with pytest.raises(UserError, match=r"expected a \.tflite file"):
        read_certificate(b"something else")


@pytest.mark.parametrize(
    ("certificate", "message"),
    [({"schema_version": 2}, "schema version 1, got 2"), ({}, "got None"), ([1], "got None")],
)
def test_other_schema_versions_are_refused(certificate, message):
    with pytest.raises(UserError, match=message):
        read_certificate(embed_certificate(make_tiny_tflite(), certificate))


def test_damage_is_told():
    certified = embed_certificate(make_tiny_tflite(), CERTIFICATE)
    with pytest.raises(UserError, match="the certificate is damaged"):
        read_certificate(certified.replace(b'{"schema_version"', b'{"schema_versionx'))


def test_beside_the_file(tmp_path):
    write_certificate(tmp_path / "a.tflite", CERTIFICATE)
    assert certificate_path(tmp_path / "a.tflite") == tmp_path / "a.tflite.certificate.json"
    assert json.loads((tmp_path / "a.tflite.certificate.json").read_text(encoding="utf-8")) == CERTIFICATE


def make(content: bytes, **more) -> dict:
    comparison = Comparison(Change(60.0, 59.75, (-0.5, 0.25)), {"blue": Change(60.0, 59.0)}, {}, 2, 10, 0)
    calibration = Calibration(np.zeros((6, 64, 128, 3), np.uint8), "photos/train")
    keywords = {"budget": {"max_ap_drop": 0.5, "max_class_drop": None}, "data": {"name": "photos"}, **more}
    return make_certificate(content, comparison, calibration=calibration, commands={"AP": "x"}, **keywords)


def test_what_a_certificate_says():
    certificate = make(make_marked())
    spec = json.loads(json.dumps(get_spec("nasfpnlite_3x48", size="64x128", num_classes=2).to_dict()))
    assert (certificate["schema_version"], certificate["spec"]) == (1, spec)
    assert certificate["genotype"] == spec["neck"]["genotype"] is not None
    assert (certificate["recipe"], certificate["form"]) == ("static_wi8_ai8", "raw")
    assert certificate["versions"] == {"nasfpn-lite": "9"}
    hashed = hashlib.sha256(b"(6, 64, 128, 3) uint8" + bytes(6 * 64 * 128 * 3)).hexdigest()
    assert certificate["calibration"] == {"images": 6, "source": "photos/train", "sha256": hashed}
    assert certificate["data"] == {"name": "photos"}
    assert certificate["file"] == {"sha256_without_certificate": hash_file(make_marked())}
    assert certificate["ap"]["unit"] == "AP points, 0..100"
    assert certificate["ap"]["reference_recipe"] == "float32"
    assert certificate["ap"]["ap"]["interval"] == [-0.5, 0.25]
    assert certificate["budget"] == {"max_ap_drop": 0.5, "max_class_drop": None}
    assert (certificate["commands"], certificate["audit"]) == ({"AP": "x"}, {})
    assert read_certificate(embed_certificate(make_marked(), certificate)) == certificate


def test_a_float_file_names_no_calibration_and_another_neck_no_genotype():
    certificate = make(make_marked("float16", "fpnlite_64"), audit={"int8_multiply_add_share": 0.0})
    assert certificate["calibration"] == {}
    assert certificate["genotype"] is None
    assert certificate["audit"] == {"int8_multiply_add_share": 0.0}


def test_every_pixel_and_the_order_count_for_the_calibration():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    changed = images.copy()
    changed[2, 3, 5, 1] ^= 1
    variants = [images, changed, images[::-1], images[:2], images.reshape(3, 6, 4, 3)]
    assert len({hash_images(Calibration(variant, "x")) for variant in variants}) == len(variants)
    assert hash_images(Calibration(images.copy(), "y")) == hash_images(Calibration(images, "x"))


def test_annotations_names_and_sizes_count_for_the_data(tiny_coco, tmp_path):
    folder = shutil.copytree(tiny_coco, tmp_path / "data")
    before = hash_data(folder, load_split(folder, "test"))
    document = (folder / "instances_test.json").read_bytes()
    sizes = [(folder / "test" / name).stat().st_size for name in ("201.png", "202.png")]
    lines = f"test/201.png\0{sizes[0]}\ntest/202.png\0{sizes[1]}\n".encode()
    assert before == hashlib.sha256(document + lines).hexdigest()
    assert describe_data(folder, load_split(folder, "test")) == {
        **{"name": "data", "split": "test", "images": 2, "objects": 2, "sha256": before}
    }
    with (folder / "test" / "202.png").open("ab") as file:
        file.write(b"\0")
    longer = hash_data(folder, load_split(folder, "test"))
    (folder / "instances_test.json").write_bytes(document + b"\n")
    assert len({before, longer, hash_data(folder, load_split(folder, "test"))}) == 3


def test_hashes_can_be_checked_by_anyone(tiny_coco, tmp_path, capsys):
    folder = shutil.copytree(tiny_coco, tmp_path / "photos")
    content = make_marked()
    train = load_split(folder, "train")
    calibration = load_calibration(train, read_metadata(content).spec, source="photos/train", force=True)
    certificate = make(content, data=describe_data(folder, load_split(folder, "test")))
    certificate["calibration"]["sha256"] = hash_images(calibration)
    file = tmp_path / "a.tflite"
    file.write_bytes(embed_certificate(content, certificate))
    command = [str(file), "--data", str(folder)]
    assert check_certificate.main(command) == 0
    assert capsys.readouterr().out.count(" same\n") == 3
    shutil.copy(folder / "train" / "001.png", folder / "train" / "002.png")
    assert check_certificate.main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[2:]] == ["same", "same", "DIFFERENT"]
    file.write_bytes(content)
    assert check_certificate.main(command) == 2
    assert "a.tflite has no certificate" in capsys.readouterr().err
