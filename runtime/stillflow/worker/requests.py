# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a worker: one struct a type, checked when it is read (docs/worker.md)."""

from __future__ import annotations

import math
from typing import Annotated, Union

import msgspec

from stillflow.errors import StillflowError

Id = Union[
    Annotated[str, msgspec.Meta(max_length=64)], Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
]
Name = Annotated[str, msgspec.Meta(max_length=64)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\0]+\Z")]
Side = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Animate(msgspec.Struct, tag="animate"):
    """Make a loop of a photo."""

    id: Id
    photo: Path | None = None
    seconds: float = 4.0
    fps: float = 30.0
    size: int | None = 3840
    strength: float | None = None
    seed: int = 0
    arrows: Annotated[list[list[float]], msgspec.Meta(max_length=64)] = []
    mask: Path | None = None
    still: Path | None = None
    force: bool = False


class Open(msgspec.Struct, tag="open"):
    """Open a baked scene."""

    id: Id
    scene: Path | None = None


class Memory(msgspec.Struct):
    """Shared memory of the client's: ``slots`` frames side by side."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^/?[^/\0]+\Z")]
    bytes: Annotated[int, msgspec.Meta(ge=1)]
    slots: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1


class Frames(msgspec.Struct, tag="frames"):
    """Render frames of a loop."""

    id: Id
    loop: Name
    first: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)] = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None
    times: Annotated[list[float], msgspec.Meta(max_length=100_000)] | None = None
    format: str = "rgb"
    width: Side | None = None
    height: Side | None = None
    memory: Memory | None = None


class Bake(msgspec.Struct, tag="bake"):
    """Write a loop as a baked scene."""

    id: Id
    loop: Name
    scene: Path | None = None


class Save(msgspec.Struct, tag="save"):
    """Write a loop as a video."""

    id: Id
    loop: Name
    output: Path
    loops: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1


class Close(msgspec.Struct, tag="close"):
    """Let a loop go."""

    id: Id
    loop: Name


class Cancel(msgspec.Struct, tag="cancel"):
    """Stop another request."""

    id: Id
    request: Id


class Free(msgspec.Struct, tag="free"):
    """A frame in shared memory may be overwritten."""

    id: Id
    index: Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Bye(msgspec.Struct, tag="bye"):
    """End."""

    id: Id


Request = Union[Animate, Open, Frames, Bake, Save, Close, Cancel, Free, Bye]

_DECODER = msgspec.json.Decoder(Request)


class _Told(msgspec.Struct):
    """As much of a request as an answer needs."""

    id: Id | None = None


def read_request(text: bytes) -> Request:
    """Read a request.

    Raises:
        StillflowError: it is no JSON, of an unknown type, or a member is missing or out of range.
    """
    try:
        request: Request = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StillflowError("cannot read a request", str(error), "see docs/worker.md") from error
    if isinstance(request, Frames) and request.times and not all(map(math.isfinite, request.times)):
        raise StillflowError("cannot read a request", "a time is not finite", "give times in frames")
    return request


def id_of(text: bytes) -> str | int | None:
    """The id of what may be no request; None where there is none."""
    try:
        return msgspec.json.decode(text, type=_Told).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
