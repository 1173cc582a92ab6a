# SPDX-License-Identifier: Apache-2.0
"""Contact sheets: what the motion is thought to be, six frames, and the same six at one pixel a pixel."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stillflow.animator import Loop
from stillflow.kernels.arrays import ByteArray, SceneArrays
from stillflow_bench.baselines import plain_warp

TILE = 400
"""Pixels: width of a tile."""

LABEL = 22
"""Pixels: height of the line of text over a tile."""


def times(frames: int, cycles: int) -> tuple[int, ...]:
    """Return the frames that are shown: 0, N/4, N/2, 3N/4, N-1, and the middle of the shortest cycle.

    A loop of several cycles shows the photo's own texture again at the quarters, so the quarters alone would
    hide what a cross-fade looks like half way.

    Args:
        frames: N.
        cycles: of the fastest region, >= 1.
    """
    return 0, frames // 4, frames // 2, 3 * frames // 4, frames - 1, round(frames / (2 * cycles))


def draw(loop: Loop, title: str, *, close_ups: bool = True) -> ByteArray:
    """Draw the sheet of a loop.

    Rows: the motion and six whole frames; the same at full size around the busiest place of the moving layer;
    the plain warp of the same place.

    Args:
        loop: any loop.
        title: of the first tile.
        close_ups: also draw the rows at full size.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    scene, arrays = loop.scene, loop.arrays
    shown = times(scene.frames, int(arrays.cycles.max()))
    frames = [scene.frame(t) for t in shown]
    names = [f"frame {t} of {scene.frames}" for t in shown]
    names[-1] += ", mid cycle"
    motion = loop.motion.picture(arrays.photo)
    height = max(1, round(TILE * scene.height / scene.width))
    whole = [shrunk(f, height) for f in (motion, *frames)]
    rows = [strip([title, *names], whole)]
    if close_ups and loop.moving_share > 0:
        top, left, bottom, right = busiest(arrays, height)
        close = [f[top:bottom, left:right] for f in (motion, *frames)]
        rows.append(strip(["at full size", *names], close))
        plain = [plain_warp(arrays, t)[top:bottom, left:right] for t in shown]
        blank = np.full_like(close[0], 24)
        rows.append(strip(["plain warp", *names], [blank, *plain]))
    return np.vstack(rows)


def write(path: Path, loop: Loop, title: str, *, close_ups: bool = True) -> Path:
    """Draw the sheet of a loop into a .png or .jpg file; the folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    from PIL import Image

    Image.fromarray(draw(loop, title, close_ups=close_ups)).save(path, optimize=True, quality=88)
    return path


def strip(names: list[str], tiles: list[ByteArray], width: int = TILE, text: float = 0.45) -> ByteArray:
    """Put tiles side by side, each under its name.

    Args:
        names: one a tile.
        tiles: (h, w, 3) uint8, all of one height and at most ``width`` wide.
        width: of a place, pixels.
        text: size of the letters, 1 is 22 pixels.

    Returns:
        (LABEL + h, width * n, 3) uint8.
    """
    cells = []
    for name, tile in zip(names, tiles, strict=True):
        cell = np.full((LABEL + tile.shape[0], width, 3), 24, np.uint8)
        cell[LABEL:, : tile.shape[1]] = tile
        cv2.putText(
            cell, name, (5, LABEL - 7), cv2.FONT_HERSHEY_SIMPLEX, text, (235, 235, 235), 1, cv2.LINE_AA
        )
        cells.append(cell)
    return np.hstack(cells)


def busiest(arrays: SceneArrays, tile_height: int) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) of the tile-sized window with the most motion in it."""
    height, width = arrays.matte.shape
    box = (min(TILE, width), min(tile_height, height))
    speed = np.hypot(arrays.velocity[..., 0], arrays.velocity[..., 1]) * (arrays.flow > 0)
    # What only sways counts a little, so that a picture without flow is shown where it sways.
    moves = cv2.resize(speed + np.float32(1e-3), (width, height)) * arrays.matte
    busy = cv2.boxFilter(moves, -1, box, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    # With the anchor at the corner a sum belongs to the window that begins there.
    possible = busy[: height - box[1] + 1, : width - box[0] + 1]
    top, left = np.unravel_index(int(possible.argmax()), possible.shape)
    return int(top), int(left), int(top) + box[1], int(left) + box[0]


def shrunk(frame: ByteArray, height: int) -> ByteArray:
    """Resize a frame to the width of a tile."""
    return np.asarray(cv2.resize(frame, (TILE, height), interpolation=cv2.INTER_AREA), np.uint8)
