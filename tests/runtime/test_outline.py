# SPDX-License-Identifier: Apache-2.0
"""Outlines bend over what is behind, and stand where something in front holds them."""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.reference import sway_displacement
from stillflow.motion import Motion
from stillflow.outline import bend_outlines
from stillflow.photo import Photo
from stillflow.scene import build_scene
from stillflow.sway import predict_sway

from .scenes import textured


def tree_photo(behind=9, seed=3):
    """A dark tree with a wall at its right, 320x240, and its motion."""
    pixels = np.clip(textured(240, 320).astype(int) // 6 + 190, 0, 255).astype(np.uint8)
    tree = np.zeros((240, 320), np.uint8)
    cv2.circle(tree, (150, 90), 60, 1, -1)
    cv2.rectangle(tree, (144, 140), (156, 220), 1, -1)
    pixels[tree > 0] = textured(240, 320, 1)[tree > 0] // 3
    wall = np.zeros_like(tree)
    wall[:, 190:] = 1
    pixels[wall > 0] = (180, 60, 40)
    classes = np.full((60, 80), behind, np.uint8)
    classes[55:] = 0
    small = cv2.resize(tree.astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA) > 0.5
    classes[small] = 5
    classes[:, 47:] = 0
    order = np.where(small, 1, 0).astype(np.uint8)
    order[:, 47:] = 2
    order[55:] = 2
    moves = np.isin(classes, (5, 1, 2)).astype(np.float32)
    sway = predict_sway(pixels, moves * (classes == 5), classes, order, seed=seed)
    velocity = np.zeros((60, 80, 2), np.float32)
    velocity[..., 0] = 0.02
    motion = Motion(
        velocity=velocity,
        matte=moves,
        classes=classes,
        confidence=np.ones((60, 80), np.float32),
        sway=sway.coefficients,
        sway_hz=sway.hz,
        order=order,
        height=240,
        width=320,
    )
    return Photo.from_array(pixels), motion, tree


def largest(scene):
    arrays = scene.arrays
    times = range(0, arrays.frames, 4)
    return np.abs([sway_displacement(arrays.sway, t, arrays.frames, arrays.sway_periods) for t in times]).max(
        (0, 3)
    )


def test_the_outline_itself_moves_and_the_wall_does_not():
    photo, motion, tree = tree_photo()
    scene = build_scene(photo, motion, seconds=4, fps=15)
    moved = np.abs(np.stack([scene.frame(t) for t in (9, 21, 33, 45)]).astype(int) - photo.pixels).max((0, 3))
    edge = cv2.morphologyEx(tree, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert moved[30:60, 120:180][edge[30:60, 120:180]].mean() > 15, "the crown's outline before the sky"
    assert not moved[:, 196:].any(), "the wall in front"
    assert not moved[:20].any(), "the sky far off"


def test_nothing_of_a_bent_outline_folds():
    photo, motion, _ = tree_photo()
    arrays = build_scene(photo, motion, seconds=4, fps=15).arrays
    for t in range(0, 60, 7):
        d = sway_displacement(arrays.sway, t, 60, arrays.sway_periods)
        for axis in (0, 1):
            assert np.linalg.norm(np.diff(d, axis=axis), axis=-1).max() < 0.5


def test_displacement_is_none_outside_the_matte():
    photo, motion, _ = tree_photo()
    scene = build_scene(photo, motion, seconds=4, fps=15)
    touched = cv2.resize(scene.matte, (80, 60), interpolation=cv2.INTER_AREA) > 0
    assert largest(scene)[~touched].max() < 0.05


def test_masks_never_overlap_and_a_cloud_behind_gives_way():
    _, motion, tree = tree_photo(behind=2)
    sways = tree * np.uint8(255)
    sways[:, 190:] = 0
    flows = np.where(sways > 0, 0, 255).astype(np.uint8)
    flows[:, 190:] = flows[220:] = 0
    less, wider, swaying = bend_outlines(motion, flows, sways)
    assert not (less & wider).any()
    assert (wider > 0).sum() > (sways > 0).sum()
    assert swaying.coefficients.any()
    assert ((less | wider) == (flows | sways)).mean() > 0.99


def test_without_sway_everything_stays():
    _, motion, tree = tree_photo()
    still = type(motion)(
        **(vars(motion) | {"sway": np.zeros((0, 60, 80, 4), np.float32), "sway_hz": np.zeros(0, np.float32)})
    )
    flows, sways = tree * np.uint8(0), tree * np.uint8(255)
    less, wider, swaying = bend_outlines(still, flows, sways)
    assert less is flows
    assert wider is sways
    assert swaying.coefficients.shape[0] == 0
