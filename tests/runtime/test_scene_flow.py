# SPDX-License-Identifier: Apache-2.0
"""Published flow networks are asked in their own units, and their answer comes back in ours."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from stillflow.bundle.manifest import Graph, Tensor
from stillflow.errors import StillflowError
from stillflow.guidance import Arrow, Guidance, Hints
from stillflow.photo import Photo
from stillflow.scene_flow import FPS, context_from, dense_hint, hint_unit, network_size, scene_velocity

from .scenes import falling_motion, falling_photo, textured


def graph(*inputs: str, multiple: int = 32, long_side: int = 64) -> Graph:
    channels = {"photo": 3, "mask": 1, "hint": 2}
    tensors = tuple(
        Tensor(
            name=n,
            dtype="float32",
            shape=(1, 77, 768) if n == "context" else (1, channels[n], "height", "width"),
        )
        for n in inputs
    )
    velocity = Tensor(name="velocity", dtype="float32", shape=(1, 2, "height", "width"))
    return Graph(
        name="scene_flow",
        what="",
        file="x.onnx",
        sha256="0" * 64,
        opset=18,
        inputs=tensors,
        outputs=(velocity,),
        multiple=multiple,
        long_side=long_side,
    )


HINTED = graph("photo", "mask", "hint")
TEXT = graph("photo", "mask", "context")


class Echo:
    """Answers with the hint everywhere, and keeps what it was asked."""

    def __init__(self) -> None:
        self.inputs: dict = {}

    def __call__(self, inputs):
        self.inputs = dict(inputs)
        shape = inputs["mask"].shape[2:]
        return {"velocity": inputs.get("hint", np.full((1, 2, *shape), 3, np.float32))}


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (96, 128, (64, 64)),
        (720, 1280, (64, 32)),
        (1280, 720, (32, 64)),
        (16, 2000, (64, 32)),
        (20, 20, (32, 32)),
    ],
)
def test_size_is_a_multiple_within_the_long_side(height: int, width: int, size: tuple[int, int]) -> None:
    assert network_size(Photo.from_array(textured(height, width)), HINTED) == size


def test_published_sizes() -> None:
    photo = Photo.from_array(np.zeros((1080, 1920, 3), np.uint8))
    assert network_size(photo, graph("photo", "mask", "hint", multiple=256, long_side=768)) == (768, 512)
    assert network_size(photo, graph("photo", "mask", "context", multiple=64, long_side=512)) == (512, 256)


def test_an_arrow_comes_back_as_it_was_drawn() -> None:
    photo, motion = falling_photo(96, 128)
    arrow = Arrow(0.5, 0.3, 0.6, 0.7, 2.0)
    run = Echo()
    velocity = scene_velocity(photo, motion, Hints(arrows=(arrow,)), run, HINTED)
    moving = motion.matte > 0.5
    assert velocity[moving] == pytest.approx(np.tile(arrow.velocity(0.75), (int(moving.sum()), 1)), rel=1e-4)
    assert run.inputs["photo"].min() >= -1 and run.inputs["photo"].max() <= 1
    assert set(np.unique(run.inputs["mask"])) == {0, 1}
    h, w = run.inputs["mask"].shape[2:]
    inside = run.inputs["hint"][0][:, h // 2, w // 2]
    assert inside == pytest.approx([0.05 * w / FPS, 0.2 * h / FPS], rel=1e-4)
    assert not run.inputs["hint"][0][:, :, 0].any()


def test_hints_are_in_the_unit_that_the_ranges_say() -> None:
    def bounded(hint: tuple[float, float] | None, velocity: tuple[float, float] | None) -> Graph:
        inputs = tuple(
            msgspec.structs.replace(t, range=hint if t.name == "hint" else None) for t in HINTED.inputs
        )
        outputs = (msgspec.structs.replace(HINTED.outputs[0], range=velocity),)
        return msgspec.structs.replace(HINTED, inputs=inputs, outputs=outputs)

    assert hint_unit(HINTED) == hint_unit(bounded((-1, 1), None)) == hint_unit(bounded((-1, 1), (0, 0))) == 1
    small = bounded((-1, 1), (-64, 64))
    assert hint_unit(small) == 1 / 64
    photo, motion = falling_photo(96, 128)
    hints = Hints(arrows=(Arrow(0.5, 0.3, 0.6, 0.7, 2.0),))
    asked = []
    for network in (HINTED, small):
        run = Echo()
        scene_velocity(photo, motion, hints, run, network)
        asked.append(run.inputs["hint"])
    assert np.allclose(asked[0] / 64, asked[1])
    assert np.abs(asked[1]).max() > 0


def test_without_arrows_the_hint_is_our_own_mean() -> None:
    photo, motion = falling_photo(96, 128)
    run = Echo()
    for strength in (1.0, 0.5, 0.0):
        velocity = scene_velocity(
            photo, falling_motion(96, 128, 0.1 * strength), Hints(strength=strength), run, HINTED
        )
        assert velocity[motion.matte > 0.5] == pytest.approx(
            np.tile([0, 0.1 * strength], (int((motion.matte > 0.5).sum()), 1)), abs=1e-5
        )


def test_hints_fall_off_like_gaussians() -> None:
    places, speeds = np.array([[10, 5], [40, 5]], np.float32), np.array([[1, 0], [0, 1]], np.float32)
    found = dense_hint(places, speeds, np.ones((20, 60), np.float32), sigma=12)
    at = np.array([22, 9])
    w = np.exp(-((places - at) ** 2).sum(1) / 12**2)
    assert found[9, 22] == pytest.approx((w[:, None] * speeds).sum(0) / w.sum(), rel=1e-5)
    near = dense_hint(places, speeds, np.ones((20, 60), np.float32), sigma=0.01)
    assert np.isfinite(near).all() and near[5, 59] == pytest.approx([0, 1])


def test_nothing_that_moves_asks_nobody() -> None:
    photo, motion = falling_photo(96, 128)
    still = type(motion)(**(vars(motion) | {"matte": np.zeros_like(motion.matte)}))
    assert not scene_velocity(photo, still, Hints(), lambda _: {}, HINTED).any()


def test_a_velocity_of_another_size_is_refused() -> None:
    photo, motion = falling_photo(96, 128)
    with pytest.raises(StillflowError, match=r"with a velocity of \(1, 2, 8, 8\)"):
        scene_velocity(
            photo, motion, Hints(), lambda _: {"velocity": np.ones((1, 2, 8, 8), np.float32)}, HINTED
        )


def test_a_text_goes_to_the_network_that_reads_one() -> None:
    photo, motion = falling_photo(96, 128)
    with pytest.raises(StillflowError, match=r"--context FILE\.npz"):
        scene_velocity(photo, motion, Hints(), Echo(), TEXT)
    run = Echo()
    hints = Guidance(context=np.ones((77, 768))).resolve(96, 128)
    velocity = scene_velocity(photo, motion, hints, run, TEXT)
    assert run.inputs["context"].shape == (1, 77, 768) and "hint" not in run.inputs
    assert velocity[10, 16] == pytest.approx([3 / 64 * FPS, 3 / 64 * FPS * 0.75], rel=1e-4)


def test_contexts_of_any_form(tmp_path: Path) -> None:
    said = np.random.default_rng(0).normal(size=(77, 768)).astype(np.float16)
    np.savez(tmp_path / "text.npz", context=said)
    for source in (tmp_path / "text.npz", str(tmp_path / "text.npz"), said, said[None].astype(np.float64)):
        assert np.array_equal(context_from(source), said[None].astype(np.float32))


def test_bad_contexts_are_refused_with_what_is_needed(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", text=np.zeros((77, 768), np.float32))
    np.savez(tmp_path / "short.npz", context=np.zeros((20, 768), np.float32))
    np.savez(tmp_path / "words.npz", context=np.zeros((77, 768), np.int64))
    np.savez(tmp_path / "nan.npz", context=np.full((77, 768), np.nan))
    np.savez(tmp_path / "big.npz", context=np.full((77, 768), 1e300))
    (tmp_path / "text.npz").write_bytes(b"a waterfall")
    for path in (*tmp_path.glob("*.npz"), tmp_path / "nowhere.npz"):
        with pytest.raises(StillflowError, match="CLIP"):
            context_from(path)
