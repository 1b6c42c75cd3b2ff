"""What a file says about itself."""

import json

import pytest

from nasfpn_lite import __version__
from nasfpn_lite.converters.metadata import Metadata, embed_metadata, read_metadata
from nasfpn_lite.data.records import Category
from nasfpn_lite.errors import UserError
from nasfpn_lite.variants import get_spec
from tests.converters.conftest import THRESHOLDS
from tests.tiny_tflite import make_tiny_tflite


def test_a_converted_file_holds_all_that_is_needed(small_detector):
    metadata = read_metadata(small_detector.files["static_wi8_ai8", "detect"].read_bytes())
    assert metadata.spec == small_detector.spec
    assert metadata.categories == (Category(2, "ant"), Category(5, "bee"), Category(9, "cow"))
    assert (metadata.recipe, metadata.form) == ("static_wi8_ai8", "detect")
    assert metadata.thresholds == THRESHOLDS
    assert metadata.calibration == {"images": 104, "source": "thirteen sets of patches"}
    assert metadata.versions["nasfpn-lite"] == __version__
    assert metadata.versions["tensorflow"].startswith("2.")
    assert read_metadata(small_detector.files["float32", "raw"].read_bytes()).calibration == {}


def test_the_text_tells_other_programs_how_to_feed_and_decode(small_detector):
    data = json.loads(read_metadata(small_detector.files["float32", "raw"].read_bytes()).to_json())
    assert data["schema_version"] == 1
    assert data["input"] == {"color": "RGB", "normalisation": {"offset": 127.5, "scale": 127.5}, "resize": "stretch"}
    assert data["boxes"]["outputs"] == ["box_encodings", "class_logits"]


def test_embedding_again_replaces_the_entry(small_detector):
    content = small_detector.files["float32", "raw"].read_bytes()
    metadata = read_metadata(content)
    changed = Metadata(**{**vars(metadata), "versions": {"nasfpn-lite": "9"}})
    assert read_metadata(embed_metadata(content, changed)) == changed


def test_other_files_have_none():
    with pytest.raises(UserError, match="this one has none"):
        read_metadata(make_tiny_tflite())


@pytest.mark.parametrize("version", [0, 2, None])
def test_other_schema_versions_are_refused(small_detector, version):
    text = read_metadata(small_detector.files["float32", "raw"].read_bytes()).to_json()
    data = {**json.loads(text), "schema_version": version}
    with pytest.raises(UserError, match=f"schema version 1, got {version}"):
        Metadata.from_json(json.dumps(data))


def test_missing_fields_are_named(small_detector):
    data = json.loads(read_metadata(small_detector.files["float32", "raw"].read_bytes()).to_json())
    del data["categories"]
    with pytest.raises(UserError, match="categories"):
        Metadata.from_json(json.dumps(data))


def make_marked_tflite() -> bytes:
    spec = get_spec("ssdlite", size="64x128", num_classes=1)
    metadata = Metadata(spec, (Category(3, "ant"),), "float32", "raw", THRESHOLDS, {}, {}, split_seed=4)
    return embed_metadata(make_tiny_tflite(), metadata)


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        (b'{"schema_version"', b'["schema_version"'),
        (b'"schema_version"', b'"schema\xffversion"'),
        (b'"spec"', b'"speck'),
    ],
)
def test_damaged_text_is_told(sound, damaged):
    content = make_marked_tflite()
    assert content.count(sound) == 1
    with pytest.raises(UserError, match="the metadata are damaged: .*convert again"):
        read_metadata(content.replace(sound, damaged))


@pytest.mark.parametrize("text", ["[1]", "7", "null", "{"])
def test_text_that_is_no_object_is_damaged(text):
    with pytest.raises(UserError, match="the metadata are damaged"):
        Metadata.from_json(text)


def test_float_stages_are_kept_and_files_from_before_have_none():
    spec = get_spec("fpnlite_64", size="64x128", num_classes=1)
    fields = (spec, (Category(1, "ant"),), "selective_wi8_ai8", "raw", THRESHOLDS, {}, {})
    metadata = Metadata(*fields, float_stages=("block_5", "head_class_predictor"))
    assert read_metadata(embed_metadata(make_tiny_tflite(), metadata)) == metadata
    data = json.loads(metadata.to_json())
    del data["float_stages"]
    assert Metadata.from_json(json.dumps(data)).float_stages == ()
