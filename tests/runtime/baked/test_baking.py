# SPDX-License-Identifier: Apache-2.0
"""From a photo to a file: which bytes the photo becomes, and that the live loop and the file are one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.animator import Animator
from stillflow.baked.baking import BYTES_A_PIXEL, Baking, Wishes, bake, own_jpeg
from stillflow.baked.reader import decode_baked
from stillflow.photo import Photo, load_photo

from ..scenes import textured

pytestmark = pytest.mark.usefixtures("default_bundle")


@pytest.fixture(scope="module")
def animator() -> Iterator[Animator]:
    with Animator(device="cpu") as made:
        yield made


@pytest.fixture(scope="module")
def small_photo(sample_photo: Path) -> Photo:
    return load_photo(sample_photo).fitted(256)


def plays_as_live(made: Baking) -> None:
    baked = decode_baked(made.data)
    live = made.loop
    assert (baked.scene.frames, baked.scene.fps) == (len(live), live.fps)
    for index in range(0, len(live), 3):
        assert np.array_equal(baked.scene.frame(index), live.frame(index))
    assert (live.frame(5) != live.frame(0)).any()


def test_a_photo_over_its_budget_is_compressed_before_it_is_animated(
    animator: Animator, small_photo: Photo
) -> None:
    made = bake(animator, small_photo, seconds=1, fps=12)
    assert made.photo.startswith("JPEG of quality ")
    assert 88 <= int(made.photo.split()[-1]) <= 95
    assert made.psnr is not None and made.psnr > 35
    assert len(made.data) <= BYTES_A_PIXEL * small_photo.width * small_photo.height
    assert made.sizes[0][:2] == ("photo", "jpeg")
    assert not np.array_equal(made.loop.frame(0), small_photo.pixels)
    plays_as_live(made)


@pytest.mark.parametrize(("wishes", "held"), [(Wishes(lossless=True), "webp"), (Wishes(raw=True), "raw")])
def test_every_pixel_is_kept_when_that_is_asked_for(
    animator: Animator, small_photo: Photo, wishes: Wishes, held: str
) -> None:
    made = bake(animator, small_photo, wishes=wishes, seconds=1, fps=12)
    assert made.psnr is None
    assert made.sizes[0][:2] == ("photo", held)
    assert np.array_equal(decode_baked(made.data).scene.frame(0), small_photo.pixels)
    plays_as_live(made)


def test_a_photo_keeps_its_own_jpeg(animator: Animator, small_photo: Photo, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    Image.fromarray(small_photo.pixels).save(path, quality=80, exif=exif)
    made = bake(animator, load_photo(path), wishes=Wishes(alt="A fall", credit="N. N."), seconds=1, fps=12)
    assert made.photo == "its own JPEG"
    assert b"secret" not in made.data
    assert made.sizes[0][2] == len(own_jpeg(load_photo(path)) or b"")
    plays_as_live(made)
    about = decode_baked(made.data).about
    assert (about["synthetic"], about["alt"], about["credit"], about["bundle"]) == (
        True,
        "A fall",
        "N. N.",
        "edge",
    )
    assert str(tmp_path).encode() not in made.data
    assert set(about["runs"]) <= {"velocity", "matte", "sway", "light", "plate", "blend"}
    assert made.save(tmp_path / "it.sflow") == len(made.data) == (tmp_path / "it.sflow").stat().st_size


def jpeg_file(path: Path, **options: object) -> Path:
    Image.fromarray(textured(48, 64)).save(path, "JPEG", **options)
    return path


def test_whose_jpeg_is_its_own(tmp_path: Path) -> None:
    plain = load_photo(jpeg_file(tmp_path / "plain.jpg", quality=90))
    data = own_jpeg(plain)
    assert data is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), plain.pixels)
    assert own_jpeg(plain.fitted(32)) is None, "it was scaled"
    turned = Image.Exif()
    turned[0x0112] = 3
    assert own_jpeg(load_photo(jpeg_file(tmp_path / "turned.jpg", exif=turned))) is None
    Image.fromarray(textured(48, 64)).convert("CMYK").save(tmp_path / "ink.jpg")
    assert own_jpeg(load_photo(tmp_path / "ink.jpg")) is None
    Image.fromarray(textured(48, 64)).save(tmp_path / "photo.png")
    assert own_jpeg(load_photo(tmp_path / "photo.png")) is None
    assert own_jpeg(Photo.from_array(plain.pixels)) is None
    gone = load_photo(jpeg_file(tmp_path / "gone.jpg"))
    (tmp_path / "gone.jpg").unlink()
    assert own_jpeg(gone) is None
