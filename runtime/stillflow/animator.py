# SPDX-License-Identifier: Apache-2.0
"""The face of the library: a photo goes in, a loop comes out."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from stillflow.errors import StillflowError
from stillflow.guidance import Guidance, Hints
from stillflow.loop import AnyScene
from stillflow.loop import Loop as Loop
from stillflow.photo import Photo, load_photo

if TYPE_CHECKING:
    from stillflow.assess import Suitability
    from stillflow.build.builder import Orders
    from stillflow.bundle import Bundle, Manifest
    from stillflow.flow import Run
    from stillflow.motion import Motion
    from stillflow.sessions import Session
    from stillflow.sessions.choice import Choice

log = logging.getLogger(__name__)

MAX_SECONDS = 60.0
"""Longest loop. The same motion repeats after that; use more loops instead of longer ones."""

MAX_FPS = 240.0
"""Highest frame rate; no common player shows more."""

Progress = Callable[[str, float], None]
"""Called with a stage as it begins and the share of the stages that is done, 0..1."""

STAGES = ("read", "motion", "assess", "scene")

Ask = Callable[[str], "Run"]
"""Gives the ``run`` of a network by its name."""


class Animator:
    """Turns photos into loops. Keeps the networks loaded, so that the second photo is quick.

    Args:
        bundle: an opened bundle, the path of one, the name of a shipped one, or None for the default.
        engine: what runs the networks: "auto", "tensorrt", "rtx", "onnxruntime" or "openvino".
        precision: which of each network's files: "fp32", "fp16" or "int8"; "auto" or None: fp16 on a GPU where the
            bundle's receipts say that it passed, else the bundle's default.
        device: where networks and frames are computed: "auto" (a GPU that can be used, else the CPU), "cpu", "cuda" or
            "cuda:1". ``choice`` says what was chosen, and why.
        allow_fallback: let single nodes, or a whole network, run on the CPU where the GPU cannot; ``warnings`` and
            a loop's ``runs`` say which.
        building: says how an engine of TensorRT is built that was asked for and is not in the cache; None: silently.

    May be used from several threads at once.

    Raises:
        StillflowError: the bundle is unknown, malformed or too new, or a word means nothing. A damaged network, a
            device or an engine that is not available shows when the first photo needs it.
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str] | None = None,
        engine: str = "auto",
        precision: str | None = None,
        device: str = "auto",
        allow_fallback: bool = False,
        *,
        building: Callable[[], Orders] | None = None,
    ) -> None:
        from stillflow.bundle import Bundle
        from stillflow.sessions.networks import Networks
        from stillflow.sessions.wish import Wish

        wish = Wish.of(device, engine, precision, allow_fallback)
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        self.engine = engine
        self.precision = precision
        self.networks = Networks(self.bundle, wish, building)

    @property
    def choice(self) -> Choice:
        """The device, engine and precision that are used here, and why.

        Raises:
            StillflowError: what was asked for is not here.
        """
        return self.networks.choice

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not as asked, or not as fast as it could be, of what has run so far."""
        return self.networks.warnings

    def session(self, graph: str) -> Session:
        """Return the loaded network of that name, loading it at the first call."""
        return self.networks.session(graph)

    def close(self) -> None:
        """Let the networks go; the next photo loads them anew. Being let go does the same.

        Loops play on: one whose frames a network decodes keeps that network until it is closed or let go itself.
        """
        self.networks.close()

    def __enter__(self) -> Animator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def animate(
        self,
        photo: Photo | str | os.PathLike[str],
        guidance: Guidance | None = None,
        *,
        seconds: float = 4.0,
        fps: float = 30.0,
        size: int | None = None,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> Loop:
        """Make a loop of a photo.

        Args:
            photo: a Photo or the path of a picture file.
            guidance: where it moves and which way; None lets the network decide.
            seconds: length of the loop, > 0 and <= 60.
            fps: frames a second, 1..240.
            size: longest side of the loop in pixels; None keeps the photo's size.
            strict: refuse a photo that will not work; otherwise ``loop.suitability`` says so.
            progress: called with each stage (read, motion, assess, scene) as it begins and the share of them that is
                done; what it raises ends the making.

        Returns:
            The loop. Its frames are not rendered yet.

        Raises:
            StillflowError: something about the photo, the guidance or the numbers; it says how to fix it.
        """
        made = self.futures(
            photo, guidance, 1, seconds=seconds, fps=fps, size=size, strict=strict, progress=progress
        )
        return next(made)

    def futures(
        self,
        photo: Photo | str | os.PathLike[str],
        guidance: Guidance | None = None,
        count: int = 4,
        *,
        seconds: float = 4.0,
        fps: float = 30.0,
        size: int | None = None,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[Loop]:
        """Make several loops of a photo, each another way it could move.

        The photo is read once and the flow network runs once. Loops are made when the iterator is asked
        for them, so that only those in use take memory.

        Args:
            photo: a Photo or the path of a picture file.
            guidance: as for ``animate``. Its seed is the first future's; the others count up from there.
            count: how many, 1..64.
            seconds: length of the loop, > 0 and <= 60.
            fps: frames a second, 1..240.
            size: longest side of the loops in pixels; None keeps the photo's size.
            strict: refuse a photo that will not work; otherwise ``loop.suitability`` says so.
            progress: as for ``animate``, for each of them.

        Returns:
            The loops, one by one.

        Raises:
            StillflowError: as ``animate``, a count or a last seed out of range, or several futures of a
                given velocity.
        """
        from stillflow.futures import asked_once, check_futures

        check_timing(seconds, fps)
        seed = guidance.seed if guidance is not None else 0
        check_futures(count, seed, given=guidance is not None and guidance.velocity is not None)
        watch: dict[str, float] = {}
        told = progress or (lambda stage, done: None)
        with _stage(watch, "read", told):
            picture, hints = self._read(photo, guidance, size, fps)

        def one_by_one() -> Iterator[Loop]:
            ask = cache(lambda name: asked_once(self.session(name).run))
            for seed in range(hints.seed, hints.seed + count):
                stages = dict(watch) if seed == hints.seed else {"read": 0.0}
                drawn = replace(hints, seed=seed)
                yield self._loop(picture, drawn, ask, stages, told, seconds=seconds, fps=fps, strict=strict)

        return one_by_one()

    def _loop(
        self,
        picture: Photo,
        hints: Hints,
        ask: Ask,
        watch: dict[str, float],
        progress: Progress,
        *,
        seconds: float,
        fps: float,
        strict: bool,
    ) -> Loop:
        """Make one future: its motion, the verdict on it, a safer strength where that is open, the scene."""
        with _stage(watch, "motion", progress):
            motion = self._motion(picture, hints, ask)
        from stillflow.assess import assess

        with _stage(watch, "assess", progress):
            suitability = assess(picture, motion, placed=hints.placed, seconds=seconds)
            if strict:
                suitability.refuse(picture.source.name if picture.source else "this photo")
            strength, why = hints.strength, "natural" if hints.adaptive else "given"
            if hints.adaptive and suitability.strength < 1:
                strength, why = suitability.strength, suitability.strength_why
                motion = self._motion(picture, replace(hints, strength=strength), ask)
        from stillflow.scenes import Order, make_scene

        told: list[str] = []
        with _stage(watch, "scene", progress):
            order = Order(self.bundle.manifest, self.networks, picture, motion, hints, seconds, fps)
            scene = make_scene(order, told)
        runs, warnings = self._runs(motion, scene, told), (*self.warnings, *told)
        return Loop(picture, motion, scene, suitability, watch, runs, hints.seed, strength, why, warnings)

    def motion(
        self,
        photo: Photo | str | os.PathLike[str],
        guidance: Guidance | None = None,
        *,
        size: int | None = None,
    ) -> Motion:
        """Say how a photo would move, without making a loop.

        Args:
            photo: a Photo or the path of a picture file.
            guidance: where it moves and which way; None lets the network decide.
            size: longest side in pixels; None keeps the photo's size.
        """
        picture, hints = self._read(photo, guidance, size)
        return self._motion(picture, hints, self._ask)

    def assess(self, photo: Photo | str | os.PathLike[str], guidance: Guidance | None = None) -> Suitability:
        """Say how well a photo lends itself to a loop, and why not."""
        from stillflow.assess import assess

        picture, hints = self._read(photo, guidance, None)
        return assess(picture, self._motion(picture, hints, self._ask), placed=hints.placed)

    def _read(
        self,
        photo: Photo | str | os.PathLike[str],
        guidance: Guidance | None,
        size: int | None,
        fps: float | None = None,
    ) -> tuple[Photo, Hints]:
        whole = photo if isinstance(photo, Photo) else load_photo(photo)
        picture = whole.fitted(size)
        hints = (guidance or Guidance()).resolve(picture.height, picture.width, fps)
        check_context(self.bundle.manifest, hints)
        return picture, hints

    def _ask(self, name: str) -> Run:
        return self.session(name).run

    def _motion(self, picture: Photo, hints: Hints, ask: Ask) -> Motion:
        from stillflow.flow import predict_motion
        from stillflow.futures import draw_future

        manifest = self.bundle.manifest
        motion = predict_motion(picture, hints, ask("flow"), manifest.outputs, manifest.sizes.flow_long_side)
        asked = "velocity_guided" if hints.arrows else "velocity_unguided"
        if manifest.outputs[asked] == "scene_flow" and hints.velocity is None:
            from stillflow.scene_flow import scene_velocity

            graph = self.bundle.graph("scene_flow")
            velocity = scene_velocity(picture, motion, hints, ask("scene_flow"), graph)
            sources = {**motion.sources, "velocity": "scene_flow"}
            motion = replace(motion, velocity=velocity, sources=sources)
        return draw_future(motion, hints)

    def _runs(self, motion: Motion, scene: AnyScene, told: list[str]) -> dict[str, str]:
        self.session("flow")  # a velocity from a file may have needed no network so far
        # A generator that throws features plays what flows, and neither sway nor light.
        splat = self.bundle.manifest.loop.rule == "symmetric_splat"
        sources = {k: v for k, v in motion.sources.items() if not (splat and k in ("sway", "light"))}
        painter = self.choice.painter if hasattr(scene, "device") else "cpu kernels"
        return {
            "bundle": self.bundle.manifest.name,
            **self.networks.ran(painter, told),
            **sources,
            **scene.sources,
        }


def check_context(manifest: Manifest, hints: Hints) -> None:
    """Refuse a text's context where no network reads one.

    Args:
        manifest: of the bundle.
        hints: resolved guidance.

    Raises:
        StillflowError: there is a context, and nobody for it.
    """
    reads = any(t.name == "context" for g in manifest.graphs if g.name == "scene_flow" for t in g.inputs)
    if hints.context is not None and not reads:
        raise StillflowError(
            "cannot use a context",
            f"no network of the bundle {manifest.name} reads a text",
            "leave out --context, or use a bundle with a text-conditioned scene_flow network",
        )


def check_timing(seconds: float, fps: float) -> None:
    """Refuse a length or a frame rate that makes no loop.

    Args:
        seconds: length of the loop.
        fps: frames a second.

    Raises:
        StillflowError: a value is not finite or out of range, or fewer than 2 frames would come out.
    """
    if not math.isfinite(seconds) or not 0 < seconds <= MAX_SECONDS:
        raise StillflowError(
            f"cannot make a loop of {seconds:g} seconds",
            f"it must be above 0 and at most {MAX_SECONDS:g}",
            "give 4, for example; --loops repeats it in the file",
        )
    if not math.isfinite(fps) or not 1 <= fps <= MAX_FPS:
        raise StillflowError(
            f"cannot make {fps:g} frames a second",
            f"the frame rate must lie between 1 and {MAX_FPS:g}",
            "give 24, 25, 30 or 60",
        )
    if round(seconds * fps) < 2:
        raise StillflowError(
            f"cannot make a loop of {seconds:g} s at {fps:g} fps",
            f"it would have {round(seconds * fps)} frames, and the least is 2",
            "give more seconds or more frames a second",
        )


@contextmanager
def _stage(watch: dict[str, float], name: str, progress: Progress) -> Iterator[None]:
    progress(name, STAGES.index(name) / len(STAGES))
    started = time.perf_counter()
    yield
    watch[name] = time.perf_counter() - started
    log.debug("%s took %.3f s", name, watch[name])
