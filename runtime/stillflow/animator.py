# SPDX-License-Identifier: Apache-2.0
"""The face of the library: a photo goes in, a loop comes out."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stillflow.errors import StillflowError
from stillflow.guidance import Guidance, Hints
from stillflow.photo import ByteArray, Photo, load_photo

if TYPE_CHECKING:
    from stillflow.assess import Suitability
    from stillflow.bundle import Bundle
    from stillflow.flow import Run
    from stillflow.generator import Generator
    from stillflow.motion import Motion
    from stillflow.scene import Scene
    from stillflow.sessions import Session
    from stillflow.video import Batch

log = logging.getLogger(__name__)

MAX_SECONDS = 60.0
"""Longest loop. The same motion repeats after that; use more loops instead of longer ones."""

MAX_FPS = 240.0
"""Highest frame rate; no common player shows more."""

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all) after every frame."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A seamless loop, ready to be shown or saved. Frames are rendered when asked for.

    Attributes:
        photo: the photo at the loop's size.
        motion: what the networks and the user say about how it moves.
        scene: the geometry that frames are made of.
        suitability: how well this photo lends itself to a loop.
        seconds: time each stage took: read, motion, assess, scene; and video once saved. What several
            futures share counts for the first.
        runs: what ran: engine, provider, and per output "network" or the baseline's name.
        seed: which future of the photo this is.
        strength: factor on every speed that was used.
        strength_why: "given", "natural", or in plain words why it was lowered.
    """

    photo: Photo
    motion: Motion
    scene: Scene
    suitability: Suitability
    seconds: dict[str, float] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    strength: float = 1.0
    strength_why: str = "natural"

    def __len__(self) -> int:
        return self.scene.frames

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.scene.fps

    @property
    def moving_share(self) -> float:
        """How much of the picture moves, 0..1."""
        # A matte of 1 is touched by light alone.
        return float((self.scene.matte > 1).mean())

    def frame(self, index: int) -> ByteArray:
        """Render one frame.

        Args:
            index: any whole number; the loop repeats, so frame(len(loop)) is frame(0).

        Returns:
            (H, W, 3) uint8 RGB.
        """
        return self.scene.frame(index % len(self))

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        loops: int = 1,
        format: str | None = None,
        alpha: bool = False,
        progress: Progress | None = None,
        batch: Batch | None = None,
    ) -> int:
        """Write the loop to a file, a numbered sequence, or standard output.

        The file appears under its name when it is complete; after an error or an interruption nothing
        is left of it.

        Args:
            path: .mp4, .webm, .webp, .gif, .apng or .png (which animates too); a folder ending in / or
                a pattern like frames/%04d.png for numbered pictures; "-" for raw RGB on standard output.
            loops: how often the loop is repeated in the file; webp, gif and apng repeat for ever with 1.
            format: one of the formats above, when the name does not say it.
            alpha: keep only the moving layer, transparent elsewhere (webm).
            progress: called with (frames done, frames in all) after every frame.
            batch: outputs that appear together (``stillflow.video.Batch``); this one waits for its commit.

        Returns:
            Bytes written.

        Raises:
            StillflowError: the format is unknown, the folder is missing, read-only or full.
        """
        from stillflow.video import open_sink, record

        started = time.perf_counter()
        sink = open_sink(
            path,
            width=self.scene.width,
            height=self.scene.height,
            fps=self.fps,
            format=format,
            loops=loops,
            matte=self.scene.matte if alpha else None,
        )
        if batch is not None:
            batch.hold(sink)
        written = record(self.scene, sink, progress=progress)
        self.seconds["video"] = time.perf_counter() - started
        return written


class Animator:
    """Turns photos into loops. Keeps the networks loaded, so that the second photo is quick.

    Args:
        bundle: an opened bundle, the path of one, the name of a shipped one, or None for the default.
        engine: what runs the networks: "auto", or a name that ``stillflow doctor`` lists.

    Raises:
        StillflowError: the bundle is unknown, malformed or too new. A damaged network or an engine that
            is not available shows when the first photo needs it.
    """

    def __init__(self, bundle: Bundle | str | os.PathLike[str] | None = None, engine: str = "auto") -> None:
        from stillflow.bundle import Bundle

        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        self.engine = engine
        self._sessions: dict[str, Session] = {}

    def session(self, graph: str) -> Session:
        """Return the loaded network of that name, loading it at the first call."""
        if graph not in self._sessions:
            self._sessions[graph] = self.bundle.session(graph, self.engine)
        return self._sessions[graph]

    def animate(
        self,
        photo: Photo | str | os.PathLike[str],
        guidance: Guidance | None = None,
        *,
        seconds: float = 4.0,
        fps: float = 30.0,
        size: int | None = None,
        strict: bool = False,
    ) -> Loop:
        """Make a loop of a photo.

        Args:
            photo: a Photo or the path of a picture file.
            guidance: where it moves and which way; None lets the network decide.
            seconds: length of the loop, > 0 and <= 60.
            fps: frames a second, 1..240.
            size: longest side of the loop in pixels; None keeps the photo's size.
            strict: refuse a photo that will not work; otherwise ``loop.suitability`` says so.

        Returns:
            The loop. Its frames are not rendered yet.

        Raises:
            StillflowError: something about the photo, the guidance or the numbers; it says how to fix it.
        """
        futures = self.futures(photo, guidance, 1, seconds=seconds, fps=fps, size=size, strict=strict)
        return next(futures)

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

        Returns:
            The loops, one by one.

        Raises:
            StillflowError: as ``animate``, and a count or a last seed out of range.
        """
        from stillflow.futures import asked_once, check_futures

        check_timing(seconds, fps)
        seed = guidance.seed if guidance is not None else 0
        check_futures(count, seed)
        watch: dict[str, float] = {}
        with _stage(watch, "read"):
            picture, hints = self._read(photo, guidance, size)

        def one_by_one() -> Iterator[Loop]:
            ask = asked_once(self.session("flow").run)
            for seed in range(hints.seed, hints.seed + count):
                stages = dict(watch) if seed == hints.seed else {"read": 0.0}
                drawn = replace(hints, seed=seed)
                yield self._loop(picture, drawn, ask, stages, seconds=seconds, fps=fps, strict=strict)

        return one_by_one()

    def _loop(
        self,
        picture: Photo,
        hints: Hints,
        ask: Run,
        watch: dict[str, float],
        *,
        seconds: float,
        fps: float,
        strict: bool,
    ) -> Loop:
        """Make one future: its motion, the verdict on it, a safer strength where that is open, the scene."""
        with _stage(watch, "motion"):
            motion = self._motion(picture, hints, ask)
        from stillflow.assess import assess
        from stillflow.scene import build_scene

        with _stage(watch, "assess"):
            suitability = assess(picture, motion, placed=hints.placed, seconds=seconds)
            if strict:
                suitability.refuse(picture.source.name if picture.source else "this photo")
            strength, why = hints.strength, "natural" if hints.adaptive else "given"
            if hints.adaptive and suitability.strength < 1:
                strength, why = suitability.strength, suitability.strength_why
                motion = self._motion(picture, replace(hints, strength=strength), ask)
        with _stage(watch, "scene"):
            outputs = self.bundle.manifest.outputs
            scene = build_scene(
                picture, motion, seconds=seconds, fps=fps, generator=self._generator(), outputs=outputs
            )
        runs = self._runs(motion, scene)
        return Loop(picture, motion, scene, suitability, watch, runs, hints.seed, strength, why)

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
        return self._motion(picture, hints, self.session("flow").run)

    def assess(self, photo: Photo | str | os.PathLike[str], guidance: Guidance | None = None) -> Suitability:
        """Say how well a photo lends itself to a loop, and why not."""
        from stillflow.assess import assess

        picture, hints = self._read(photo, guidance, None)
        return assess(picture, self._motion(picture, hints, self.session("flow").run), placed=hints.placed)

    def _read(
        self, photo: Photo | str | os.PathLike[str], guidance: Guidance | None, size: int | None
    ) -> tuple[Photo, Hints]:
        whole = photo if isinstance(photo, Photo) else load_photo(photo)
        picture = whole.fitted(size)
        return picture, (guidance or Guidance()).resolve(picture.height, picture.width)

    def _motion(self, picture: Photo, hints: Hints, ask: Run) -> Motion:
        from stillflow.flow import predict_motion
        from stillflow.futures import draw_future

        manifest = self.bundle.manifest
        motion = predict_motion(picture, hints, ask, manifest.outputs, manifest.sizes.flow_long_side)
        return draw_future(motion, hints)

    def _generator(self) -> Generator | None:
        """Return the generator network, None when the bundle plays the closed forms instead."""
        outputs = self.bundle.manifest.outputs
        if "network" not in (outputs.get("plate"), outputs.get("blend")):
            return None
        from stillflow.generator import generator_from

        return generator_from(self.session("generator").run)

    def _runs(self, motion: Motion, scene: Scene) -> dict[str, str]:
        session = self.session("flow")
        return {
            "bundle": self.bundle.manifest.name,
            "engine": session.engine,
            "provider": session.provider,
            **motion.sources,
            **scene.sources,
        }


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
def _stage(watch: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    watch[name] = time.perf_counter() - started
    log.debug("%s took %.3f s", name, watch[name])
