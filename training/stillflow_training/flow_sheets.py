# SPDX-License-Identifier: Apache-2.0
"""Contact sheets: what a flow network makes of photos, to be looked at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.flow import VELOCITY_UNIT, hint_planes
from stillflow.motion import FLOW_CLASSES
from stillflow_training.flow_validation import NO_HINTS, Predict, network_size, shrink
from stillflow_training.labels import CLASS_COLOURS, LabelledPhoto

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

TILE_HEIGHT = 160
"""Pixels; tiles are as wide as their photo asks for, at most twice that."""

SECONDS = 1.0
"""Arrows show the way travelled in this time, at least 6 pixels."""


def write_sheets(
    predict: Predict, photos: list[LabelledPhoto], long_side: int, folder: Path, rows: int = 8
) -> list[Path]:
    """Write sheets of photo | matte | classes | labelled classes | velocity, one photo a row.

    Args:
        predict: runs the network.
        photos: what to show.
        long_side: size the network sees them at.
        folder: must exist; files are named sheet-00.png and so on.
        rows: photos a sheet; two stand side by side.

    Returns:
        The files.
    """
    strips = [_strip(predict, photo, long_side) for photo in photos]
    files = []
    for start in range(0, len(strips), rows * 2):
        part = strips[start : start + rows * 2]
        lines = [np.hstack(part[i : i + 2]) for i in range(0, len(part), 2)]
        width = max(line.shape[1] for line in lines)
        lines = [cv2.copyMakeBorder(n, 0, 4, 0, width - n.shape[1], cv2.BORDER_CONSTANT) for n in lines]
        path = folder / f"sheet-{start // (rows * 2):02d}.png"
        cv2.imwrite(str(path), np.ascontiguousarray(np.vstack(lines)[..., ::-1]))
        files.append(path)
    return files


def _strip(predict: Predict, item: LabelledPhoto, long_side: int) -> ByteArray:
    h, w = network_size(*item.classes.shape, long_side)
    answer = predict(shrink(item.photo, h, w), hint_planes(NO_HINTS, h, w))
    classes, moves = answer["classes"], answer["moves"][0]
    size = (min(2 * TILE_HEIGHT, round(TILE_HEIGHT * w / h)), TILE_HEIGHT)
    photo = cv2.resize(item.photo, size, interpolation=cv2.INTER_AREA)
    chosen = classes.argmax(0).astype(np.uint8)
    matte = cv2.resize(1 / (1 + np.exp(-moves)), size)[..., None]
    tint = photo * (1 - 0.6 * matte) + np.array([255, 40, 40]) * 0.6 * matte
    tiles = [
        photo,
        np.asarray(tint, np.uint8),
        CLASS_COLOURS[cv2.resize(chosen, size, interpolation=cv2.INTER_NEAREST)],
        CLASS_COLOURS[cv2.resize(item.classes, size, interpolation=cv2.INTER_NEAREST)],
        _arrows(photo, answer["velocity"], np.isin(chosen, FLOW_CLASSES) & (moves > 0)),
    ]
    return np.hstack([cv2.copyMakeBorder(t, 0, 0, 0, 2, cv2.BORDER_CONSTANT) for t in tiles])


def _arrows(photo: ByteArray, velocity: FloatArray, where: npt.NDArray[np.bool_]) -> ByteArray:
    """Draw the velocity on a darkened photo, where something flows."""
    picture = np.ascontiguousarray(photo // 2)
    height, width = picture.shape[:2]
    h, w = where.shape
    for y in range(10, height, 16):
        for x in range(10, width, 16):
            i, j = y * h // height, x * w // width
            if where[i, j]:
                v = velocity[:, i, j] / VELOCITY_UNIT * width * SECONDS
                v = v * max(1.0, 6 / (float(np.hypot(*v)) + 1e-6))
                tip = (round(x + float(v[0])), round(y + float(v[1])))
                cv2.arrowedLine(picture, (x, y), tip, (255, 255, 0), 1, cv2.LINE_AA, tipLength=0.35)
    return picture
