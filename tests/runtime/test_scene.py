# SPDX-License-Identifier: Apache-2.0
"""A scene keeps the promises of a loop: frame 0, still pixels, closure, detail, no dragged background."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow import scene as scenes
from stillflow.errors import StillflowError
from stillflow.motion import Motion
from stillflow.order import occlusion_order
from stillflow.photo import Photo

from .scenes import falling_motion, falling_photo, textured


@pytest.fixture(scope="module")
def fall():
    photo, motion = falling_photo(240, 320)
    return photo, scenes.build_scene(photo, motion, seconds=2, fps=15)


def test_frame_zero_is_the_photo(fall):
    photo, scene = fall
    assert np.array_equal(scene.frame(0), photo.pixels)
    assert np.array_equal(scene.frame(scene.frames), photo.pixels)


def test_still_pixels_are_the_photo_in_every_frame(fall):
    photo, scene = fall
    still = scene.matte == 0
    for t in (1, 7.5, 15, 29):
        assert np.array_equal(scene.frame(t)[still], photo.pixels[still])


def test_it_moves_down(fall):
    photo, scene = fall
    # 0.1 widths a second at 15 frames a second: 2.13 pixels a frame.
    frame = scene.frame(1).astype(float)
    middle = np.s_[60:180, 130:190]
    still = np.abs(frame[middle] - photo.pixels[middle]).mean()
    moved = np.abs(frame[middle] - photo.pixels[58:178, 130:190]).mean()
    assert moved < 0.6 * still


def test_detail_stays_through_the_loop(fall):
    photo, scene = fall
    inside = scene.matte == 255

    def detail(frame):
        luma = frame.astype(np.float32).mean(-1)
        neighbours = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
        second = 4 * luma[1:-1, 1:-1] - neighbours
        return float((second**2)[inside[1:-1, 1:-1]].mean())

    whole = detail(photo.pixels)
    for t in range(0, scene.frames, 5):
        assert 0.75 < detail(scene.frame(t)) / whole < 1.25


def test_the_background_is_not_dragged_in():
    pixels = textured(240, 320)
    pixels[..., 0] = pixels[..., 0] // 3
    photo_motion = falling_motion(240, 320)
    pixels[:, :80] = (255, 0, 0)
    pixels[:, 240:] = (255, 0, 0)
    velocity = photo_motion.velocity.copy()
    velocity[..., 0], velocity[..., 1] = 0.1 * (photo_motion.matte > 0), 0
    motion = type(photo_motion)(**(vars(photo_motion) | {"velocity": velocity}))
    scene = scenes.build_scene(Photo.from_array(pixels), motion, seconds=2, fps=15)
    inner = np.s_[:, 92:228]
    for t in (5, 15, 25):
        assert scene.frame(t)[inner][..., 0].max() < 200, "the red background came in"


def test_rows_of_a_frame_are_the_frame(fall):
    _, scene = fall
    whole = scene.frame(9.0)
    out = np.zeros_like(whole)
    for y0 in range(0, scene.height, 64):
        y1 = min(scene.height, y0 + 64)
        scene.frame_rows(9.0, y0, y1, out[y0:y1])
    assert np.array_equal(out, whole)


def test_nothing_that_moves_gives_the_photo():
    photo, motion = falling_photo()
    still = type(motion)(**(vars(motion) | {"matte": np.zeros_like(motion.matte)}))
    scene = scenes.build_scene(photo, still, seconds=1, fps=5)
    assert np.array_equal(scene.frame(2), photo.pixels)


@pytest.mark.parametrize(("seconds", "fps"), [(0, 30), (-1, 30), (float("nan"), 30), (4, 0), (4, 1000)])
def test_impossible_timing_is_refused(seconds, fps):
    photo, motion = falling_photo()
    with pytest.raises(StillflowError):
        scenes.build_scene(photo, motion, seconds=seconds, fps=fps)


def test_a_motion_of_another_size_is_refused():
    photo, _ = falling_photo()
    with pytest.raises(StillflowError, match="does not fit"):
        scenes.build_scene(photo, falling_motion(64, 64))


def cloudy(front: int) -> tuple[Photo, Motion]:
    """Clouds drift in the upper half; the lower half is sky (9) or something nearer."""
    motion = falling_motion(240, 320)
    classes = np.full(motion.classes.shape, 2, np.uint8)
    classes[30:] = front
    velocity = np.zeros_like(motion.velocity)
    velocity[..., 0] = 0.02
    matte = (classes == 2).astype(np.float32)
    changed = {"classes": classes, "velocity": velocity, "matte": matte, "order": occlusion_order(classes)}
    return Photo.from_array(textured(240, 320)), type(motion)(**(vars(motion) | changed))


def test_a_cloud_ends_softly_before_the_sky_and_sharply_behind_a_hill():
    ramps = {}
    for front in (9, 0):
        matte = scenes.build_scene(*cloudy(front), seconds=2, fps=10).matte
        assert not matte[122:].any()
        assert (matte[:80, 20:300] == 255).all()
        ramps[front] = int(((matte[:, 160] > 0) & (matte[:, 160] < 255)).sum())
    assert ramps[9] > ramps[0] + 2


def test_a_still_thing_before_water_is_untouched_and_what_moves_behind_it_shows_none_of_it():
    """A red bar across a river that flows to the right: nothing red leaves it."""
    pixels = textured(240, 320)
    pixels[..., 0] = pixels[..., 0] // 4
    pixels[:, 140:180] = (255, 0, 0)
    motion = falling_motion(240, 320)
    classes = np.ones(motion.classes.shape, np.uint8)
    classes[:, 35:45] = 0
    velocity = np.zeros_like(motion.velocity)
    velocity[..., 0] = 0.05
    changed = {"classes": classes, "velocity": velocity, "matte": (classes == 1).astype(np.float32)}
    moving = type(motion)(
        **(vars(motion) | changed | {"order": np.where(classes == 1, 0, 1).astype(np.uint8)})
    )
    scene = scenes.build_scene(Photo.from_array(pixels), moving, seconds=2, fps=10)
    for t in (3, 7, 10, 16):
        frame = scene.frame(t)
        assert np.array_equal(frame[:, 140:180], pixels[:, 140:180])
        assert frame[:, 182:][..., 0].max() < 120
        assert frame[:, :138][..., 0].max() < 120
    inside = scene.arrays.inside
    assert inside[30, 37] > 0.1, "the river goes on behind the bar"


def trusting(field):
    """A generator that trusts every place to the full."""
    _, h, w = field.shape
    return field[:3], np.stack([np.ones((h, w), np.float32), np.ones((h, w), np.float32)])


NETWORK = {"plate": "network", "blend": "network"}


def test_a_network_may_not_trust_where_two_layers_meet():
    photo, motion = cloudy(1)
    velocity = motion.velocity.copy()
    velocity[30:] = (0.0, 0.05)
    changed = {"matte": np.ones_like(motion.matte), "velocity": velocity}
    moving = type(motion)(**(vars(motion) | changed))
    scene = scenes.build_scene(photo, moving, seconds=2, fps=10, generator=trusting, outputs=NETWORK)
    # The photo is noise: here and there it moves the border by a sample.
    assert np.median(scene.arrays.inside[29:31]) < 0.1
    assert np.median(scene.arrays.inside[:20, 5:75]) == 1
    assert scene.sources == {"plate": "network", "blend": "network"}


def test_what_did_not_play_is_not_said_to_have_played():
    photo, motion = falling_photo()
    scene = scenes.build_scene(photo, motion, generator=lambda field: None, outputs=NETWORK)
    assert scene.sources == {"plate": "push_pull", "blend": "variance_preserving"}
