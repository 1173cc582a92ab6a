# SPDX-License-Identifier: Apache-2.0
"""Opening pictures of unknown origin: what is refused, why, and that nothing else ever escapes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray
from stillflow.photo import load_photo


def refusal(path: Path, **options: int) -> StillflowError:
    with pytest.raises(StillflowError) as caught:
        load_photo(path, **options)
    assert caught.value.what and caught.value.why and caught.value.fix
    assert path.name in caught.value.what
    return caught.value


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "no such file"),
        ("empty", "empty"),
        ("text", "not those of a picture"),
        ("truncated", "damaged or cut short"),
        ("head_only", "damaged or cut short"),
        ("folder", "it is a folder"),
        ("one_pixel", "1x1"),
        ("narrow", "15x400"),
        ("bomb", "900,000,000 pixels"),
    ],
)
def test_bad_picture_is_refused_with_its_reason(bad_pictures: dict[str, Path], name: str, says: str) -> None:
    assert says in refusal(bad_pictures[name]).why


def test_bomb_is_refused_before_decoding(png_bomb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(self: Image.Image) -> None:
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    assert "120,000,000" in refusal(png_bomb).why


def test_limit_on_pixels_is_the_callers(photo_file: Path) -> None:
    assert "128x96, 12,288 pixels; the limit is 12,000" in refusal(photo_file, max_pixels=12_000).why
    assert load_photo(photo_file, max_pixels=128 * 96).width == 128


@pytest.mark.parametrize(
    ("head", "says", "suffix"),
    [
        (b"%PDF-1.7 ...", "PDF", ".jpg"),
        (b'<?xml version="1.0"?>\n<svg xmlns="">', "SVG", ".png"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video", ".jpg"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", ".heic"),
        (b"PK\x03\x04....", "an archive", ".png"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript", ".eps"),
        (b"II*\0....", "camera raw", ".cr2"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path: Path, head: bytes, says: str, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(head)
    error = refusal(path)
    if says == "HEIC" and "damaged" in error.why:
        pytest.skip("pillow-heif is installed, so HEIC is read")
    assert says in error.why


def test_device_is_refused() -> None:
    assert "not a file" in refusal(Path("/dev/null")).why


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tiff"])
def test_first_frame_of_many(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (32, 24), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    path = tmp_path / f"many{suffix}"
    frames[0].save(
        path, save_all=True, append_images=frames[1:], **({"lossless": True} if suffix == ".webp" else {})
    )
    assert tuple(load_photo(path).pixels[12, 16]) == (200, 0, 0)


def test_truncated_jpeg(tmp_path: Path, scenery: ByteArray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(scenery).save(buffer, "JPEG", quality=95)
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3])
    assert "cut short" in refusal(path).why


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".gif", ".bmp"])
def test_flipped_and_cut_bytes_never_escape_as_another_error(
    tmp_path: Path, scenery: ByteArray, suffix: str
) -> None:
    sound = tmp_path / f"sound{suffix}"
    Image.fromarray(scenery).save(sound)
    data = sound.read_bytes()
    rng = np.random.default_rng(5)
    path = tmp_path / f"fuzzed{suffix}"
    for trial in range(60):
        mangled = bytearray(data)
        for at in rng.integers(0, min(len(data), 600), 1 + trial % 8):
            mangled[at] = int(rng.integers(0, 256))
        path.write_bytes(bytes(mangled[: int(rng.integers(1, len(data) + 1))] if trial % 3 == 0 else mangled))
        try:
            load_photo(path, max_pixels=4_000_000)
        except StillflowError as error:
            assert error.why and error.fix
