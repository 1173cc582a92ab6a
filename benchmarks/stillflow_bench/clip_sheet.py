# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of clips: what truly happened beside the loop of the first frame, at the same times."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stillflow.animator import Loop
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow_bench import sheet
from stillflow_bench.baselines import plain_warp
from stillflow_bench.clip import Clip
from stillflow_bench.labelled_sheet import agreement
from stillflow_bench.real_motion import RealMotion, played_velocity

GAIN = 3
"""The difference pictures show levels times this."""


def draw(loop: Loop, clip: Clip, real: RealMotion | None) -> ByteArray:
    """Draw the sheet of a clip.

    Rows: the first frame, the true flow and the played one in the same colours (the hue is the way, the brightness the
    speed), and where both say that something moves (green), only the loop does (red) or only the truth (blue); real
    frames; the loop's frames at these times; how far apart they are; and the busiest place at one pixel a pixel: real,
    the loop's, the plain warp's.

    Args:
        loop: made of the clip's first frame, as long as the clip.
        clip: what truly happened.
        real: how it truly moves; None leaves the first row without it.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    scene, arrays = loop.scene, loop.arrays
    height = max(1, round(sheet.TILE * scene.height / scene.width))
    shown = tuple(dict.fromkeys(sheet.times(scene.frames, int(arrays.cycles.max()))))
    names = [f"frame {t} of {scene.frames}" for t in shown]
    happened = [np.ascontiguousarray(clip.frames[t]) for t in shown]
    made = [scene.frame(t) for t in shown]
    apart = [
        np.asarray(np.clip(cv2.absdiff(a, b).astype(np.int16) * GAIN, 0, 255), np.uint8)
        for a, b in zip(happened, made, strict=True)
    ]
    places = max(5, len(shown))
    rows = [_padded(_first_row(loop, clip, real), height, places)]
    for what, pictures in (("real", happened), ("loop", made), (f"difference x{GAIN}", apart)):
        tiles = [sheet.shrunk(picture, height) for picture in pictures]
        rows.append(
            _padded(dict(zip((f"{what}, {name}" for name in names), tiles, strict=True)), height, places)
        )
    if loop.moving_share > 0:
        top, left, bottom, right = sheet.busiest(arrays, height)
        plain = [plain_warp(arrays, t) for t in shown]
        for what, pictures in (("real", happened), ("loop", made), ("plain warp", plain)):
            tiles = [picture[top:bottom, left:right] for picture in pictures]
            shown_as = (f"{what}, full size, {name}" for name in names)
            rows.append(_padded(dict(zip(shown_as, tiles, strict=True)), bottom - top, places))
    return np.vstack(rows)


def write(path: Path, loop: Loop, clip: Clip, real: RealMotion | None) -> Path:
    """Draw the sheet of a clip into a .png or .jpg file; the folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    from PIL import Image

    Image.fromarray(draw(loop, clip, real)).save(path, quality=88)
    return path


def flow_picture(velocity: FloatArray, most: float) -> ByteArray:
    """Show a velocity in colours: the hue is its direction, the brightness its speed.

    Args:
        velocity: (H, W, 2).
        most: the speed that is shown fully bright, in the same unit.

    Returns:
        (H, W, 3) uint8.
    """
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    hue = np.mod(np.degrees(np.arctan2(velocity[..., 1], velocity[..., 0])), 360) / 2
    value = np.clip(255 * speed / max(most, 1e-6), 0, 255)
    hsv = np.stack([np.minimum(hue, 179), np.full_like(hue, 255), value], -1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _first_row(loop: Loop, clip: Clip, real: RealMotion | None) -> dict[str, ByteArray]:
    """What moves and which way, as it is and as it is played, each under its name."""
    first = np.ascontiguousarray(clip.frames[0])
    tiles = {f"{clip.name}, {clip.fps:.4g} frames a second": first}
    played = played_velocity(loop.arrays)
    fields = [played] if real is None or real.velocity is None else [played, real.velocity]
    most = max(float(np.percentile(np.hypot(f[..., 0], f[..., 1]), 99)) for f in fields)
    if real is not None:
        if real.velocity is not None:
            tiles[f"flow, {real.said_by}"] = flow_picture(real.velocity, most)
        tiles["moves: both, loop only, truth only"] = agreement(first, loop.arrays.matte > 1, real.moves)
    tiles[f"flow, played; {most:.2f} px/frame is bright"] = flow_picture(played, most)
    tiles["motion"] = loop.motion.picture(loop.arrays.photo)
    height = max(1, round(sheet.TILE * first.shape[0] / first.shape[1]))
    return {name: sheet.shrunk(tile, height) for name, tile in tiles.items()}


def _padded(tiles: dict[str, ByteArray], height: int, places: int) -> ByteArray:
    """A row of named tiles with nothing in the places that are left over."""
    left_over = places - len(tiles)
    blank = np.full((height, sheet.TILE, 3), 24, np.uint8)
    return sheet.strip([*tiles, *[""] * left_over], [*tiles.values(), *[blank] * left_over])
