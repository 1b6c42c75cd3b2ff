"""Paths that lead to no detector, and a run folder that leads to one."""

import pytest

from nasfpn_lite.converters.load_detector import find_seed, load_detector
from nasfpn_lite.errors import UserError
from tests.tiny_tflite import make_tiny_tflite


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"expected a run folder or a \.tflite file, but there is no .*nowhere"):
        load_detector(tmp_path / "nowhere")


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match="expected a run folder"):
        load_detector(tmp_path)


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no model")
    with pytest.raises(UserError, match=r"notes\.txt"):
        load_detector(path)


def test_a_file_knows_no_seed(tmp_path):
    assert find_seed(tmp_path / "model.tflite") is None


def test_a_run(tiny_run):
    detector = load_detector(tiny_run)
    assert [category.name for category in detector.categories] == ["blue", "red"]
    assert detector.spec.image_size == (64, 128)
    assert find_seed(tiny_run) == 5


@pytest.mark.parametrize(
    ("content", "message"), [(b"no model", "expected a .tflite"), (make_tiny_tflite(), "has none")]
)
def test_a_file_that_has_no_seed_to_tell_is_named(tmp_path, content, message):
    path = tmp_path / "odd.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"odd\.tflite: .*{message}"):
        find_seed(path)
