# SPDX-License-Identifier: Apache-2.0
"""Frames of the shaders beside those of Python: a baked scene plays the same in a browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stillflow.animator import Animator
from stillflow.baked.baking import bake
from stillflow.baked.layout import Encoding
from stillflow.baked.reader import decode_baked
from stillflow.baked.writer import assemble, parts, photo_part
from stillflow.field_steps import rounded
from stillflow.kernels.arrays import SceneArrays
from stillflow.kernels.reference import low_pass
from stillflow.photo import load_photo

from ..scenes import random_arrays, textured
from .chromium import Page

LEAST_PSNR = 40.0
"""Decibels in every frame. 68 and more were found, with no channel off by more than 1."""

MOST_LEVELS = 2
"""Grey levels between a browser's channel and Python's."""


def smooth(field: np.ndarray, scale: float) -> np.ndarray:
    """Noise of one size that a motion has: its neighbours are alike."""
    import cv2

    soft = cv2.GaussianBlur(field, (0, 0), 4, borderType=cv2.BORDER_REFLECT)
    return np.asarray(scale * soft / (np.abs(soft).max() + 1e-6), np.float32)


def full_arrays(seed: int, height: int, width: int) -> SceneArrays:
    """A scene with everything: two layers that flow, cycles that differ, a plate, sway, light, blend, a soft matte."""
    rng = np.random.default_rng(seed)
    made = random_arrays(rng, height, width, harmonics=3, blend=True, lights=2)
    h, w = made.flow.shape
    left = np.broadcast_to(np.arange(w) < w // 2, (h, w))
    flow = np.where(np.arange(h)[:, None] < h // 3, np.where(left, 1, 2), np.where(left, 0, 2)).astype(
        np.uint8
    )
    plate = np.where(made.matte[..., None] > 0, made.photo, textured(height, width, 99))
    fields = {
        "velocity": smooth(rng.standard_normal((h, w, 2)).astype(np.float32), 0.3),
        "sway": np.stack([smooth(rng.standard_normal((h, w, 4)).astype(np.float32), 0.4) for _ in range(3)]),
        "light": np.stack([smooth(rng.standard_normal((h, w, 2)).astype(np.float32), 0.1) for _ in range(2)]),
        "blend": smooth(rng.standard_normal((h, w, 2)).astype(np.float32), 1.0),
        "inside": (0.5 + smooth(rng.standard_normal((h, w)).astype(np.float32), 0.5)).astype(np.float32),
    }
    near = {name: rounded(name, field, 24) for name, field in fields.items()}
    cycles = np.where(flow == 2, 3, 1).astype(np.uint8)
    return replace(made, frames=24, flow=flow, cycles=cycles, plate=plate, low=low_pass(plate), **near)


def file_of(arrays: SceneArrays, encoding: Encoding | None = None) -> bytes:
    raw = encoding is Encoding.RAW
    return assemble(arrays, 12.0, [photo_part(encoding, arrays.photo), *parts(arrays, raw=raw)])


@pytest.fixture(scope="module")
def scenes(source_tree: Path, sample_photo: Path, default_bundle: Path) -> dict[str, bytes]:
    """Name -> the bytes of a file."""
    full, odd = full_arrays(1, 90, 131), full_arrays(2, 21, 34)
    still = replace(random_arrays(np.random.default_rng(3), 3, 1, harmonics=0, blend=False), frames=7)
    with Animator(default_bundle, device="cpu") as animator:
        made = bake(animator, load_photo(sample_photo).fitted(480))
    return {
        "golden": (source_tree / "tests" / "data" / "baked" / "falls-1.0.sflow").read_bytes(),
        "full": file_of(full),
        "raw": file_of(full, Encoding.RAW),
        "png": file_of(odd, Encoding.PNG),
        "jpeg": file_of(odd, Encoding.JPEG),
        "one cell": file_of(still),
        "waterfall": made.data,
    }


def frame_of(page: Page, t: float, height: int, width: int) -> np.ndarray:
    pixels = np.frombuffer(base64.b64decode(page.run(f"bytesOf({t!r})")), np.uint8).reshape(height, width, 4)
    assert (pixels[..., 3] == 255).all()
    return pixels[..., :3].astype(int)


@pytest.mark.parametrize("name", ["golden", "full", "raw", "png", "jpeg", "one cell", "waterfall"])
def test_frames_are_those_of_python(
    name: str, scenes: dict[str, bytes], opened: Callable[..., Page], served: tuple[Path, str]
) -> None:
    file = f"{name.replace(' ', '-')}.sflow"
    (served[0] / file).write_bytes(scenes[name])
    page = opened(f'<living-photo src="{file}" paused></living-photo>')
    page.until("told.length && it.still === ''")
    assert page.run("told[0].name") == "ready"
    page.until("it.shadowRoot.querySelector('canvas[part=frame]:not([hidden])')")
    scene = decode_baked(scenes[name]).scene
    n, unmoved = scene.frames, scene.arrays.matte == 0
    photo, moved = scene.arrays.photo.astype(int), 0
    times = (0.0, 0.37, n / 2, n - 0.5, -3.3, 1000.0 * n + 2.25)
    for t in times:
        found, expected = frame_of(page, t, scene.height, scene.width), scene.frame(t).astype(int)
        off = np.abs(found - expected)
        assert off.max() <= MOST_LEVELS, (t, int(off.max()))
        assert not off.any() or 10 * np.log10(255**2 / np.mean(off**2)) >= LEAST_PSNR, t
        assert np.array_equal(found[unmoved], photo[unmoved]), t
        moved = max(moved, int(np.abs(found - photo).max()))
    assert name == "one cell" or moved > 20, "something moves"


def test_the_canvas_shows_the_frame(
    scenes: dict[str, bytes], opened: Callable[..., Page], served: tuple[Path, str]
) -> None:
    (served[0] / "full.sflow").write_bytes(scenes["full"])
    page = opened('<living-photo src="full.sflow" paused style="position:fixed;left:0;top:0"></living-photo>')
    page.until("it.shadowRoot.querySelector('canvas[part=frame]:not([hidden])')")
    scene = decode_baked(scenes["full"]).scene
    assert page.run("[it.clientWidth, it.clientHeight]") == [scene.width, scene.height]
    for seconds in (0.0, 0.7):
        page.run(
            f"it.time = {seconds}; new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        clip = {"x": 0, "y": 0, "width": scene.width, "height": scene.height, "scale": 1}
        shot = page.call("Page.captureScreenshot", format="png", clip=clip)["data"]
        seen = decoded(base64.b64decode(shot))
        assert np.abs(seen - scene.frame(12 * seconds)).max() <= MOST_LEVELS, seconds


def test_a_small_canvas_is_drawn_small_and_smooth(
    scenes: dict[str, bytes], opened: Callable[..., Page], served: tuple[Path, str]
) -> None:
    import cv2

    (served[0] / "full.sflow").write_bytes(scenes["full"])
    page = opened('<living-photo src="full.sflow" paused style="width:33px"></living-photo>')
    page.until("it.shadowRoot.querySelector('canvas[part=frame]:not([hidden])')")
    sides = json.loads(
        page.run("{const c = it.shadowRoot.querySelector('[part=frame]'); `[${c.width},${c.height}]`}")
    )
    scene = decode_baked(scenes["full"]).scene
    assert sides == [33, 23]
    shot = page.call(
        "Page.captureScreenshot",
        format="png",
        clip=dict(
            page.run("(({x, y}) => ({x, y}))(it.getBoundingClientRect())"), width=33, height=23, scale=1
        ),
    )
    seen = decoded(base64.b64decode(shot["data"]))
    means = cv2.resize(scene.frame(0), (33, 23), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(seen - means)[1:-1, 1:-1].mean() < 12


def decoded(data: bytes) -> np.ndarray:
    import cv2

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture[..., ::-1].astype(int)
