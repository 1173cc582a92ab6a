# SPDX-License-Identifier: Apache-2.0
"""What a worker does for each request."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillflow.errors import StillflowError
from stillflow.worker.pixels import Layout
from stillflow.worker.requests import Animate, Bake, Close, Frames, Id, Open, Request, Save
from stillflow.worker.shared_memory import Slots
from stillflow.worker.wire import MOST_PAYLOAD, Message, Wire

if TYPE_CHECKING:
    from stillflow.guidance import Guidance
    from stillflow.loop import AnyScene, Loop

MOST_LOOPS = 64
"""Loops that may be open; one takes some 30 bytes for each of its pixels."""

Check = Callable[[Id], None]


class CancelledError(Exception):
    """The client does not want the answer any more."""


@dataclass(frozen=True)
class Held:
    """A loop that the client may ask for.

    Attributes:
        scene: renders its frames.
        loop: what the animator made; None where it was opened.
        about: what the file said of itself that was opened.
    """

    scene: AnyScene
    loop: Loop | None
    about: Mapping[str, Any] | None = None


class Jobs:
    """Serves requests; keeps the loops that were made.

    Args:
        wire: for replies before the last one.
        animator: makes the animator.
        check: called with a request's id between stages and frames; raises ``CancelledError``.
    """

    def __init__(self, wire: Wire, animator: Callable[[], Any], check: Check) -> None:
        self._wire = wire
        self._make_animator = animator
        self._animator: Any = None
        self._check = check
        self._loops: dict[str, Held] = {}
        self._made = 0
        self._slots: tuple[Id, Slots] | None = None

    def serve(self, request: Request, message: Message) -> dict[str, Any]:
        """Do what is asked.

        Returns:
            The last reply; "payload" in it is not JSON but the payload.

        Raises:
            StillflowError: the user can put it right.
            CancelledError: nobody wants it any more.
        """
        if isinstance(request, Animate):
            return self._animate(request, message.payload)
        if isinstance(request, Open):
            return self._open(request, message.payload)
        if isinstance(request, Frames):
            return self._frames(request)
        if isinstance(request, Bake):
            return self._bake(request)
        if isinstance(request, Save):
            return self._save(request)
        assert isinstance(request, Close)
        held = self._held(request.loop)
        del self._loops[request.loop]
        if held.loop is not None:
            held.loop.close()
        return {"type": "done", "id": request.id}

    def free(self, request: Id, index: int) -> None:
        """The client is done with a frame in shared memory."""
        current = self._slots
        if current is not None and current[0] == request:
            current[1].free(index)

    def close(self) -> None:
        """Let everything go."""
        for held in self._loops.values():
            if held.loop is not None:
                held.loop.close()
        self._loops.clear()
        if self._animator is not None:
            self._animator.close()

    def _animate(self, request: Animate, payload: bytes) -> dict[str, Any]:
        guidance = _guidance(request)
        self._room_for_one()
        if self._animator is None:
            self._animator = self._make_animator()

        def begun(stage: str, done: float) -> None:
            self._progress(request.id, stage, done)

        with _photo_file(request.photo, payload) as photo:
            loop = self._animator.animate(
                photo,
                guidance,
                seconds=request.seconds,
                fps=request.fps,
                size=request.size,
                strict=not request.force,
                progress=begun,
            )
        self._check(request.id)
        facts = {
            "moving": loop.moving_share,
            "runs": loop.runs,
            "warnings": loop.warnings,
            "verdict": loop.suitability.verdict,
            "score": loop.suitability.score,
            "reasons": loop.suitability.reasons,
            "strength": loop.strength,
            "seed": loop.seed,
        }
        return self._keep(request.id, Held(loop.scene, loop), facts)

    def _open(self, request: Open, payload: bytes) -> dict[str, Any]:
        from stillflow.baked import decode_baked, read_baked

        self._room_for_one()
        path = request.scene
        baked = read_baked(path) if path is not None else decode_baked(_needed(payload, "scene"))
        moving = float((baked.scene.matte > 1).mean())
        facts = {"moving": moving, "runs": {}, "warnings": (), "reasons": (), "about": baked.about}
        return self._keep(request.id, Held(baked.scene, None, baked.about), facts)

    def _frames(self, request: Frames) -> dict[str, Any]:
        scene = self._held(request.loop).scene
        layout = Layout(request.format, request.width or scene.width, request.height or scene.height)
        if layout.bytes > MOST_PAYLOAD:
            why = f"it has {layout.bytes} bytes, and {MOST_PAYLOAD} are the most"
            raise StillflowError(
                "cannot send such a frame", why, "ask for a smaller width and height, or nv12"
            )
        count = scene.frames if request.count is None else request.count
        times: Sequence[float] = range(request.first, request.first + count)
        if request.times is not None:
            times = request.times
        slots = None if request.memory is None else Slots(request.memory, layout.bytes)
        self._slots = None if slots is None else (request.id, slots)
        said = {
            "type": "frame",
            "id": request.id,
            "format": layout.format,
            "width": layout.width,
            "height": layout.height,
            "stride": layout.stride,
            "bytes": layout.bytes,
        }
        try:
            for index, t in enumerate(map(float, times)):
                self._check(request.id)
                data = layout.laid_out(scene.frame(t % scene.frames))
                if slots is None:
                    self._wire.send({**said, "index": index, "t": t}, data.data)
                else:
                    offset = slots.put(index, data, lambda: self._check(request.id))
                    self._wire.send({**said, "index": index, "t": t, "offset": offset})
        finally:
            self._slots = None
            if slots is not None:
                slots.close()
        return {"type": "done", "id": request.id, "frames": len(times)}

    def _bake(self, request: Bake) -> dict[str, Any]:
        from stillflow.baked import scene_bytes, write_scene
        from stillflow.baked.baking import about_loop
        from stillflow.baked.target import check_scene_target

        held = self._held(request.loop)
        about = held.about if held.loop is None else about_loop(held.loop)
        if request.scene is not None:
            path = check_scene_target(request.scene, overwrite=True)
            return {"type": "done", "id": request.id, "bytes": write_scene(held.scene, path, about=about)}
        data = scene_bytes(held.scene, about=about)
        if len(data) > MOST_PAYLOAD:
            why = f"it has {len(data)} bytes, and {MOST_PAYLOAD} are the most"
            raise StillflowError("cannot send the scene", why, "name a file: scene")
        return {"type": "done", "id": request.id, "bytes": len(data), "payload": data}

    def _save(self, request: Save) -> dict[str, Any]:
        from stillflow.output import check_loop_target
        from stillflow.video import open_sink, record

        scene = self._held(request.loop).scene
        if request.output == "-":
            raise StillflowError(
                "cannot write frames to standard output", "replies go there", "ask for frames instead"
            )
        check_loop_target(request.output, overwrite=True)
        sink = open_sink(
            request.output,
            width=scene.width,
            height=scene.height,
            fps=scene.fps,
            loops=request.loops,
            encoder="software",
        )

        def progress(done: int, total: int) -> None:
            self._progress(request.id, "frames", done / total)

        written = record(scene, sink, progress=progress)
        return {"type": "done", "id": request.id, "bytes": written}

    def _progress(self, request: Id, stage: str, done: float) -> None:
        self._check(request)
        self._wire.send({"type": "progress", "id": request, "stage": stage, "done": round(done, 4)})

    def _keep(self, request: Id, held: Held, facts: dict[str, Any]) -> dict[str, Any]:
        self._made += 1
        name = f"loop-{self._made}"
        self._loops[name] = held
        scene = held.scene
        size = {"width": scene.width, "height": scene.height, "frames": scene.frames, "fps": scene.fps}
        return {"type": "loop", "id": request, "loop": name, **size, **facts}

    def _held(self, name: str) -> Held:
        if name not in self._loops:
            there = ", ".join(self._loops) or "none"
            raise StillflowError(
                f"there is no loop {name!r}", f"open are: {there}", "use the name that a loop reply said"
            )
        return self._loops[name]

    def _room_for_one(self) -> None:
        if len(self._loops) >= MOST_LOOPS:
            why = f"{MOST_LOOPS} are open"
            raise StillflowError("cannot open another loop", why, "close those that you do not need")


@contextmanager
def _photo_file(path: str | None, payload: bytes) -> Iterator[Path]:
    """The photo that was named, or a file with the payload, which is removed in the end."""
    if path is not None:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="stillflow-") as folder:
        file = Path(folder) / "photo"
        file.write_bytes(_needed(payload, "photo"))
        yield file


def _needed(payload: bytes, what: str) -> bytes:
    if not payload:
        why, fix = "neither a path nor a payload came", f"say {what}, or send its bytes"
        raise StillflowError(f"there is no {what}", why, fix)
    return payload


def _guidance(request: Animate) -> Guidance:
    from stillflow.guidance import Arrow, Guidance

    for numbers in request.arrows:
        if len(numbers) not in (4, 5):
            why = f"it has {len(numbers)} numbers instead of 4 or 5"
            raise StillflowError(
                "cannot use an arrow", why, "give [x0, y0, x1, y1] or [x0, y0, x1, y1, seconds]"
            )
    arrows = tuple(Arrow(*numbers) for numbers in request.arrows)
    strength = 1.0 if request.force and request.strength is None else request.strength
    return Guidance(request.mask, request.still, arrows, strength, request.seed)
