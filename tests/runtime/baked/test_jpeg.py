# SPDX-License-Identifier: Apache-2.0
"""JPEG markers: what may be in a scene, and what is left of a photo's file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stillflow.baked.jpeg import JFIF, Frame, cleaned, frame_of

from ..scenes import textured


def scene_jpeg(mode: str = "RGB", **options: Any) -> bytes:
    """With nothing but JFIF's mark before the picture."""
    return cleaned(jpeg(mode, **options))


def jpeg(mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(textured(24, 40)).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}]
)
def test_frames_of_every_kind_that_is_taken(options: dict[str, Any]) -> None:
    assert frame_of(jpeg(**options)) == Frame(40, 24, 3)
    assert frame_of(jpeg("L")) == Frame(40, 24, 1)
    assert frame_of(jpeg(restart_marker_blocks=1)) == Frame(40, 24, 3)


def test_cleaning_leaves_the_picture_and_nothing_else() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a secret place", 6
    data = jpeg(exif=exif, comment=b"a secret name", icc_profile=b"x" * 99, restart_marker_blocks=2)
    clean = cleaned(data + b"a secret appendix")
    assert b"secret" in data and b"Exif" in data
    assert b"secret" not in clean and b"Exif" not in clean and b"xxx" not in clean
    assert clean.startswith(b"\xff\xd8" + JFIF) and clean.count(b"JFIF") == 1
    assert np.array_equal(pixels(clean), pixels(data))
    assert cleaned(clean) == clean


def test_fill_bytes_before_a_marker_are_dropped() -> None:
    data = jpeg()
    assert cleaned(data[:2] + b"\xff\xff" + data[2:]) == cleaned(data)


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    """Behind the JFIF mark."""
    return data[:20] + bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content + data[20:]


@pytest.mark.parametrize("marker", [0x01, 0xBF, 0xC8, 0xCC, 0xD8, 0xDC, 0xDE, 0xF0, 0xFD])
def test_segments_that_no_picture_needs_hide_nothing(marker: int) -> None:
    """DNL, for one, is passed over by decoders whatever it holds."""
    for look in (frame_of, cleaned):
        with pytest.raises(ValueError, match="damaged"):
            look(with_segment(scene_jpeg(), marker, b"a secret place"))


def test_three_components_are_luma_and_chroma_whatever_an_adobe_mark_says() -> None:
    data = scene_jpeg(subsampling=0)
    marked = with_segment(data, 0xEE, b"Adobe\0\x64\0\0\0\0\0")
    assert frame_of(marked) == Frame(40, 24, 3)
    assert np.array_equal(pixels(marked), pixels(data))
    with pytest.raises(ValueError, match="does not begin with a JFIF mark"):
        frame_of(data[:2] + data[20:])


def test_something_behind_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="goes on after its end"):
        frame_of(scene_jpeg() + b"\0")


@pytest.mark.parametrize("mode", ["CMYK"])
def test_other_colours_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="neither gray nor"):
        frame_of(jpeg(mode))


@pytest.mark.parametrize("marker", [0xC1, 0xC3, 0xC9])
def test_other_frames_are_refused(marker: int) -> None:
    with pytest.raises(ValueError, match="neither baseline nor progressive"):
        frame_of(jpeg().replace(b"\xff\xc0", bytes([0xFF, marker])))


def test_other_bits_and_samplings_are_refused() -> None:
    data = jpeg(subsampling=2)
    at = data.index(b"\xff\xc0")
    for place, value in ((4, 12), (5, 0), (11, 0x12), (11, 0x41)):
        other = bytearray(data)
        other[at + place] = value
        if place == 5:
            other[at + 6] = 0
        with pytest.raises(ValueError, match="JPEG"):
            frame_of(bytes(other))


def test_cut_short_anywhere_it_is_refused() -> None:
    data = jpeg(progressive=True)
    for cut in range(len(data)):
        with pytest.raises(ValueError, match="JPEG"):
            cleaned(data[:cut])
