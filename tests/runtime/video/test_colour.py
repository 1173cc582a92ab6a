# SPDX-License-Identifier: Apache-2.0
"""BT.709 against its definition in floating point."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.video.colour import nv12, nv12_shape, nv12_video_frame, padded_to_even, video_frame


def exact(rgb: np.ndarray) -> np.ndarray:
    """Y', Cb, Cr by ITU-R BT.709-6 and its 8-bit quantisation, unrounded."""
    r, g, b = (rgb[..., k] / 255.0 for k in range(3))
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return np.stack(
        [219 * luma + 16, 224 * (b - luma) / 1.8556 + 128, 224 * (r - luma) / 1.5748 + 128], axis=-1
    )


def planes(frame: object, width: int, height: int) -> list[np.ndarray]:
    found = []
    for k, plane in enumerate(frame.planes):  # type: ignore[attr-defined]
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        if k in {0, 3}:
            assert rows.shape == (height, width)
        found.append(rows)
    return found


@pytest.mark.parametrize(("height", "width"), [(2, 2), (20, 34), (21, 33), (1, 1), (3, 2), (16, 2)])
def test_agrees_with_the_definition(height: int, width: int) -> None:
    rgb = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    wanted = exact(padded_to_even(rgb).astype(float))
    luma, cb, cr = planes(video_frame(rgb), width, height)
    assert np.abs(luma - wanted[:height, :width, 0]).max() <= 1
    wider = np.concatenate([wanted[:, :1], wanted], axis=1)  # the column before the first is the first
    columns = (wider[:, 0:-1:2] + 2 * wider[:, 1::2][:, : wanted.shape[1] // 2] + 0) / 4
    columns = columns + np.concatenate([wanted, wanted[:, -1:]], axis=1)[:, 1::2][:, : columns.shape[1]] / 4
    chroma = (columns[0::2] + columns[1::2]) / 2
    assert np.abs(cb - chroma[..., 1]).max() <= 2
    assert np.abs(cr - chroma[..., 2]).max() <= 2
    assert abs(float((cb - chroma[..., 1]).mean())) < 0.6


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (0, 0, 255)])
def test_flat_colours(colour: tuple[int, int, int]) -> None:
    rgb = np.full((8, 8, 3), colour, np.uint8)
    wanted = exact(rgb[0, 0].astype(float))
    for plane, value in zip(planes(video_frame(rgb), 8, 8), wanted, strict=True):
        assert np.abs(plane.astype(float) - value).max() <= 1.0


def test_gray_has_no_colour() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(2, axis=0)
    _, cb, cr = planes(video_frame(ramp), 256, 2)
    assert (cb == 128).all() and (cr == 128).all()


def test_alpha_is_copied() -> None:
    matte = np.arange(35, dtype=np.uint8).reshape(5, 7)
    found = planes(video_frame(np.zeros((5, 7, 3), np.uint8), matte), 7, 5)
    assert (found[3] == matte).all()


def test_padding_repeats_the_edge() -> None:
    picture = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    padded = padded_to_even(picture)
    assert padded.shape == (4, 4, 3)
    assert (padded[:3, 3] == picture[:, 2]).all() and (padded[3, :3] == picture[2]).all()
    even = np.zeros((2, 4, 3), np.uint8)
    assert padded_to_even(even) is even


@pytest.mark.parametrize(("height", "width"), [(2, 2), (20, 34), (21, 33), (1, 1), (17, 16)])
def test_nv12_holds_the_same_samples(height: int, width: int) -> None:
    rgb = np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)
    even = padded_to_even(rgb)
    rows, columns = even.shape[:2]
    luma, cb, cr = planes(video_frame(even), columns, rows)
    found = nv12(rgb)
    assert found.shape == nv12_shape(height, width) == (rows * 3 // 2, columns)
    assert (found[:rows] == luma).all()
    chroma = found[rows:].reshape(rows // 2, columns // 2, 2)
    assert (chroma[..., 0] == cb).all() and (chroma[..., 1] == cr).all()
    assert nv12(rgb, found) is found
    with pytest.raises(ValueError, match="shape"):
        nv12(rgb, np.empty((1, 1), np.uint8))


@pytest.mark.parametrize(("height", "width"), [(2, 2), (20, 34), (64, 100)])
def test_nv12_video_frame_is_a_copy(height: int, width: int) -> None:
    made = nv12(np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8))
    frame = nv12_video_frame(made)
    kept = made.copy()
    made[:] = 0
    assert (frame.format.name, frame.width, frame.height) == ("nv12", width, height)
    assert (frame.to_ndarray() == kept).all()
