# SPDX-License-Identifier: Apache-2.0
"""Photos: every kind of file that is read, on purpose, and every kind that is refused, with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray
from stillflow.photo import Photo, load_photo, read_gray


def refusal(path: Path, **options: int) -> StillflowError:
    with pytest.raises(StillflowError) as caught:
        load_photo(path, **options)
    assert caught.value.what and caught.value.why and caught.value.fix
    assert path.name in caught.value.what
    return caught.value


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".webp"])
def test_lossless_formats_give_the_pixels_back(tmp_path: Path, scenery: ByteArray, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(scenery).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    photo = load_photo(path)
    assert np.array_equal(photo.pixels, scenery)
    assert (photo.alpha, photo.gray, photo.source) == (None, False, path)
    assert photo.pixels.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".jpg", ".avif", ".jp2"])
def test_lossy_formats_are_read(tmp_path: Path, scenery: ByteArray, suffix: str) -> None:
    if suffix == ".avif" and "avif" not in features.get_supported():
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(scenery).save(path)
    error = np.abs(load_photo(path).pixels.astype(int) - scenery).mean()
    assert error < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, scenery: ByteArray, orientation: int) -> None:
    stored = {
        1: scenery,
        2: scenery[:, ::-1],
        3: scenery[::-1, ::-1],
        4: scenery[::-1],
        5: scenery.transpose(1, 0, 2),
        6: scenery.transpose(1, 0, 2)[::-1],
        7: scenery.transpose(1, 0, 2)[::-1, ::-1],
        8: scenery.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert np.array_equal(load_photo(path).pixels, scenery)


def test_gray_is_kept_in_mind(tmp_path: Path, scenery: ByteArray) -> None:
    path = tmp_path / "gray.png"
    Image.fromarray(scenery[..., 0]).save(path)
    photo = load_photo(path)
    assert photo.gray
    assert np.array_equal(photo.pixels, np.repeat(scenery[..., :1], 3, axis=2))


def test_one_bit_and_palette(tmp_path: Path, scenery: ByteArray) -> None:
    Image.fromarray(scenery[..., 0]).convert("1").save(tmp_path / "bits.png")
    assert set(np.unique(load_photo(tmp_path / "bits.png").pixels)) <= {0, 255}
    palette = Image.fromarray(scenery).quantize(64)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(load_photo(tmp_path / "palette.png").pixels, np.asarray(palette.convert("RGB")))


def test_sixteen_bits_are_scaled(tmp_path: Path, scenery: ByteArray) -> None:
    import cv2

    deep = scenery.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "gray.png"), deep[..., 0])
    cv2.imwrite(str(tmp_path / "gray.tiff"), deep[..., 0])
    cv2.imwrite(str(tmp_path / "colour.png"), deep[..., ::-1])
    for name in ("gray.png", "gray.tiff"):
        assert np.array_equal(load_photo(tmp_path / name).pixels[..., 0], scenery[..., 0])
    assert np.array_equal(load_photo(tmp_path / "colour.png").pixels, scenery)


def test_sixteen_bit_values_between_are_within_one_level(tmp_path: Path) -> None:
    import cv2

    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    cv2.imwrite(str(tmp_path / "gray.png"), ramp)
    cv2.imwrite(str(tmp_path / "colour.png"), np.dstack([ramp] * 3))
    exact = ramp / 257
    assert np.abs(load_photo(tmp_path / "gray.png").pixels[..., 0] - exact).max() <= 0.5
    assert np.abs(load_photo(tmp_path / "colour.png").pixels[..., 0] - exact).max() <= 1


def test_float_tiff(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 32 * 32, dtype=np.float32).reshape(32, 32)
    Image.fromarray(ramp).save(tmp_path / "float.tiff")
    assert np.array_equal(load_photo(tmp_path / "float.tiff").pixels[..., 0], np.rint(ramp * 255))
    for bad, says in ((np.nan, "NaN"), (7.0, "from 0 to 7")):
        ramp[3, 3] = bad
        Image.fromarray(ramp).save(tmp_path / "bad.tiff")
        assert says in refusal(tmp_path / "bad.tiff").why


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "cmyk.jpg"
    Image.new("CMYK", (32, 32), (255, 0, 0, 0)).save(path, quality=95)
    r, g, b = load_photo(path).pixels[16, 16]
    assert r < 40 and g > 200 and b > 200


def test_alpha_lies_over_white_and_is_kept(tmp_path: Path, scenery: ByteArray) -> None:
    alpha = np.full(scenery.shape[:2], 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 128
    path = tmp_path / "alpha.png"
    Image.fromarray(np.dstack([scenery, alpha])).save(path)
    photo = load_photo(path)
    assert photo.alpha is not None and np.array_equal(photo.alpha, alpha)
    assert (photo.pixels[:10] == 255).all()
    half = (scenery[10:20].astype(float) * 128 + 255 * 127) / 255
    assert np.abs(photo.pixels[10:20] - half).max() <= 0.51
    assert np.array_equal(photo.pixels[20:], scenery[20:])


def test_opaque_alpha_is_dropped(tmp_path: Path, scenery: ByteArray) -> None:
    path = tmp_path / "alpha.png"
    Image.fromarray(scenery).convert("RGBA").save(path)
    photo = load_photo(path)
    assert photo.alpha is None and np.array_equal(photo.pixels, scenery)


def swapped_profile() -> bytes:
    """The sRGB profile with its red and blue primaries exchanged, so that conversion exchanges channels."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(data[131])}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def test_embedded_profile_is_converted_to_srgb(tmp_path: Path, scenery: ByteArray) -> None:
    path = tmp_path / "swapped.png"
    Image.fromarray(scenery).save(path, icc_profile=swapped_profile())
    error = np.abs(load_photo(path).pixels.astype(int) - scenery[..., ::-1])
    assert error.max() <= 2


def test_srgb_profile_leaves_the_pixels_alone(tmp_path: Path, scenery: ByteArray) -> None:
    path = tmp_path / "srgb.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(scenery).save(path, icc_profile=profile)
    assert np.array_equal(load_photo(path).pixels, scenery)


def test_broken_profile_is_ignored(
    tmp_path: Path, scenery: ByteArray, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "broken.png"
    Image.fromarray(scenery).save(path, icc_profile=b"nonsense" * 20)
    assert np.array_equal(load_photo(path).pixels, scenery)
    assert "colour profile" in caplog.text


def test_from_array(scenery: ByteArray) -> None:
    assert np.array_equal(Photo.from_array(scenery).pixels, scenery)
    assert np.array_equal(Photo.from_array(scenery / np.float32(255)).pixels, scenery)
    assert np.array_equal(Photo.from_array(scenery.astype(np.uint16) * 257).pixels, scenery)
    assert Photo.from_array(scenery[..., 0]).gray
    assert not np.shares_memory(Photo.from_array(scenery).pixels, scenery)
    rgba = np.dstack([scenery, np.full(scenery.shape[:2], 7, np.uint8)])
    alpha = Photo.from_array(rgba).alpha
    assert alpha is not None and (alpha == 7).all()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((32, 32, 2), np.uint8), "shape"),
        (np.zeros((32,), np.uint8), "shape"),
        (np.zeros((0, 32, 3), np.uint8), "shape"),
        (np.zeros((32, 32, 3), np.int32), "int32"),
        (np.full((32, 32, 3), np.nan), "NaN"),
        (np.full((32, 32, 3), 200.0), "from 200 to 200"),
        (np.zeros((8, 32, 3), np.uint8), "32x8"),
    ],
)
def test_from_array_refuses(array: np.ndarray, says: str) -> None:
    with pytest.raises(StillflowError) as caught:
        Photo.from_array(array)
    assert says in caught.value.why


def test_fitted(scenery: ByteArray) -> None:
    photo = Photo.from_array(scenery)
    assert photo.fitted(None) is photo and photo.fitted(128) is photo and photo.fitted(4000) is photo
    small = photo.fitted(64)
    assert (small.width, small.height) == (64, 48)
    blocks = scenery.reshape(48, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(small.pixels - blocks).max() <= 1
    for size, says in ((8, "16"), (20, "20x15")):
        with pytest.raises(StillflowError) as caught:
            photo.fitted(size)
        assert says in caught.value.why


def test_read_gray_takes_transparent_for_black(tmp_path: Path) -> None:
    rgba = np.full((4, 6, 4), 255, np.uint8)
    rgba[:2, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "mask.png")
    plane = read_gray(tmp_path / "mask.png")
    assert plane.shape == (4, 6) and (plane[:2] == 0).all() and (plane[2:] == 255).all()
