# SPDX-License-Identifier: Apache-2.0
"""Feature bundles and velocities from elsewhere through the face of the library and the program."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow.guidance import Arrow, Guidance
from stillflow.kernels.arrays import ByteArray
from stillflow.motion import FLOW_CLASSES
from stillflow.photo import Photo
from stillflow.velocity_field import VelocityField


@pytest.fixture(scope="module")
def golden(source_tree: Path) -> Path:
    return source_tree / "tests" / "data" / "bundles" / "golden-1.1"


@pytest.fixture(scope="module")
def generator(golden: Path) -> Animator:
    return Animator(golden)


@pytest.fixture(scope="module")
def geometry(default_bundle: Path) -> Animator:
    return Animator(default_bundle)


@pytest.fixture
def field() -> np.ndarray:
    """(24, 32, 2): the lower right quarter drifts to the right, half a pixel of its own a frame."""
    found = np.zeros((24, 32, 2), np.float32)
    found[12:, 16:, 0] = 0.5
    return found


def test_a_generator_plays_through_the_same_calls(
    generator: Animator, scenery: ByteArray, field: np.ndarray, tmp_path: Path
) -> None:
    loop = generator.animate(Photo.from_array(scenery), Guidance(velocity=field), seconds=1, fps=10)
    assert len(loop) == 10
    frames = [loop.frame(t) for t in range(10)]
    still = loop.scene.matte == 0
    assert not still[50:94, 66:126].any() and still[:48].all() and still[:, :64].all()
    for frame in frames:
        assert np.array_equal(frame[still], scenery[still])
    assert np.abs(frames[4].astype(int) - frames[0])[~still].mean() > 1
    assert loop.runs["plate"] == "decoder" and loop.runs["blend"] == "symmetric_splat"
    assert loop.runs["velocity"] == "file" and "sway" not in loop.runs and "light" not in loop.runs
    assert list(loop.seconds) == ["read", "motion", "assess", "scene"]
    seen: list[tuple[int, int]] = []
    loop.save(tmp_path / "loop.mp4", progress=lambda done, total: seen.append((done, total)))
    loop.save(tmp_path / "loop.webm", alpha=True)
    assert seen[-1] == (10, 10)
    for name in ("loop.mp4", "loop.webm"):
        with av.open(str(tmp_path / name)) as video:
            assert sum(1 for _ in video.decode(video=0)) == 10


def test_two_pixels_a_frame_are_two_pixels_a_frame(generator: Animator, scenery: ByteArray) -> None:
    """The golden decoder lets the photo's colours through: what moves is the photo, by the speed that was given."""
    velocity = np.zeros((96, 128, 2), np.float32)
    velocity[50:, :, 0] = 2
    loop = generator.animate(Photo.from_array(scenery), Guidance(velocity=velocity), seconds=2, fps=30)
    first, later = loop.scene.decoded(0), loop.scene.decoded(1)
    inner = np.s_[56:90, 20:100]
    shifted = np.abs(later[inner] - first[56:90, 18:98]).mean()
    assert shifted < 0.3 * np.abs(later[inner] - first[inner]).mean()


def test_a_generator_of_its_own_accord(generator: Animator, scenery: ByteArray) -> None:
    photo = Photo.from_array(scenery)
    arrow = Arrow(0.3, 0.75, 0.7, 0.75, 2)
    mask = np.zeros((96, 128), bool)
    mask[52:92, 8:120] = True
    loop = generator.animate(photo, Guidance(mask=mask, arrows=(arrow,)), seconds=1, fps=10)
    assert loop.runs["velocity"] == "scene_flow"
    middle = loop.scene.velocity[60:84, 20:108]
    # 0.2 widths a second; the golden scene flow adds a little of the photo's colours, in pixels of its own 64.
    assert middle[..., 0] == pytest.approx(0.2 * 128 / 10, abs=0.5)
    assert loop.moving_share > 0.2
    drawn = generator.futures(photo, Guidance(mask=mask), 2, seconds=1, fps=10)
    assert not np.array_equal(next(drawn).frame(5), next(drawn).frame(5))


def test_geometry_takes_a_published_flow_network_too(
    golden: Path, scenery: ByteArray, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(golden, tmp_path / "copy"))
    content = json.loads((copy / "manifest.json").read_bytes())
    content["loop"]["rule"] = "cross_fade"
    content["outputs"].update(plate="push_pull", blend="variance_preserving")
    (copy / "manifest.json").write_text(json.dumps(content))
    mask = np.zeros((96, 128), bool)
    mask[50:] = True
    guidance = Guidance(mask=mask, arrows=(Arrow(0.3, 0.8, 0.5, 0.8, 1),))
    loop = Animator(copy).animate(Photo.from_array(scenery), guidance, seconds=1, fps=10)
    assert loop.runs["velocity"] == "scene_flow" and loop.runs["plate"] == "push_pull"
    assert np.median(loop.motion.velocity[16:, :, 0]) == pytest.approx(0.2, abs=0.03)


def test_a_velocity_plays_on_geometry_too(geometry: Animator, scenery: ByteArray, field: np.ndarray) -> None:
    photo = Photo.from_array(scenery)
    loop = geometry.animate(photo, Guidance(velocity=field), seconds=2, fps=15)
    still = loop.scene.matte == 0
    assert still[:48].all() and still[:, :60].all()
    assert np.array_equal(loop.frame(7)[still], scenery[still])
    assert np.array_equal(loop.frame(0), scenery)
    assert loop.strength == 1 and loop.strength_why == "given"
    assert loop.motion.sources["velocity"] == loop.motion.sources["matte"] == "file"
    moving = loop.motion.matte > 0.5
    assert moving.mean() == pytest.approx(0.25, abs=0.03)
    assert np.isin(loop.motion.classes[moving], FLOW_CLASSES).all()
    # Half of 32 pixels a frame at 15 frames a second.
    assert loop.motion.velocity[moving] == pytest.approx(
        np.tile([0.5 / 32 * 15, 0], (int(moving.sum()), 1)), abs=1e-5
    )


def test_strength_scales_it_and_maps_cut_it(
    geometry: Animator, scenery: ByteArray, field: np.ndarray
) -> None:
    photo = Photo.from_array(scenery)
    still = np.zeros((96, 128), np.uint8)
    still[:, 100:] = 255
    whole = geometry.motion(photo, Guidance(velocity=field))
    half = geometry.motion(photo, Guidance(velocity=field, strength=0.5, still=still))
    assert half.velocity == pytest.approx(whole.velocity * 0.5, abs=1e-6)
    assert not half.matte[:, 26:].any()
    assert np.array_equal(half.matte[:, :24], whole.matte[:, :24])
    mask = np.zeros((96, 128), bool)
    mask[:60] = True
    masked = geometry.motion(photo, Guidance(velocity=field, mask=mask))
    assert not masked.matte[16:].any() and masked.matte[13:15, 17:].all()
    assert geometry.assess(photo, Guidance(velocity=field)).score >= 1


def test_fields_of_every_form_are_one(
    geometry: Animator, photo_file: Path, field: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", field)
    (tmp_path / "v.flo").write_bytes(b"PIEH" + np.array([32, 24], "<i4").tobytes() + field.tobytes())
    motions = [
        geometry.motion(photo_file, Guidance(velocity=source))
        for source in (field, VelocityField(field), tmp_path / "v.npy", str(tmp_path / "v.flo"))
    ]
    for motion in motions[1:]:
        assert np.array_equal(motion.velocity, motions[0].velocity)


def test_precision_is_that_of_the_session(golden: Path, photo_file: Path) -> None:
    assert Animator(golden, precision="fp32").animate(photo_file, seconds=0.5, fps=4).frame(1).shape
    with pytest.raises(StillflowError, match="no fp16 file"):
        Animator(golden, precision="fp16").animate(photo_file)


def test_what_cannot_go_together_is_refused(geometry: Animator, photo_file: Path, field: np.ndarray) -> None:
    with pytest.raises(StillflowError, match="--arrow or --velocity"):
        Guidance(velocity=field, arrows=(Arrow(0.1, 0.1, 0.5, 0.5),))
    with pytest.raises(StillflowError, match="--futures, or --velocity"):
        geometry.futures(photo_file, Guidance(velocity=field), 2)
    with pytest.raises(StillflowError, match="no network of the bundle edge reads a text"):
        geometry.motion(photo_file, Guidance(context=np.zeros((77, 768), np.float32)))


def test_what_moves_flows_whatever_the_network_sees(geometry: Animator) -> None:
    grey = Photo.from_array(np.full((96, 128, 3), 128, np.uint8))
    motion = geometry.motion(grey, Guidance(velocity=np.full((6, 8, 2), 0.3, np.float32)))
    assert set(np.unique(motion.classes)) <= set(FLOW_CLASSES)
