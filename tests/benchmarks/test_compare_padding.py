import cv2
import numpy as np
import pytest

from nasfpn_lite.benchmarks.compare_padding import MARGIN, build, cosine, features, flip_kernels, main, read_photos
from nasfpn_lite.errors import UserError


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, (300, 200), interpolation=cv2.INTER_CUBIC))
    return path


def test_cosine():
    a = np.array([[[[1.0, 0.0], [3.0, 4.0]]]])
    b = np.array([[[[0.0, 2.0], [6.0, 8.0]]]])
    np.testing.assert_allclose(cosine(a, b), [[[0.0, 1.0]]], atol=1e-12)


def test_read_photos(photo, tmp_path):
    assert read_photos([photo], 64).shape == (1, 64 + MARGIN, 64 + MARGIN, 3)
    with pytest.raises(UserError, match="absent.png"):
        read_photos([tmp_path / "absent.png"], 64)


def test_same_padding_is_symmetric_padding_of_the_moved_photo(photo):
    """Far from the border: the far corner of C3 for "same", the near one for the photo moved by 7 pixels."""
    size = 256
    photos = read_photos([photo], size)
    same = features(build(size, symmetric=False), photos[:, :size, :size])["C3"]
    moved = features(build(size, symmetric=True), photos[:, 7 : 7 + size, 7 : 7 + size])["C3"]
    np.testing.assert_allclose(same[:, 15:18, 15:18], moved[:, 15:18, 15:18], atol=1e-3)
    assert cosine(same, moved)[:, 0].mean() < 0.99


def test_mirrored_kernels_mirror_the_features(photo):
    photos = read_photos([photo], 64)[:, :64, :64]
    model = build(64, symmetric=False)
    plain = features(model, photos)
    flip_kernels(model)
    assert not np.allclose(features(model, photos)["C3"], plain["C3"], atol=0.1)
    flip_kernels(model)
    np.testing.assert_array_equal(features(model, photos)["C3"], plain["C3"])


def test_main_prints_a_table(photo, capsys):
    assert main([str(photo), "--size", "192"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 8
    assert all(line.count("|") == 7 for line in lines)


def test_what_cannot_be_compared_is_one_line(photo, tmp_path, capsys):
    assert main([str(photo), "--size", "64"]) == 2
    assert capsys.readouterr().err == "error: --size must be a multiple of 64 and at least 192, got 64\n"
    assert main([str(tmp_path / "absent.png")]) == 2
    assert "absent.png" in capsys.readouterr().err
