# SPDX-License-Identifier: Apache-2.0
"""Guidance: what is accepted, what it becomes at the photo's size, what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stillflow.errors import StillflowError
from stillflow.guidance import Arrow, Guidance

fraction = st.floats(0, 1)


def test_arrow_is_parsed() -> None:
    assert Arrow.parse("0.5,0.2, 0.5 ,0.6") == Arrow(0.5, 0.2, 0.5, 0.6, 2.0)
    assert Arrow.parse("0,0,1,1,3") == Arrow(0, 0, 1, 1, 3)


def test_arrow_velocity_is_in_widths_a_second() -> None:
    vx, vy = Arrow(0.1, 0.2, 0.3, 0.6, 4).velocity(0.5)
    assert math.isclose(vx, 0.05) and math.isclose(vy, 0.05)


@given(fraction, fraction, fraction, fraction, st.floats(0.5, 100))
def test_any_arrow_is_accepted_or_refused_clearly(
    x0: float, y0: float, x1: float, y1: float, s: float
) -> None:
    try:
        arrow = Arrow.parse(f"{x0!r},{y0!r},{x1!r},{y1!r},{s!r}")
    except StillflowError as error:
        assert math.hypot(x1 - x0, y1 - y0) < 1e-4 and "no length" in error.why
        return
    assert np.isfinite(arrow.velocity(0.75)).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.1,0.2,0.3", "3 numbers"),
        ("0.1,0.2,0.3,0.4,1,2", "6 numbers"),
        ("", "1 numbers"),
        ("0.1,0.2,x,0.4", "'x' is not a number"),
        ("0.5,0.5,0.5,0.5", "no length"),
        ("0.1,0.2,1.2,0.4", "outside the picture"),
        ("-0.1,0.2,0.2,0.4", "outside the picture"),
        ("640,360,640,500", "looks like pixels"),
        ("nan,0.2,0.3,0.4", "nan"),
        ("0.1,0.2,inf,0.4", "inf"),
        ("0.1,0.2,0.3,0.4,nan", "nan"),
        ("0.1,0.2,0.3,0.4,0", "0 seconds"),
        ("0.1,0.2,0.3,0.4,-1", "-1 seconds"),
        ("0,0,1,1,0.01", "pictures a second"),
    ],
)
def test_bad_arrows_are_refused(text: str, says: str) -> None:
    with pytest.raises(StillflowError) as caught:
        Arrow.parse(text)
    assert says in caught.value.why and "arrow" in caught.value.what and caught.value.fix


@pytest.mark.parametrize("strength", [-0.1, 3.1, math.nan, math.inf])
def test_strength_out_of_range(strength: float) -> None:
    with pytest.raises(StillflowError, match="strength"):
        Guidance(strength=strength)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(StillflowError, match="seed"):
        Guidance(seed=seed)


def test_nothing_said() -> None:
    hints = Guidance().resolve(48, 64)
    assert (hints.mask, hints.still, hints.arrows, hints.strength, hints.seed) == (None, None, (), 1.0, 0)
    assert not hints.guided


def test_mask_file_is_brought_to_size(tmp_path: Path) -> None:
    mask = np.zeros((24, 32), np.uint8)
    mask[:, 16:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    hints = Guidance(mask=tmp_path / "mask.png").resolve(96, 128)
    assert hints.guided and hints.mask is not None
    assert hints.mask.shape == (96, 128) and hints.mask.dtype == np.float32
    assert hints.mask[:, :60].max() == 0 and hints.mask[:, 68:].min() == 1


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float32, np.float64])
def test_mask_array(dtype: type) -> None:
    mask = np.zeros((48, 64), dtype)
    mask[10:20] = 255 if dtype is np.uint8 else 1
    hints = Guidance(mask=mask).resolve(48, 64)
    assert hints.mask is not None and np.array_equal(hints.mask > 0.5, mask > 0)


def test_thin_strokes_survive_shrinking() -> None:
    mask = np.zeros((480, 640), np.uint8)
    mask[:, 320:322] = 255
    mask[:100] = 255
    hints = Guidance(mask=mask).resolve(48, 64)
    assert hints.mask is not None and (hints.mask[20:].max(axis=1) > 0.15).all()


@pytest.mark.parametrize("shape", [(64, 48), (48, 66), (50, 64)])
def test_another_aspect_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.fromarray(np.full(shape, 255, np.uint8)).save(tmp_path / "mask.png")
    for guidance in (Guidance(mask=tmp_path / "mask.png"), Guidance(still=tmp_path / "mask.png")):
        with pytest.raises(StillflowError) as caught:
            guidance.resolve(48, 64)
        assert "another shape than the photo's 64x48" in caught.value.why
        assert "mask.png" in caught.value.what


def test_rounded_aspect_is_accepted() -> None:
    assert Guidance(mask=np.ones((135, 240), bool)).resolve(853, 1516).mask is not None


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.full((48, 64), np.nan), "NaN"),
        (np.full((48, 64), 2.0), "from 2 to 2"),
        (np.zeros((48, 64), bool), "black all over"),
        (np.zeros((48, 64), np.int64), "int64"),
        (np.zeros((48, 64, 2), np.uint8), "shape"),
        (np.zeros((0, 64), np.uint8), "shape"),
    ],
)
def test_bad_mask_arrays(mask: np.ndarray, says: str) -> None:
    with pytest.raises(StillflowError) as caught:
        Guidance(mask=mask).resolve(48, 64)
    assert says in caught.value.why


def test_still_may_not_cover_all_that_moves() -> None:
    mask = np.zeros((48, 64), bool)
    mask[:20] = True
    still = np.zeros((48, 64), bool)
    still[:24] = True
    assert Guidance(still=still).resolve(48, 64).still is not None
    for guidance in (Guidance(mask=mask, still=still), Guidance(still=np.ones((48, 64), bool))):
        with pytest.raises(StillflowError, match="covers everything"):
            guidance.resolve(48, 64)


@pytest.mark.parametrize("name", ["missing", "empty", "text", "truncated", "folder", "bomb"])
def test_bad_mask_files(bad_pictures: dict[str, Path], name: str) -> None:
    with pytest.raises(StillflowError) as caught:
        Guidance(mask=bad_pictures[name]).resolve(48, 64)
    assert bad_pictures[name].name in caught.value.what
