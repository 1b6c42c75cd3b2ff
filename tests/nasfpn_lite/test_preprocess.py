import cv2
import numpy as np
import pytest

from nasfpn_lite.errors import UserError
from nasfpn_lite.preprocess import (
    ImageError,
    TruncatedImageError,
    decode_image,
    fit_image,
    is_turned_by_exif,
    normalise,
    read_image,
)


def picture(height=20, width=30):
    """Red at the upper left, blue elsewhere (RGB)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = 250
    image[: height // 2, : width // 2] = (250, 0, 0)
    return image


def encode(suffix, image=None, **options):
    image = picture() if image is None else image
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()


def with_orientation(jpeg, orientation):
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + bytes([orientation]) + bytes(6)
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_reads_rgb_from_a_path_with_spaces_and_accents(tmp_path, suffix):
    path = tmp_path / f"ein schönes Bild{suffix}"
    path.write_bytes(encode(suffix))
    image = read_image(path)
    assert (image.shape, image.dtype) == ((20, 30, 3), np.uint8)
    np.testing.assert_allclose(image[2, 2], (250, 0, 0), atol=8)
    np.testing.assert_allclose(image[-3, -3], (0, 0, 250), atol=8)


def test_grey_alpha_and_16_bit_become_three_channels_of_8_bits():
    assert decode_image(encode(".png", np.full((4, 6, 1), 9, np.uint8)), "x").tolist() == [[[9, 9, 9]] * 6] * 4
    rgba = np.dstack([np.full((4, 6, 3), 7, np.uint8), np.full((4, 6), 100, np.uint8)])
    data = cv2.imencode(".png", rgba)[1].tobytes()
    assert decode_image(data, "x").shape == (4, 6, 3)
    deep = cv2.imencode(".png", np.full((4, 6, 3), 256 * 33, np.uint16))[1].tobytes()
    assert decode_image(deep, "x").tolist() == [[[33, 33, 33]] * 6] * 4


# Where the red quarter of a 30x20 picture goes: (row, column) of a pixel inside it.
@pytest.mark.parametrize(
    "orientation, shape, red",
    [(1, (20, 30), (2, 2)), (3, (20, 30), (-3, -3)), (6, (30, 20), (2, -3)), (8, (30, 20), (-3, 2))],
)
def test_exif_orientation_is_applied(orientation, shape, red):
    data = with_orientation(encode(".jpg"), orientation)
    image = decode_image(data, "x")
    assert image.shape[:2] == shape
    np.testing.assert_allclose(image[red], (250, 0, 0), atol=8)
    assert is_turned_by_exif(data, image) is (orientation != 1)


def test_an_image_without_exif_is_not_turned():
    data = encode(".jpg")
    assert is_turned_by_exif(data, decode_image(data, "x")) is False


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
@pytest.mark.parametrize("keep", [0.5, 0.9, -1])
def test_a_cut_file_is_refused_by_name(tmp_path, suffix, keep):
    data = encode(suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * keep)] if keep > 0 else data[:keep])
    with pytest.raises(ImageError, match=f"cut{suffix}"):
        read_image(path)


def test_the_end_marker_of_a_thumbnail_does_not_count():
    thumbnail = encode(".jpg", picture(8, 8))
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = encode(".jpg")
    whole = data[:2] + segment + data[2:]
    assert decode_image(whole, "x").shape == (20, 30, 3)
    with pytest.raises(TruncatedImageError, match="x: the image is truncated"):
        decode_image(whole[:-2], "x")


def test_bytes_after_the_end_do_no_harm():
    assert decode_image(encode(".jpg") + b"maker notes", "x").shape == (20, 30, 3)
    assert decode_image(encode(".png") + b"maker notes", "x").shape == (20, 30, 3)


def test_a_png_with_a_wrong_checksum_is_refused():
    data = bytearray(encode(".png"))
    data[60] ^= 1
    with pytest.raises(TruncatedImageError):
        decode_image(bytes(data), "x")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is empty"),
        (b"<html>not found</html>", "not an image"),
        (b"\xff\xd8", "truncated"),
        (b"RIFF", "truncated"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, data, message):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=rf"photo\.jpg: .*{message}"):
        read_image(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ImageError, match="gone.jpg: .*No such file"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(UserError, match="directory"):
        read_image(tmp_path)


def test_stretch_scales_each_axis_by_itself():
    image, scale = fit_image(picture(20, 30), (64, 128), "stretch")
    assert (image.shape, image.dtype) == ((64, 128, 3), np.uint8)
    assert scale == (64 / 20, 128 / 30)
    assert image[10, 10].tolist() == [250, 0, 0]
    assert image[40, 100].tolist() == [0, 0, 250]


def test_shrinking_averages():
    checks = np.zeros((128, 256, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 200
    image, scale = fit_image(checks, (64, 128), "stretch")
    assert scale == (0.5, 0.5)
    assert (image == 100).all()


def test_pad_keeps_the_aspect_ratio_and_fills_with_grey():
    # 20x30 into 64x64: factor 64/30, new height round(42.67) = 43.
    image, scale = fit_image(picture(20, 30), (64, 64), "pad")
    assert image.shape == (64, 64, 3)
    assert scale == (43 / 20, 64 / 30)
    assert image[10, 10].tolist() == [250, 0, 0]
    assert image[41, 10].tolist() == [0, 0, 250]
    assert (image[43:] == 127).all()


def test_pad_fills_at_the_right_of_a_tall_image():
    image, scale = fit_image(picture(40, 10), (64, 128), "pad")
    assert scale == (1.6, 1.6)
    assert (image[:, 16:] == 127).all()
    assert not (image[:, 15] == 127).all()


def test_an_image_of_the_right_size_is_left_alone():
    for rule in ("stretch", "pad"):
        image, scale = fit_image(picture(64, 128), (64, 128), rule)
        assert scale == (1.0, 1.0)
        np.testing.assert_array_equal(image, picture(64, 128))


def test_an_extreme_aspect_ratio_keeps_a_pixel():
    image, scale = fit_image(picture(2, 2000), (64, 64), "pad")
    assert scale == (0.5, 64 / 2000)
    assert image.shape == (64, 64, 3)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="'stretch' or 'pad', got 'crop'"):
        fit_image(picture(), (64, 64), "crop")


def test_normalise():
    values = normalise(np.array([[[0, 51, 255]]], np.uint8))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [[[-1.0, -0.6, 1.0]]], atol=1e-7)
