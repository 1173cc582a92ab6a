# SPDX-License-Identifier: Apache-2.0
"""Which kind of scene a bundle makes of a motion, and whether the CPU or a GPU plays it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillflow.bundle.manifest import Manifest
from stillflow.guidance import Hints
from stillflow.loop import AnyScene
from stillflow.motion import Motion
from stillflow.photo import Photo
from stillflow.sessions.networks import Networks

if TYPE_CHECKING:
    from stillflow.features.gpu_feature_scene import GpuFeatureScene
    from stillflow.generator import Generator
    from stillflow.gpu.layer import CudaDevice
    from stillflow.gpu_scene import GpuScene, Play


@dataclass(frozen=True, eq=False)
class Order:
    """What a loop is to be made of.

    Attributes:
        manifest: of the bundle: its loop rule says which kind of scene.
        networks: of the bundle, where they were chosen to run.
        picture: the photo at the loop's size.
        motion: how it moves.
        hints: resolved guidance.
        seconds: length of the loop, > 0.
        fps: frames a second, > 0.
    """

    manifest: Manifest
    networks: Networks
    picture: Photo
    motion: Motion
    hints: Hints
    seconds: float
    fps: float


def make_scene(order: Order, told: list[str]) -> AnyScene:
    """Prepare a loop.

    Args:
        order: what it is made of.
        told: a warning is added, where a GPU was chosen to play it and does not.

    Raises:
        StillflowError: a network or the GPU that was asked for fails.
    """
    decoded = order.manifest.loop.rule == "symmetric_splat"
    return _decoded(order, told) if decoded else _composed(order, told)


def _decoded(order: Order, told: list[str]) -> AnyScene:
    """A scene whose frames a network decodes."""
    from stillflow.features.feature_scene import build_feature_scene
    from stillflow.features.networks import BYTES_A_PIXEL, feature_networks
    from stillflow.features.splat_motion import splat_motion

    picture, networks, seconds, fps = order.picture, order.networks, order.seconds, order.fps
    moving = splat_motion(picture, order.motion, order.hints, seconds=seconds, fps=fps)
    graphs = feature_networks(order.manifest, lambda name: networks.session(name).run)

    def played(device: CudaDevice) -> GpuFeatureScene:
        from stillflow.features.gpu_feature_scene import build_gpu_feature_scene

        names = [name for name in BYTES_A_PIXEL if order.manifest.graph(name) is not None]
        sessions = networks.on_device(names, device)
        made = build_gpu_feature_scene(picture, moving, graphs, sessions, device, seconds=seconds, fps=fps)
        return _playable(order, made)

    scene = networks.on_gpu(played, told)
    return scene or build_feature_scene(picture, moving, graphs, seconds=seconds, fps=fps)


def _composed(order: Order, told: list[str]) -> AnyScene:
    """A scene whose frames are geometry."""
    from stillflow.scene import build_scene

    scene = build_scene(
        order.picture,
        order.motion,
        seconds=order.seconds,
        fps=order.fps,
        generator=_generator(order.manifest, order.networks),
        outputs=order.manifest.outputs,
    )

    def played(device: CudaDevice) -> GpuScene:
        from stillflow.gpu_scene import GpuScene

        return _playable(order, GpuScene(scene, device))

    return order.networks.on_gpu(played, told) or scene


def _playable(order: Order, scene: Play) -> Play:
    """A scene that a GPU plays; where the CPU may do it instead, a shortage of memory has to show now."""
    if order.networks.choice.open:
        try:
            scene.take_lane()
        except BaseException:
            scene.close()
            raise
    return scene


def _generator(manifest: Manifest, networks: Networks) -> Generator | None:
    """The generator network; None when the bundle plays the closed forms instead."""
    if "network" not in (manifest.outputs.get("plate"), manifest.outputs.get("blend")):
        return None
    from stillflow.generator import generator_from

    return generator_from(networks.session("generator").run)
