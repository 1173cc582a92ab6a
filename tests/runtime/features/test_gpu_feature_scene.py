# SPDX-License-Identifier: Apache-2.0
"""A feature scene on a GPU gives the frames of the CPU: one and two layers, holes, tiles, any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="the generators here run in torch: pip install 'stillflow[export]'"
)

from stillflow.bundle import Bundle  # noqa: E402
from stillflow.errors import StillflowError  # noqa: E402
from stillflow.features.feature_scene import FeatureScene, build_feature_scene  # noqa: E402
from stillflow.features.gpu_feature_scene import GpuFeatureScene, build_gpu_feature_scene  # noqa: E402
from stillflow.features.networks import FeatureNetworks, feature_networks  # noqa: E402
from stillflow.features.splat_motion import SplatMotion  # noqa: E402
from stillflow.gpu.layer import CudaDevice  # noqa: E402
from stillflow.photo import Photo  # noqa: E402
from stillflow.player import Player  # noqa: E402
from stillflow.video.colour import nv12  # noqa: E402

from ..scenes import textured  # noqa: E402
from .device_sessions import RoundTrip, copying, on_device, plain_networks  # noqa: E402
from .generators import Generator  # noqa: E402
from .test_feature_scene import HOLES, wandering  # noqa: E402

pytestmark = pytest.mark.device

FRAMES = 60

Both = Callable[..., tuple[GpuFeatureScene, FeatureScene, dict[str, RoundTrip]]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads cost more than they bring at this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator()


@pytest.fixture
def both(cuda_device: CudaDevice) -> Iterator[Both]:
    """Makes a scene on the device and the same on the CPU."""
    with ExitStack() as owned:

        def make(
            photo: np.ndarray,
            moving: SplatMotion | np.ndarray,
            networks: FeatureNetworks,
            seconds: float = 2.0,
            largest: int | None = None,
        ) -> tuple[GpuFeatureScene, FeatureScene, dict[str, RoundTrip]]:
            sessions = on_device(networks, cuda_device, largest)
            for session in sessions.values():
                owned.callback(session.close)
            about = Photo.from_array(photo), moving, networks
            played = build_gpu_feature_scene(*about, sessions, cuda_device, seconds=seconds, fps=30)
            owned.callback(played.close)
            return played, build_feature_scene(*about, seconds=seconds, fps=30), sessions

        yield make


def near(found: np.ndarray, wanted: np.ndarray, levels: int = 1) -> bool:
    return found.shape == wanted.shape and int(np.abs(found.astype(int) - wanted).max()) <= levels


@pytest.mark.parametrize(
    "how",
    [
        {"weight_floor": None},
        {"weight_floor": -0.5},
        {"layers": True, "edge_share": 1 / 600},
    ],
)
def test_frames_are_those_of_the_cpu(both: Both, generator: Generator, how: dict) -> None:
    photo, velocity = textured(40, 52), wandering(40, 52)
    played, scene, _ = both(photo, velocity, generator.networks(**how))
    for t in (0, 15, 30.25, 59, -3, 1e6 + 0.5):
        assert np.abs(played.decoded(t) - scene.decoded(t)).max() <= 1e-5, t
        assert near(played.frame(t), scene.frame(t)), t
    assert np.ptp(scene.decoded(15)) > 0.5, "a frame of one colour proves nothing"
    for name in ("frames", "fps", "height", "width", "cycles", "speed_scale", "sources"):
        assert getattr(played, name) == getattr(scene, name)


def test_the_alpha_may_share_the_weight_of_the_features(both: Both, generator: Generator) -> None:
    from dataclasses import replace

    networks = replace(generator.networks(layers=True), alpha_weight="features")
    played, scene, _ = both(textured(36, 40), wandering(36, 40), networks)
    assert np.abs(played.decoded(20) - scene.decoded(20)).max() <= 1e-5


@pytest.mark.parametrize(
    ("where", "layers"), [("middle", True), ("top", False), ("right", True), ("middle", False)]
)
def test_holes_are_filled_as_on_the_cpu(both: Both, generator: Generator, where: str, layers: bool) -> None:
    photo = textured(200, 200)
    velocity = np.full((200, 200, 2), 1e-4, np.float32)
    velocity[HOLES[where]] = (500, 500)
    played, scene, _ = both(photo, velocity, generator.networks(layers=layers))
    frame, expected = played.frame(30), scene.frame(30)
    assert near(frame, expected)
    unfilled = np.clip(np.rint((scene.decoded(30) + 1) * 127.5), 0, 255)
    assert np.abs(expected - unfilled).max() > 5, "this hole is closed by the network"


def test_only_what_moves_is_decoded_and_the_rest_is_the_photo(both: Both, generator: Generator) -> None:
    photo = textured(320, 400)
    velocity = np.zeros((320, 400, 2), np.float32)
    velocity[41:97, 30:90] = (1.5, 0.5)
    velocity[243:290, 331:388] = (-1.0, 0.25)
    played, scene, sessions = both(photo, velocity, generator.networks())
    still = scene.matte == 0
    for t in (0, 44.5):
        sessions["decoder"].sizes.clear()
        frame = played.frame(t)
        assert near(frame, scene.frame(t))
        assert np.array_equal(frame[still], photo[still])
        assert len(sessions["decoder"].sizes) == 2
        assert sum(sessions["decoder"].sizes) < 0.8 * 320 * 400


def test_tiles_show_no_difference(both: Both, generator: Generator) -> None:
    photo, velocity = textured(60, 420), wandering(60, 420)
    played, _, sessions = both(photo, velocity, generator.networks(layers=True), largest=200)
    whole, scene, _ = both(photo, velocity, generator.networks(layers=True))
    sessions["decoder"].sizes.clear()
    assert near(played.frame(17), scene.frame(17))
    assert len(sessions["decoder"].sizes) > 2 and len(set(sessions["decoder"].sizes)) == 1
    assert np.abs(whole.decoded(17) - played.decoded(17)).max() <= 1e-5


def test_every_consumer_gets_the_frames(both: Both, generator: Generator) -> None:
    velocity = wandering(56, 72)
    velocity[:, :20] = 0
    played, scene, _ = both(textured(56, 72), velocity, generator.networks(), seconds=0.2)
    expected = [scene.frame(t) for t in range(6)]
    for t, frame in Player(played).frames(reuse=True):
        assert near(frame, expected[t])
    rows = np.zeros((20, 72, 3), np.uint8)
    played.frame_rows(3.0, 13, 33, rows)
    assert near(rows, expected[3][13:33])
    for t, frame in Player(played.nv12()).frames():
        assert near(frame, nv12(expected[t]), 2)
    fetched = []
    for array in played.device_frames():
        out = np.empty(array.shape, np.uint8)
        stream = played.device.stream()
        played.device.download(array.address, out, stream)
        stream.synchronize()
        stream.close()
        fetched.append(out)
    assert all(near(a, b) for a, b in zip(fetched, expected, strict=True))


@pytest.mark.parametrize("shape", [(16, 16), (17, 35), (37, 53)])
def test_any_size(both: Both, generator: Generator, shape: tuple[int, int]) -> None:
    played, scene, _ = both(textured(*shape), wandering(*shape), generator.networks())
    assert near(played.frame(11), scene.frame(11))
    assert np.abs(played.decoded(11) - scene.decoded(11)).max() <= 1e-5


def test_nothing_that_moves_gives_the_photo(both: Both, generator: Generator) -> None:
    photo = textured(40, 52)
    played, _, sessions = both(photo, np.zeros((40, 52, 2), np.float32), generator.networks())
    assert np.array_equal(played.frame(9), photo)
    assert not sessions["decoder"].sizes


def test_cycles_close_within_the_loop(both: Both, generator: Generator) -> None:
    moving = SplatMotion(wandering(36, 44), 2, 0.5)
    played, scene, _ = both(textured(36, 44), moving, generator.networks())
    for t in (0, 7, 37):
        assert near(played.frame(t), scene.frame(t))
    assert np.array_equal(played.frame(7), played.frame(37))


def test_a_graph_of_another_device_is_refused(
    both: Both, generator: Generator, cuda_device: CudaDevice
) -> None:
    networks = generator.networks()
    sessions = on_device(networks, cuda_device)
    sessions["decoder"].cuda = SimpleNamespace(index=cuda_device.index + 1)
    with pytest.raises(StillflowError, match="decoder"):
        build_gpu_feature_scene(
            Photo.from_array(textured(40, 52)), wandering(40, 52), networks, sessions, cuda_device
        )


def test_a_bundle_plays(cuda_device: CudaDevice, source_tree: Path) -> None:
    """Its ONNX graphs, run by the CPU's session between the kernels of the device."""
    bundle = Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.1")
    networks = feature_networks(bundle.manifest, lambda name: bundle.session(name).run)
    sessions = on_device(networks, cuda_device)
    about = Photo.from_array(textured(75, 130)), wandering(75, 130), networks
    scene = build_feature_scene(*about, seconds=1, fps=10)
    with build_gpu_feature_scene(*about, sessions, cuda_device, seconds=1, fps=10) as played:
        for t in (0, 3, 7.5):
            assert np.abs(played.decoded(t) - scene.decoded(t)).max() <= 1e-5, t
            assert near(played.frame(t), scene.frame(t)), t
    for session in sessions.values():
        session.close()


def test_a_frame_is_a_graph_where_networks_can_be_recorded(cuda_device: CudaDevice) -> None:
    networks = plain_networks()
    about = Photo.from_array(textured(60, 72)), wandering(60, 72), networks
    sessions = copying(cuda_device)
    scene = build_feature_scene(*about, seconds=1, fps=12)
    with build_gpu_feature_scene(*about, sessions, cuda_device, seconds=1, fps=12) as played:
        for t, frame in Player(played, lanes=2).frames():
            assert near(frame, scene.frame(t)), t
        calls = sessions["decoder"].calls
        for t in (0.5, 3.25, 11, -2):
            assert near(played.frame(t), scene.frame(t)), t
        if cuda_device.graphs:
            assert sessions["decoder"].calls == calls, "a frame was launched piece by piece"
    for session in sessions.values():
        session.close()
