# SPDX-License-Identifier: Apache-2.0
"""A GPU that has too little memory, refuses or is lost: right frames or one clear error, and all is given back."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.features.feature_scene import FeatureScene, build_feature_scene
from stillflow.features.gpu_feature_scene import GpuFeatureScene, build_gpu_feature_scene
from stillflow.features.networks import FeatureNetworks
from stillflow.features.tiles import Arrays, TiledGraph
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError
from stillflow.photo import Photo
from stillflow.player import Player

from ..gpu.clocks import fail, held, stand_in
from ..scenes import textured
from .device_sessions import on_device

pytestmark = [pytest.mark.device, pytest.mark.stand_in]

FRAMES = 4
OUT_OF_MEMORY, INVALID_VALUE, ILLEGAL_ADDRESS = 2, 1, 700
EVERYTHING = 1 << 33
"""Bytes of the stand-in when nothing is short."""


def encoder(inputs: Arrays) -> Arrays:
    """Colours are the features, bright ones are heavy."""
    return {"features": inputs["photo"].copy(), "weight": inputs["photo"].mean(1, keepdims=True)}


def decoder(inputs: Arrays) -> Arrays:
    """Lets what landed through, blurred, and closes small holes."""
    mask = inputs["mask"][0, 0]
    blurred = [cv2.blur(plane * mask, (3, 3)) for plane in inputs["features"][0]]
    frame = np.stack(blurred) / np.maximum(cv2.blur(mask, (3, 3)), 0.1)
    closed = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    return {"frame": frame[None].astype(np.float32), "closed": closed[None, None]}


def networks() -> FeatureNetworks:
    def graph(run: Callable[[Arrays], Arrays]) -> TiledGraph:
        return TiledGraph(run, 4, 8, 1 << 30)

    return FeatureNetworks(graph(encoder), graph(decoder), None, 4, None, 0.0, 1 << 20)


def about(height: int, width: int) -> tuple[Photo, np.ndarray, FeatureNetworks]:
    velocity = np.zeros((height, width, 2), np.float32)
    velocity[4:-4, 4:-4] = (2.3, -0.7)
    return Photo.from_array(textured(height, width)), velocity, networks()


@contextmanager
def played(device: CudaDevice, height: int, width: int) -> Iterator[GpuFeatureScene]:
    parts = about(height, width)
    sessions = on_device(parts[2], device)
    try:
        with build_gpu_feature_scene(*parts, sessions, device, seconds=1, fps=FRAMES) as scene:
            yield scene
    finally:
        for session in sessions.values():
            for lane in list(session.lanes.values()):
                for array in lane:
                    array.close()


def expected(height: int, width: int) -> FeatureScene:
    return build_feature_scene(*about(height, width), seconds=1, fps=FRAMES)


def right(scene: GpuFeatureScene, wanted: FeatureScene) -> bool:
    return all(np.abs(scene.frame(t).astype(int) - wanted.frame(t)).max() <= 1 for t in (1, 2))


@pytest.mark.parametrize(
    ("function", "status"), [("cuMemAlloc", OUT_OF_MEMORY), ("cuLaunchKernel", INVALID_VALUE)]
)
def test_whatever_call_fails_everything_is_given_back(
    cuda_device: CudaDevice, function: str, status: int
) -> None:
    wanted = expected(36, 44)
    with played(cuda_device, 36, 44) as scene:  # loads the kernels, which stay with the device
        assert right(scene, wanted)
    gc.collect()
    before, failures, number = held(), 0, 0
    while True:
        number += 1 if number < 8 else 5  # the first ones in turn, then samples: each try makes a whole scene
        called = stand_in().stand_in_calls(function.encode())
        fail(function, number, status)
        try:
            with played(cuda_device, 36, 44) as scene:
                assert right(scene, wanted)
        except OutOfMemoryError:
            assert status == OUT_OF_MEMORY
            failures += 1
        except StillflowError:
            assert status == INVALID_VALUE
            failures += 1
        finally:
            fail(function, 0, 0)
        gc.collect()
        assert held() == before, f"the {number}th call of {function}"
        if stand_in().stand_in_calls(function.encode()) - called < number:
            break
    assert failures > 10


def test_fewer_lanes_then_smaller_tiles_then_an_error(cuda_device: CudaDevice) -> None:
    wanted = expected(60, 420)
    with played(cuda_device, 60, 420) as scene:
        empty = stand_in().stand_in_used()
        scene.frame(0)
        lane = stand_in().stand_in_used() - empty
    for room, lanes, tiles in ((1.5, 1, 1), (0.96, 1, 2), (0.3, 0, 0)):
        with played(cuda_device, 60, 420) as scene:
            stand_in().stand_in_memory(stand_in().stand_in_used() + int(room * lane))
            try:
                if lanes == 0:
                    with pytest.raises(OutOfMemoryError, match="--device cpu"):
                        scene.frame(0)
                    continue
                for index, frame in Player(scene, lanes=2).frames():
                    assert np.abs(frame.astype(int) - wanted.frame(index)).max() <= 1
                assert scene.lanes == lanes
                found = scene.painter.tiles(scene.painter.plan.windows, scene.painter._graph)
                assert (len(found) > 1) == (tiles > 1)
            finally:
                stand_in().stand_in_memory(EVERYTHING)


def test_a_device_that_is_lost_while_it_plays(cuda_device: CudaDevice) -> None:
    with played(cuda_device, 36, 44) as scene:
        scene.frame(1)
        stand_in().stand_in_lose(ILLEGAL_ADDRESS)
        try:
            with pytest.raises(LostDeviceError):
                scene.frame(2)
            with pytest.raises(LostDeviceError):
                scene.frame(3)
        finally:
            stand_in().stand_in_lose(0)
