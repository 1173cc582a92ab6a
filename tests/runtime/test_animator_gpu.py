# SPDX-License-Identifier: Apache-2.0
"""Loops whose frames a GPU makes, through the face of the library; the CPU's frames are the measure."""

from __future__ import annotations

import ctypes
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.animator import Animator
from stillflow.bundle import Bundle
from stillflow.cli import main
from stillflow.errors import StillflowError
from stillflow.features.gpu_feature_scene import GpuFeatureScene
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.shared import shared_device
from stillflow.gpu_scene import GpuScene
from stillflow.guidance import Guidance
from stillflow.kernels.arrays import ByteArray
from stillflow.photo import Photo
from stillflow.sessions.facts import Built, Trouble
from stillflow.sessions.machine import Machine

from .features.device_sessions import RoundTrip

pytestmark = pytest.mark.device


@pytest.fixture(autouse=True)
def no_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in this machine's cache."""
    monkeypatch.setattr(Machine, "engine", lambda self, *of: Built())


@pytest.fixture
def networks_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever wheel is installed: frames alone are compared here."""
    monkeypatch.setattr(Machine, "onnxruntime_cuda", lambda self: Trouble("told so", "tell otherwise"))


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Networks that take and give arrays on the GPU, and compute on the CPU; their graphs, as they are opened."""
    opened: list[str] = []
    real = Bundle.session

    def session(self: Bundle, graph: str, engine: str, **how: Any) -> Any:
        opened.append(f"{graph} {how['precision']} {engine} {how['device']}")
        found = real(self, graph, "onnxruntime", precision="fp32", device="cpu")
        return RoundTrip(found.run, how["cuda"]) if how["device"] != "cpu" else found

    monkeypatch.setattr(Bundle, "session", session)
    monkeypatch.setattr(Machine, "onnxruntime_cuda", lambda self: None)
    return opened


def furthest(loop: Any, other: Any) -> int:
    """Largest difference of two loops' frames, grey levels."""
    assert len(loop) == len(other)
    return max(int(np.abs(loop.frame(i).astype(int) - other.frame(i)).max()) for i in range(len(loop)))


@pytest.mark.usefixtures("networks_on_the_cpu")
def test_frames_of_geometry(cuda_device: CudaDevice, default_bundle: Path, scenery: ByteArray) -> None:
    photo = Photo.from_array(scenery)
    loop = Animator(default_bundle).animate(photo, seconds=0.5, fps=8)
    assert isinstance(loop.scene, GpuScene) and loop.arrays.frames == len(loop) == 4
    assert loop.runs["frames"] == f"cuda kernels on {cuda_device.gpu.name}"
    assert loop.runs["device"] == "cpu" and len(loop.warnings) == 1 and "told so" in loop.warnings[0]
    plain = Animator(default_bundle, device="cpu").animate(photo, seconds=0.5, fps=8)
    assert plain.runs["frames"] == "cpu kernels"
    assert np.array_equal(loop.frame(0), plain.frame(0)) and furthest(loop, plain) <= 1


def test_networks_and_frames_on_the_gpu(
    cuda_device: CudaDevice, default_bundle: Path, scenery: ByteArray, round_trips: list[str]
) -> None:
    loop = Animator(default_bundle, device="cuda").animate(Photo.from_array(scenery), seconds=0.5, fps=8)
    assert round_trips == ["flow fp16 onnxruntime cuda:0", "generator fp16 onnxruntime cuda:0"]
    name = cuda_device.gpu.name
    assert (loop.runs["device"], loop.runs["precision"]) == (f"cuda:0 ({name})", "fp16")
    assert loop.runs["frames"] == f"cuda kernels on {name}" and loop.warnings == ()


@pytest.mark.usefixtures("cuda_device")
def test_frames_that_a_network_decodes(source_tree: Path, scenery: ByteArray, round_trips: list[str]) -> None:
    golden = source_tree / "tests" / "data" / "bundles" / "golden-1.1"
    drift = np.zeros((24, 32, 2), np.float32)
    drift[12:, 16:, 0] = 0.5
    photo, guidance = Photo.from_array(scenery), Guidance(velocity=drift)
    with Animator(golden, device="cuda") as animator:
        loop = animator.animate(photo, guidance, seconds=0.5, fps=8)
    assert isinstance(loop.scene, GpuFeatureScene) and "cuda kernels" in loop.runs["frames"]
    assert {line.split()[0] for line in round_trips} >= {"flow", "encoder", "decoder"}
    with pytest.raises(StillflowError, match="a network decodes its frames"):
        _ = loop.arrays
    with Animator(golden, device="cpu") as animator:
        plain = animator.animate(photo, guidance, seconds=0.5, fps=8)
    assert plain.runs["frames"] == "cpu kernels"
    assert furthest(loop, plain) <= 1
    loop.close()


@pytest.mark.usefixtures("cuda_device", "networks_on_the_cpu")
def test_threads_share_an_animator_and_a_gpu(default_bundle: Path, scenery: ByteArray) -> None:
    photos = [Photo.from_array(np.roll(scenery, 16 * k, axis=1)) for k in range(3)]
    shared, found = Animator(default_bundle), {}

    def animate(number: int) -> None:
        loop = shared.animate(photos[number], seconds=0.5, fps=8)
        found[number] = [loop.frame(i) for i in range(4)]

    threads = [threading.Thread(target=animate, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, photo in enumerate(photos):
        alone = Animator(default_bundle).animate(photo, seconds=0.5, fps=8)
        assert all(np.array_equal(alone.frame(i), found[number][i]) for i in range(4))


@pytest.mark.usefixtures("networks_on_the_cpu", "default_bundle")
def test_the_program_says_what_made_the_frames(
    cuda_device: CudaDevice, photo_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["animate", str(photo_file), "-o", str(tmp_path / "loop.gif"), "--seconds", "0.5", "--fps", "8"]
    assert main([*words, "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["runs"]["frames"] == f"cuda kernels on {cuda_device.gpu.name}"
    assert err.count("stillflow: warning: the networks run on the CPU: ") == 1
    assert main([*words, "--overwrite", "--device", "cuda"]) == 2
    assert "--allow-fallback" in capfd.readouterr().err
    assert main([*words, "--overwrite", "--device", "cuda", "--allow-fallback"]) == 0
    assert f"frames by cuda kernels on {cuda_device.gpu.name}: cuda was asked for" in capfd.readouterr().out


@pytest.mark.stand_in
@pytest.mark.usefixtures("networks_on_the_cpu")
def test_a_gpu_that_nobody_asked_for_and_that_is_full_leaves_the_loop_to_the_cpu(
    cuda_device: CudaDevice, default_bundle: Path, scenery: ByteArray
) -> None:
    photo, driver = Photo.from_array(scenery), ctypes.CDLL("libcuda.so.1")
    driver.stand_in_used.restype = ctypes.c_size_t
    driver.stand_in_memory.argtypes = (ctypes.c_size_t,)
    asked = Animator(default_bundle, device="cuda", allow_fallback=True)
    before = driver.stand_in_used()
    loop = asked.animate(photo, seconds=0.5, fps=8)
    scene = driver.stand_in_used() - before
    loop.close()
    shared_device(0).trim()
    played = set()
    try:
        # None of the scene, all of it and nothing of a lane, a part of one, and enough.
        for room in (scene // 2, scene + 1000, scene + scene // 4, 8 * scene):
            driver.stand_in_memory(driver.stand_in_used() + room)
            with Animator(default_bundle) as animator:
                open_loop = animator.animate(photo, seconds=0.5, fps=8)
            assert open_loop.frame(3).any()
            frames = open_loop.runs["frames"].split()[0]
            assert (frames == "cpu") == any(
                "frames are made on the CPU" in line for line in open_loop.warnings
            )
            played.add(frames)
            open_loop.close()
            shared_device(0).trim()
            driver.stand_in_memory(1 << 33)
        assert played == {"cpu", "cuda"}
    finally:
        driver.stand_in_memory(1 << 33)
