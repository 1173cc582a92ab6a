# SPDX-License-Identifier: Apache-2.0
"""Feature scenes against the formulas written down a second time, and the promises of a loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="the generators here run in torch: pip install 'stillflow[export]'"
)

from stillflow.errors import StillflowError  # noqa: E402
from stillflow.features.feature_scene import (  # noqa: E402
    FEATHER,
    build_feature_scene,
    hole_share,
)
from stillflow.features.splat_motion import SplatMotion  # noqa: E402
from stillflow.photo import Photo  # noqa: E402
from stillflow.player import Player  # noqa: E402

from ..scenes import textured  # noqa: E402
from . import naive  # noqa: E402
from .generators import Generator  # noqa: E402

FRAMES = 60


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Torch's threads cost more than they bring at this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator()


def scene_of(photo, velocity, networks, seconds=2.0):
    return build_feature_scene(Photo.from_array(photo), velocity, networks, seconds=seconds, fps=30)


def wandering(height: int, width: int, seed: int = 1) -> np.ndarray:
    """A velocity that is nowhere 0."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.1, 0.25, (height, width, 2)).astype(np.float32)


def as_bytes(frame: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((frame + 1) / 2 * 255), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("floor", [None, -0.5])
def test_frames_are_those_of_the_formulas(generator: Generator, floor: float | None) -> None:
    photo, velocity = textured(40, 52), wandering(40, 52)
    scene = scene_of(photo, velocity, generator.networks(weight_floor=floor))
    features, z = generator.encode(photo)
    for t in (0, 15, 30, 45, 59) if floor is None else (30,):
        landed = naive.warped(features, z, velocity, t, FRAMES, floor)
        expected = naive.decoded(generator.decoder, landed)
        assert np.abs(scene.decoded(t) - expected).max() <= 2e-5, t
        assert np.array_equal(scene.frame(t), as_bytes(scene.decoded(t)))
    assert scene.frames == FRAMES
    assert (scene.matte == 255).all()
    assert np.ptp(expected) > 0.5, "a frame of one colour proves nothing"


def test_layered_frames_are_those_of_the_formulas(generator: Generator) -> None:
    photo, velocity = textured(32, 40, 3), wandering(32, 40)
    edge = 1 / 600
    scene = scene_of(photo, velocity, generator.networks(layers=True, edge_share=edge))
    features, z = generator.encode(photo)
    planar = torch.from_numpy(photo.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1)
    with torch.no_grad():
        background = torch.tanh(generator.background(planar))[0].numpy()
        ab, af = generator.alpha_encoder(planar)[0].numpy().astype(np.float64)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    weight, own = np.exp(z.astype(np.float64) - z.max()), sigmoid(af) / (sigmoid(af) + sigmoid(ab))
    for t in (0, 20, 59):
        values = np.concatenate(
            [features * weight, (af * np.exp(own))[None], np.exp(own)[None], weight[None]]
        )
        sums = naive.both_ways(values, velocity, t, FRAMES, edge)
        landed = (sums[:-3] / np.maximum(sums[-1], 1e-8)).astype(np.float32)
        alpha_landed = (sums[-3] / np.maximum(sums[-2], 1e-8)).astype(np.float32)
        fluid = naive.decoded(generator.decoder, landed).transpose(2, 0, 1)
        with torch.no_grad():
            both = torch.from_numpy(np.concatenate([landed, alpha_landed[None]])[None])
            mask = torch.from_numpy((landed != 0).any(0).astype(np.float32)[None, None])
            fa = generator.alpha_decoder(both, mask)[0][0].numpy()
        expected = (fa * fluid + sigmoid(ab) * background) / np.maximum(fa + sigmoid(ab), 1e-8)
        assert np.abs(scene.decoded(t) - expected.transpose(1, 2, 0)).max() <= 2e-5, t
    assert np.ptp(fa) > 0.1


def test_tiles_show_no_difference(generator: Generator) -> None:
    photo, velocity = textured(300, 248), wandering(300, 248)
    whole = scene_of(photo, velocity, generator.networks())
    tiled = scene_of(photo, velocity, generator.networks(30_000))
    assert len(tiled.painter.decoder.cores(whole.windows[0], 300, 248)) > 3
    assert np.abs(whole.decoded(17) - tiled.decoded(17)).max() <= 1e-5


def test_only_what_moves_is_decoded_and_the_rest_is_the_photo(generator: Generator) -> None:
    photo = textured(320, 400)
    velocity = np.zeros((320, 400, 2), np.float32)
    velocity[41:97, 30:90] = (1.5, 0.5)
    velocity[243:290, 331:388] = (-1.0, 0.25)
    scene = scene_of(photo, velocity, generator.networks())
    assert len(scene.windows) == 2
    seen = []
    graph = scene.painter.decoder
    counted = replace(graph, run=lambda inputs: seen.append(inputs["mask"].size) or graph.run(inputs))
    scene = replace(scene, painter=replace(scene.painter, decoder=counted))
    for t in (0, 31):
        seen.clear()
        frame = scene.frame(t)
        assert sum(seen) < 0.8 * 320 * 400
        still = scene.matte == 0
        assert np.array_equal(frame[still], photo[still])
        assert not (scene.matte > 0)[(velocity == 0).all(-1)].any()
        inside = scene.matte == 255
        whole = as_bytes(scene.decoded(t))
        assert np.abs(frame[inside].astype(int) - whole[inside]).max() <= 1
        assert (frame[inside] == whole[inside]).mean() > 0.999
    assert inside.mean() > 0.02


def test_the_matte_rises_inside_what_moves(generator: Generator) -> None:
    velocity = np.zeros((64, 128, 2), np.float32)
    velocity[:, 40:90, 0] = 1
    small = scene_of(textured(64, 128), velocity, generator.networks())
    assert (small.matte[:, 60] == 255).all(), "the picture's border is no edge"
    assert (small.matte[:, 40] < 255).all()
    assert (np.diff(small.matte[32, 38:52].astype(int)) >= 0).all()


def test_the_loop_closes(generator: Generator) -> None:
    scene = scene_of(textured(36, 44), wandering(36, 44), generator.networks())
    assert np.array_equal(scene.frame(0), scene.frame(FRAMES))
    assert np.array_equal(scene.frame(7), scene.frame(7 - FRAMES))
    assert np.array_equal(scene.frame(-1e-18), scene.frame(0))
    between = scene.decoded(12.5)
    around = np.abs(scene.decoded(12) - scene.decoded(13)).mean()
    assert np.abs(scene.decoded(12) - between).mean() < around
    assert np.abs(scene.decoded(13) - between).mean() < around


def test_rows_of_a_frame_are_the_frame_on_any_number_of_threads(generator: Generator) -> None:
    velocity = wandering(120, 88)
    velocity[:, :20] = 0
    scene = scene_of(textured(120, 88), velocity, generator.networks(20_000), seconds=0.2)
    frames = dict(Player(scene, lanes=3).frames())
    assert len(frames) == 6
    for t, frame in frames.items():
        assert np.array_equal(frame, scene.frame(t))
    rows = np.zeros((40, 88, 3), np.uint8)
    scene.frame_rows(3.0, 33, 73, rows)
    assert np.abs(rows.astype(int) - frames[3][33:73]).max() <= 1


@pytest.mark.parametrize("shape", [(16, 16), (17, 35), (37, 53), (66, 41)])
def test_any_size(generator: Generator, shape: tuple[int, int]) -> None:
    photo = textured(*shape)
    scene = scene_of(photo, wandering(*shape), generator.networks())
    assert scene.frame(11).shape == photo.shape
    assert scene.decoded(11).shape == photo.shape
    assert np.isfinite(scene.decoded(11)).all()


HOLES = {
    "middle": np.s_[60:136, 61:137],
    "left": np.s_[:, :37],
    "top": np.s_[:37, :],
    "right": np.s_[:, -40:],
    "bottom": np.s_[-40:, :],
}
"""The smallest holes that no decoder closes: 74 pixels in the middle, bands of 36 at the left and top and of 39 at the
right and bottom. One pixel more on each side, since what surrounds them moves a little and so reaches into them."""


@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("where", HOLES)
def test_holes_are_never_grey(generator: Generator, where: str, layers: bool) -> None:
    photo = np.full((200, 200, 3), (250, 20, 120), np.uint8)
    velocity = np.full((200, 200, 2), 1e-4, np.float32)
    # All of it leaves the picture in one step, both ways.
    velocity[HOLES[where]] = (500, 500)
    scene = scene_of(photo, velocity, generator.networks(layers=layers))
    assert (scene.matte == 255).all()
    whole = Hole(scene, 30)
    assert whole.closed.min() == 0, "this hole is closed by the network"
    fill = as_bytes(np.moveaxis(scene.painter.fill, 0, -1))
    frame = scene.frame(30)
    assert np.array_equal(frame[whole.closed == 0], fill[whole.closed == 0])
    # Around it the filling fades; beyond, it is the network's own.
    far = hole_share(whole.closed) == 0
    assert np.array_equal(frame[far], as_bytes(scene.decoded(30))[far])
    assert far.any()


class Hole:
    """The closed mask of a whole frame."""

    def __init__(self, scene, t: float) -> None:
        forward, backward, share = scene._throws(t)
        whole = scene.painter.thrower.source.whole
        with scene.painter.thrower.thrown(forward, backward, share, whole) as native:
            _, self.closed = scene.painter.paint(whole, native)


@pytest.mark.parametrize(("size", "closes"), [(68, True), (76, False)])
def test_only_holes_that_stay_open_are_filled(generator: Generator, size: int, closes: bool) -> None:
    photo = textured(200, 200)
    velocity = np.full((200, 200, 2), 1e-4, np.float32)
    velocity[60 : 60 + size, 60 : 60 + size] = (500, 500)
    scene = scene_of(photo, velocity, generator.networks())
    assert bool((Hole(scene, 30).closed > 0).all()) == closes
    assert np.array_equal(scene.frame(30), as_bytes(scene.decoded(30))) == closes


def test_the_filling_fades_smoothly() -> None:
    closed = np.ones((64, 64), np.float32)
    closed[20:40, 20:40] = 0
    share = hole_share(closed)
    assert (share[20:40, 20:40] == 1).all()
    assert (np.diff(share[30, 39 : 39 + FEATHER + 2]) <= 0).all()
    assert share[30, 39 + FEATHER] == 0
    assert np.abs(np.diff(share[30])).max() < 0.2


def test_a_velocity_of_another_size_is_refused(generator: Generator) -> None:
    with pytest.raises(StillflowError, match="does not fit"):
        scene_of(textured(40, 52), wandering(52, 40), generator.networks())


def test_nothing_that_moves_gives_the_photo(generator: Generator) -> None:
    photo = textured(40, 52)
    scene = scene_of(photo, np.zeros((40, 52, 2), np.float32), generator.networks())
    assert scene.windows == ()
    assert np.array_equal(scene.frame(9), photo)


def test_cycles_close_within_the_loop(generator: Generator) -> None:
    photo, velocity = textured(36, 44), wandering(36, 44)
    twice = scene_of(photo, SplatMotion(velocity, 2, 0.5), generator.networks())
    once = scene_of(photo, velocity, generator.networks(), seconds=1.0)
    assert (twice.frames, twice.cycles, twice.speed_scale) == (60, 2, 0.5)
    for t in (0, 7, 29, 30, 37, 60):
        assert np.array_equal(twice.frame(t), once.frame(t % 30))
    with pytest.raises(StillflowError, match="equal cycles"):
        scene_of(photo, SplatMotion(velocity, 7), generator.networks())
