# SPDX-License-Identifier: Apache-2.0
"""GPU feature scene: a feature scene that is encoded, thrown, decoded and put together on a GPU.

Behind the calls of ``FeatureScene``, and as device arrays and NV12 as ``GpuScene`` gives them. Frames agree with the
CPU's to one grey level where the networks compute in float32.
"""

from __future__ import annotations

from collections.abc import Mapping

from stillflow.errors import StillflowError
from stillflow.features.feature_scene import plan_feature_scene
from stillflow.features.gpu_networks import DeviceSessions
from stillflow.features.gpu_painter import GpuPainter
from stillflow.features.networks import FeatureNetworks
from stillflow.features.splat_motion import SplatMotion
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu_scene import LANES, GpuPlay
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.photo import Photo


class GpuFeatureScene(GpuPlay):
    """One photo, encoded on a GPU and ready to be played. Made by ``build_gpu_feature_scene``.

    A frame is a CUDA graph where its networks can be recorded; elsewhere its few dozen launches are made one by one,
    which is little beside what its decoder takes.

    Args:
        painter: makes the frames; closed with this object.
        fps: frames a second.
        lanes: frames in the works at a time; fewer where the device's memory is short.
    """

    def __init__(self, painter: GpuPainter, fps: float, lanes: int = LANES) -> None:
        plan = painter.plan
        self.painter = painter
        self.photo: ByteArray = plan.photo
        self.matte: ByteArray = plan.matte
        self.cycles: int = plan.cycles
        self.speed_scale: float = plan.speed_scale
        self.sources: Mapping[str, str] = {"plate": "decoder", "blend": "symmetric_splat"}
        super().__init__(
            painter,
            painter.device,
            frames=plan.frames,
            fps=fps,
            size=(plan.photo.shape[0], plan.photo.shape[1]),
            lanes=lanes,
            moves=bool(plan.windows),
            graphs=painter.recordable,
        )

    def decoded(self, t: float) -> FloatArray:
        """What the network paints at time t, all of it, before the matte, the filling of holes and rounding.

        Returns:
            (H, W, 3) float32 -1..1.
        """
        return self.painter.decoded(t)


def build_gpu_feature_scene(
    photo: Photo,
    moving: SplatMotion | FloatArray,
    networks: FeatureNetworks,
    sessions: DeviceSessions,
    device: CudaDevice,
    *,
    seconds: float = 4.0,
    fps: float = 30.0,
    lanes: int = LANES,
) -> GpuFeatureScene:
    """Encode a photo on a GPU and prepare a loop.

    Args:
        photo: the picture, of any size.
        moving: how it moves, or just its velocity, (H, W, 2) float32 pixels a frame; what has none stays the photo.
        networks: of a bundle whose loop rule is symmetric_splat: how graphs are cut into tiles. Their own ``run`` is
            not called.
        sessions: the same graphs on the device, by name; they stay the caller's and must stay open.
        device: where everything happens.
        seconds: length of the loop, > 0.
        fps: frames a second, > 0; the loop has round(seconds * fps) frames.
        lanes: frames in the works at a time; fewer, and then smaller tiles, where the device's memory is short.

    Returns:
        The scene.

    Raises:
        OutOfMemoryError: the features of the photo, or not even the smallest tile, fit into the device's memory.
        StillflowError: a velocity of another size, cycles that are no whole number of frames, or a graph that runs on
            another device.
    """
    elsewhere = [name for name, session in sessions.items() if session.cuda.index != device.index]
    if elsewhere:
        raise StillflowError(
            f"cannot play on CUDA device {device.index}",
            f"the graph {elsewhere[0]} was loaded for another device",
            "open all graphs of a bundle on the device that plays",
        )
    plan = plan_feature_scene(photo, moving, networks, max(1, round(seconds * fps)))
    painter = GpuPainter(plan, networks, sessions, device)
    try:
        return GpuFeatureScene(painter, fps, lanes)
    except BaseException:
        painter.close()
        raise
