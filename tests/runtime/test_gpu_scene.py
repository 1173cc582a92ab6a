# SPDX-License-Identifier: Apache-2.0
"""A scene on a GPU gives the CPU's frames to every consumer, and everything back."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stillflow.assess import assess
from stillflow.errors import StillflowError
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError
from stillflow.gpu_scene import GpuScene
from stillflow.kernels.arrays import ByteArray
from stillflow.loop import Loop
from stillflow.player import Player
from stillflow.scene import Scene, build_scene
from stillflow.video import open_sink, record
from stillflow.video.colour import nv12
from stillflow.video.encoders import nvenc_trouble

from .scenes import falling_photo, random_arrays

pytestmark = pytest.mark.device

FRAMES = 8


@pytest.fixture(scope="module")
def falling() -> Scene:
    """A fall, of 8 frames, with sides that are no multiples of anything."""
    photo, motion = falling_photo(94, 131)
    return build_scene(photo, motion, seconds=1, fps=FRAMES)


@pytest.fixture
def playing(falling: Scene, cuda_device: CudaDevice) -> Iterator[GpuScene]:
    with GpuScene(falling, cuda_device) as scene:
        yield scene


def near(found: ByteArray, wanted: ByteArray, levels: int = 1) -> bool:
    return found.shape == wanted.shape and int(np.abs(found.astype(int) - wanted).max()) <= levels


def test_it_is_a_scene(playing: GpuScene, falling: Scene) -> None:
    for name in ("arrays", "fps", "frames", "height", "width", "speed_scale", "sources"):
        assert getattr(playing, name) == getattr(falling, name)
    assert (playing.matte == falling.matte).all()


def test_frames_agree_with_the_cpu(playing: GpuScene, falling: Scene) -> None:
    still = falling.matte == 0
    for t in (0, 1, 2.5, 7, -3, FRAMES, 1e6 + 0.5):
        found, wanted = playing.frame(t), falling.frame(t)
        assert near(found, wanted) and (found[still] == falling.arrays.photo[still]).all()
    assert (playing.frame(0) == playing.frame(FRAMES)).all()
    assert (playing.frame(1) != playing.frame(2)).any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_any_scene(seed: int, cuda_device: CudaDevice) -> None:
    arrays = random_arrays(
        np.random.default_rng(seed), 37 + seed, 50, harmonics=seed, blend=seed == 1, lights=seed
    )
    with GpuScene(Scene(arrays, 30.0), cuda_device) as scene:
        for t in (0.0, 0.3 * arrays.frames, 0.8 * arrays.frames):
            assert near(scene.frame(t), Scene(arrays, 30.0).frame(t))


def test_rows(playing: GpuScene, falling: Scene) -> None:
    whole = playing.frame(3)
    for y0, y1 in ((0, 1), (17, 60), (93, 94), (5, 5), (0, 94)):
        out = np.zeros((y1 - y0, playing.width, 3), np.uint8)
        playing.frame_rows(3, y0, y1, out)
        assert (out == whole[y0:y1]).all()
    spread = np.zeros((94, 2 * 131, 3), np.uint8)
    playing.frame_rows(3, 0, 94, spread[:, ::2])
    assert (spread[:, ::2] == whole).all() and not spread[:, 1::2].any()
    for y0, y1, shape in ((0, 95, (95, 131, 3)), (0, 94, (94, 130, 3)), (4, 3, (0, 131, 3))):
        with pytest.raises(ValueError, match="do not go"):
            playing.frame_rows(0, y0, y1, np.zeros(shape, np.uint8))


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("lanes", [None, 1, 5])
def test_played(reuse: bool, lanes: int | None, playing: GpuScene, falling: Scene) -> None:
    player = Player(playing, lanes=lanes)
    assert lanes is not None or player.lanes >= 3, "threads wait for the GPU, whatever the cores"
    for index, frame in player.frames(reuse=reuse):
        assert near(frame, falling.frame(index))


def test_frames_that_are_kept(playing: GpuScene, falling: Scene) -> None:
    kept = [frame for _, frame in Player(playing).frames()]
    for t in range(FRAMES):
        playing.frame(t + 0.5)
    assert all(near(frame, falling.frame(index)) for index, frame in enumerate(kept))


def test_nv12(playing: GpuScene, falling: Scene) -> None:
    view = playing.nv12()
    for index, frame in Player(view).frames(reuse=True):
        assert near(frame, nv12(playing.frame(index)))
    out = np.zeros(view.frame_shape, np.uint8)
    with pytest.raises(ValueError, match="NV12"):
        view.frame_rows(0, 0, 4, out)
    with pytest.raises(ValueError, match="NV12"):
        view.frame_rows(0, 0, view.height, out[:-1])


def loop_of(scene: Any, falling: Scene) -> Loop:
    photo, motion = falling_photo(94, 131)
    return Loop(photo, motion, scene, assess(photo, motion))


def read_back(array: Any, device: CudaDevice) -> ByteArray:
    """Any consumer's way: by the interface, on a stream of its own."""
    about = array.__cuda_array_interface__
    out = np.empty(about["shape"], np.dtype(about["typestr"]))
    stream = device.stream()
    device.download(about["data"][0], out, stream)
    stream.synchronize()
    stream.close()
    return out


@pytest.mark.parametrize("as_nv12", [False, True])
def test_frames_in_device_memory(
    as_nv12: bool, playing: GpuScene, falling: Scene, cuda_device: CudaDevice
) -> None:
    loop, count = loop_of(playing, falling), 0
    for index, frame in enumerate(loop.device_frames(nv12=as_nv12)):
        wanted = playing.frame(index)  # while the iterator holds lanes of its own
        assert near(read_back(frame, cuda_device), nv12(wanted) if as_nv12 else wanted)
        assert frame.__dlpack_device__() == (2, cuda_device.index) and frame.__dlpack__() is not None
        count += 1
    assert count == FRAMES


def test_frames_in_order_of_a_stream(playing: GpuScene, falling: Scene, cuda_device: CudaDevice) -> None:
    """Nothing is waited for on the host: each frame is copied by a stream of the consumer's, at the very end."""
    theirs, size = cuda_device.stream(), 94 * 131 * 3
    kept = cuda_device.pin(FRAMES * size)
    for index, frame in enumerate(loop_of(playing, falling).device_frames(stream=theirs)):
        assert frame.stream == theirs.handle
        cuda_device.download(frame.address, kept.array[index * size : (index + 1) * size], theirs)
    theirs.synchronize()
    for index in range(FRAMES):
        found = kept.array[index * size : (index + 1) * size].reshape(94, 131, 3)
        assert near(found, falling.frame(index))
    kept.close()
    theirs.close()


@pytest.mark.parametrize("end", ["break", "last"])
def test_a_stream_that_still_reads_when_the_scene_is_closed(
    end: str, falling: Scene, cuda_device: CudaDevice
) -> None:
    theirs, size = cuda_device.stream(), 94 * 131 * 3
    kept = cuda_device.pin(size)
    with GpuScene(falling, cuda_device) as scene:
        for index, frame in enumerate(scene.device_frames(stream=theirs)):
            cuda_device.download(frame.address, kept.array, theirs)
            if end == "break" and index == 4:
                break
    theirs.synchronize()
    assert near(kept.array.reshape(94, 131, 3), falling.frame(index))
    kept.close()
    theirs.close()


def test_loops_of_the_cpu_have_no_device_frames_but_nv12(falling: Scene) -> None:
    loop = loop_of(falling, falling)
    with pytest.raises(StillflowError, match="device='cuda'"):
        loop.device_frames()
    frames = list(loop.nv12_frames())
    assert len(frames) == FRAMES and all((f == nv12(falling.frame(k))).all() for k, f in enumerate(frames))
    loop.close()
    assert loop.frame(0).shape == (94, 131, 3)


def test_nv12_frames_of_a_loop(playing: GpuScene, falling: Scene) -> None:
    frames = list(loop_of(playing, falling).nv12_frames())
    assert len(frames) == FRAMES and all(near(f, nv12(playing.frame(k))) for k, f in enumerate(frames))


def decoded(path: Path) -> list[ByteArray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="yuv420p") for frame in file.decode(video=0)]


@pytest.mark.parametrize("encoder", ["auto", "software"])
def test_saved_as_mp4(encoder: str, playing: GpuScene, falling: Scene, tmp_path: Path) -> None:
    loop = loop_of(playing, falling)
    asked: list[str] = []
    render = playing._works.render

    def told(t: float, output: Any, out: ByteArray, offset: int) -> None:
        asked.append(output)
        render(t, output, out, offset)

    playing._works.render = told  # type: ignore[method-assign]
    assert loop.save(tmp_path / "gpu.mp4", loops=2, encoder=encoder) > 0
    assert set(asked) == {"nv12"} and len(asked) == FRAMES, "the GPU converts"
    if encoder == "software" or nvenc_trouble(132, 94, playing.device.index):
        assert loop.runs["encoder"] == "libx264"
        assert ("encoder_why" in loop.runs) == (encoder == "auto")
    loop_of(falling, falling).save(tmp_path / "cpu.mp4", loops=2)
    found, wanted = decoded(tmp_path / "gpu.mp4"), decoded(tmp_path / "cpu.mp4")
    assert len(found) == len(wanted) == 2 * FRAMES
    assert all(np.abs(a.astype(int) - b).mean() < 1 for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", ["loop.gif", "loop.webm", "loop.rgb"])
def test_saved_as_anything(name: str, playing: GpuScene, falling: Scene, tmp_path: Path) -> None:
    loop = loop_of(playing, falling)
    loop.runs.update(encoder="of another file", encoder_why="likewise")
    assert loop.save(tmp_path / name, alpha=name == "loop.webm") > 0
    assert loop.runs == ({"encoder": "libvpx-vp9"} if name == "loop.webm" else {})
    if name == "loop.rgb":
        played = np.fromfile(tmp_path / name, np.uint8).reshape(FRAMES, 94, 131, 3)
        assert all(near(frame, falling.frame(index)) for index, frame in enumerate(played))


def test_several_photos_at_once(falling: Scene, cuda_device: CudaDevice) -> None:
    rng = np.random.default_rng(5)
    scenes = [
        falling,
        *(Scene(random_arrays(rng, 40, 56 + 4 * k, harmonics=k, blend=False), 30.0) for k in (0, 1, 2)),
    ]
    wrong: list[str] = []

    def play(scene: Scene) -> None:
        with GpuScene(scene, cuda_device) as playing:
            wrong.extend(
                f"frame {index} of {scene.width}"
                for index, frame in Player(playing).frames(reuse=True)
                if not near(frame, scene.frame(index))
            )

    threads = [threading.Thread(target=play, args=(scene,)) for scene in scenes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_mapped_memory_where_it_is_faster(
    falling: Scene, cuda_device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where device and host share their memory, both ways are tried, and either gives the frames."""
    monkeypatch.setattr(cuda_device, "gpu", dataclasses.replace(cuda_device.gpu, integrated=True))
    with GpuScene(falling, cuda_device) as scene:
        for mapped in (None, True, False):
            if mapped is not None:
                assert "rgb" in scene._works._mapped
                scene._works._mapped["rgb"] = mapped
            for index, frame in Player(scene).frames(reuse=True):
                assert near(frame, falling.frame(index))


def test_closed(falling: Scene, cuda_device: CudaDevice) -> None:
    scene = GpuScene(falling, cuda_device)
    frames = scene.device_frames()
    next(frames)
    scene.close()
    scene.close()
    assert near(read_back(next(frames), cuda_device), falling.frame(1)), "what is out plays on"
    frames.close()
    with pytest.raises(ValueError, match="closed"):
        scene.frame(0)
    with pytest.raises(ValueError, match="at least 1"):
        GpuScene(falling, cuda_device, lanes=0)


def library() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def held() -> list[int]:
    gc.collect()
    return [library().stand_in_held(kind) for kind in range(7)]


@pytest.mark.stand_in
def test_everything_is_given_back(falling: Scene, cuda_device: CudaDevice, tmp_path: Path) -> None:
    GpuScene(falling, cuda_device).close()  # loads the kernels, which stay with the device
    before = held()
    for close in (True, False):
        scene = GpuScene(falling, cuda_device)
        assert sum(1 for _ in Player(scene).frames(reuse=True)) == FRAMES
        record(scene, open_sink(tmp_path / "loop.mp4", width=131, height=94, fps=8))
        left, unread = scene.device_frames(), Player(scene.nv12()).frames()
        next(left)
        next(unread)
        if close:
            left.close()
            unread.close()
            scene.close()
        del left, unread, scene
        assert held() == before


@pytest.mark.stand_in
@pytest.mark.parametrize("spare", [0.4, 1.3, 2.2])
def test_little_memory(spare: float, falling: Scene, cuda_device: CudaDevice) -> None:
    """The scene alone, a lane, and two lanes: frames, or one clear error, and all is given back."""
    with GpuScene(falling, cuda_device) as scene:
        empty = library().stand_in_used()
        scene.frame(0)
        lane = library().stand_in_used() - empty
    before = held()
    with GpuScene(falling, cuda_device, lanes=3) as scene:
        library().stand_in_memory(library().stand_in_used() + int(spare * lane))
        try:
            if spare < 1:
                with pytest.raises(OutOfMemoryError, match="--device cpu"):
                    scene.frame(0)
            else:
                for index, frame in Player(scene, lanes=4).frames():
                    assert near(frame, falling.frame(index))
                assert scene.lanes <= int(spare) + 1
        finally:
            library().stand_in_memory(1 << 33)
    assert held() == before


@pytest.mark.stand_in
def test_no_memory_for_the_scene(falling: Scene, cuda_device: CudaDevice) -> None:
    GpuScene(falling, cuda_device).close()
    before = held()
    library().stand_in_memory(library().stand_in_used() + 1000)
    try:
        with pytest.raises(OutOfMemoryError):
            GpuScene(falling, cuda_device)
    finally:
        library().stand_in_memory(1 << 33)
    assert held() == before


@pytest.mark.stand_in
def test_no_pinned_memory(falling: Scene, playing: GpuScene) -> None:
    """All but the eight bytes of a lane's time is refused: frames go the long way."""
    playing.frame(0)
    library().stand_in_fail(b"cuMemHostAlloc", 1, 2)
    buffer = playing.frame_buffer()
    playing.frame_rows(2, 0, 94, buffer)
    assert near(buffer, falling.frame(2))


@pytest.mark.stand_in
def test_a_device_that_is_lost_while_it_plays(
    falling: Scene, cuda_device: CudaDevice, tmp_path: Path
) -> None:
    seen = []

    def play(scene: GpuScene) -> None:
        with closing(Player(scene, lanes=1, queue=1).frames()) as frames:
            for index, frame in frames:
                seen.append(frame)
                if index == 2:
                    library().stand_in_lose(700)

    scene = GpuScene(falling, cuda_device)
    try:
        with pytest.raises(LostDeviceError):
            play(scene)
        assert 3 <= len(seen) < FRAMES and all(near(f, falling.frame(k)) for k, f in enumerate(seen))
        with pytest.raises(LostDeviceError):
            record(scene, open_sink(tmp_path / "loop.mp4", width=131, height=94, fps=8))
        assert list(tmp_path.iterdir()) == []
    finally:
        library().stand_in_lose(0)
        scene.close()


CLOSED_WHILE_LOST = """
import ctypes, numpy as np
from stillflow.gpu.cuda_core import open_device
from stillflow.gpu_scene import GpuScene
from stillflow.kernels.arrays import SceneArrays
from stillflow.scene import Scene
photo, zeros = np.zeros((32, 32, 3), np.uint8), np.zeros((8, 8, 2), np.float32)
ones, inside, low = np.ones((8, 8), np.uint8), np.ones((8, 8), np.float32), np.zeros((8, 8, 3), np.float32)
sway = np.zeros((0, 8, 8, 4), np.float32)
arrays = SceneArrays(photo, photo, photo[..., 0].copy(), zeros, ones, ones, inside, sway, None, low, 4)
scene = GpuScene(Scene(arrays, 30.0), open_device(0))
kept, frames = scene.frame_buffer(), scene.device_frames()
scene.frame(1), next(frames)
ctypes.CDLL("libcuda.so.1").stand_in_lose(700)
frames.close()
scene.close()
"""


@pytest.mark.stand_in
def test_closed_after_the_device_was_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_WHILE_LOST], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.stand_in
def test_the_interpreter_runs_on_while_a_frame_is_waited_for(cuda_device: CudaDevice) -> None:
    """The stand-in takes a good part of a second for this frame, in the call that waits for it."""
    photo, motion = falling_photo(240, 320)
    with GpuScene(build_scene(photo, motion, seconds=1, fps=4), cuda_device) as scene:
        thread = threading.Thread(target=scene.frame, args=(1.5,))
        turns = 0
        thread.start()
        while thread.is_alive():
            turns += 1
    assert turns > 1000


@pytest.mark.stand_in
def test_a_graph_that_cannot_be_made(
    falling: Scene, playing: GpuScene, caplog: pytest.LogCaptureFixture
) -> None:
    library().stand_in_fail(b"cuGraphInstantiateWithFlags", 1, 801)
    with caplog.at_level(logging.WARNING):
        for index, frame in Player(playing, lanes=3).frames():
            assert near(frame, falling.frame(index))
    library().stand_in_fail(b"cuGraphInstantiateWithFlags", 0, 0)
    assert len([line for line in caplog.messages if "one by one" in line]) <= 1
