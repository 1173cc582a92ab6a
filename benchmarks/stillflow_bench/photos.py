# SPDX-License-Identifier: Apache-2.0
"""The photos that the suites measure on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stillflow.kernels.arrays import field_shape
from stillflow.motion import CLASS_NAMES, Motion
from stillflow.photo import Photo, load_photo
from stillflow.scene import Scene, build_scene

SAMPLES = ("waterfall", "smoke", "fog", "coffee")
"""Stems in samples/ of the source tree; coffee has nothing that moves."""

DATA_PHOTOS = (
    "waterfall_rock_garden",
    "waterfall_forest_rapids",
    "water_kamikochi_river",
    "cloud_sunset_mountains",
    "water_vieste_splash",
    "portrait_woman_garden_kodim18",
    "painting_lady_agnew",
    "static_casa_mila",
)
"""Stems of photos beside the source tree: two waterfalls, a river, clouds, the sea, a person, a painting, stone.
All are held back from training."""

SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
"""Name -> (width, height)."""


def sample_photos() -> tuple[Path, ...]:
    """Return the sample photos of the source tree; none when the package is installed without one."""
    folder = Path(__file__).resolve().parents[2] / "samples"
    return tuple(path for stem in SAMPLES if (path := folder / f"{stem}.jpg").is_file())


def data_photos(folder: Path) -> tuple[Path, ...]:
    """Return those of DATA_PHOTOS that lie in a folder of photos; none when there is no such folder."""
    return tuple(path for stem in DATA_PHOTOS if (path := folder / f"{stem}.jpg").is_file())


def scenery(width: int, height: int) -> Photo:
    """Make a picture without any file: hills, a textured river through them, a sky; the same every time."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    river = np.abs(x - 0.5 - 0.15 * np.sin(5 * y)) < 0.06 + 0.25 * np.maximum(y - 0.35, 0)
    noise = cv2.resize(
        rng.normal(0, 1, (height // 3, width // 3)).astype(np.float32), (width, height)
    ) + rng.normal(0, 0.5, (height, width)).astype(np.float32)
    base = np.where(
        (y < 0.35)[..., None], (150, 180, 225), np.where(river[..., None], (80, 120, 140), (70, 95, 50))
    )
    pixels = base + (noise * np.where(river, 30, 8) * (y >= 0.35))[..., None]
    return Photo.from_array(np.clip(pixels, 0, 255).astype(np.uint8))


def of_size(source: Path | None, width: int, height: int) -> Photo:
    """Return a photo of exactly that size: the source scaled to cover it and cut in the middle.

    Args:
        source: a picture file; None takes ``scenery``.
        width: pixels.
        height: pixels.
    """
    if source is None:
        return scenery(width, height)
    pixels = load_photo(source).pixels
    scale = max(width / pixels.shape[1], height / pixels.shape[0])
    size = (max(width, round(pixels.shape[1] * scale)), max(height, round(pixels.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    grown = cv2.resize(pixels, size, interpolation=method)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return Photo.from_array(np.ascontiguousarray(grown[top : top + height, left : left + width]))


def write_photo(photo: Photo, path: Path) -> Path:
    """Save a photo as JPEG at quality 95, as a camera would hand it over."""
    from PIL import Image

    Image.fromarray(photo.pixels).save(path, quality=95)
    return path


def falling_column(photo: Photo, share: float, *, seconds: float, fps: float) -> Scene:
    """Make a scene in which a column in the middle, a given share of the picture, falls 0.06 widths a second."""
    h, w = field_shape(photo.height, photo.width)
    matte = np.zeros((h, w), np.float32)
    matte[:, round(w * (1 - share) / 2) : round(w * (1 + share) / 2)] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[..., 1] = 0.06 * matte
    motion = Motion(
        velocity=velocity,
        matte=np.asarray(cv2.GaussianBlur(matte, (0, 0), 1.5), np.float32),
        classes=(matte * CLASS_NAMES.index("water")).astype(np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=photo.height,
        width=photo.width,
    )
    return build_scene(photo, motion, seconds=seconds, fps=fps)
