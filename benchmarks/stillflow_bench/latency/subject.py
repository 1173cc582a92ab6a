# SPDX-License-Identifier: Apache-2.0
"""What is measured: bundle x engine x precision x device x size x moving share."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.photos import SIZES


class Subject(msgspec.Struct, frozen=True):
    """What runs, in words that a person may type: ``engine=openvino,precision=fp32,size=720p``.

    Attributes:
        bundle: name or path of one.
        engine: "auto", "onnxruntime", "openvino", "tensorrt" or "rtx".
        precision: "auto", "fp32", "fp16" or "int8".
        device: "auto", "cpu", "cuda" or "cuda:N".
        width: of the picture, pixels.
        height: likewise.
        moving: share of the picture that moves, 0..1; None: what the networks find.
        threads: of one run of a network; None: all cores.
        seconds: length of a loop.
        fps: frames a second.
    """

    bundle: str = "edge"
    engine: str = "auto"
    precision: str = "auto"
    device: str = "cpu"
    width: int = 1280
    height: int = 720
    moving: float | None = None
    threads: int | None = None
    seconds: float = 4.0
    fps: float = 30.0

    def __post_init__(self) -> None:
        if not (16 <= self.width <= 16384 and 16 <= self.height <= 16384):
            raise ValueError(f"no picture is {self.width}x{self.height} pixels; sides are 16 to 16384")
        if self.moving is not None and not 0 <= self.moving <= 1:
            raise ValueError(f"a share is between 0 and 1, not {self.moving}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"{self.threads} threads compute nothing")
        if not (0 < self.seconds < math.inf and 0 < self.fps < math.inf):
            raise ValueError(f"no loop lasts {self.seconds} seconds of {self.fps} frames")

    @property
    def size(self) -> str:
        """The size's name, such as 720p, or 1000x600 where it has none."""
        names = {size: name for name, size in SIZES.items()}
        return names.get((self.width, self.height), f"{self.width}x{self.height}")


def parse_subject(text: str, base: Subject | None = None) -> Subject:
    """Read a subject.

    Args:
        text: ``name=value`` pairs with commas between them; ``size`` is a name such as 720p, or 1000x600.
        base: what holds for names that are not there.

    Raises:
        StillflowError: an unknown name, or a value that it cannot have.
    """
    fields: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not sign:
            raise _refused(text, f"'{pair}' has no '='")
        if name == "size":
            fields["width"], fields["height"] = _size(text, value)
        else:
            fields[name] = None if value == "none" else value
    known = {entry.name for entry in msgspec.structs.fields(Subject)}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise _refused(text, f"there is no '{unknown[0]}'; there are size, {', '.join(sorted(known))}")
    whole = {**msgspec.structs.asdict(base or Subject()), **fields}
    try:
        return msgspec.convert(whole, Subject, strict=False)
    except msgspec.ValidationError as error:
        raise _refused(text, str(error)) from error


def _size(text: str, value: str) -> tuple[int, int]:
    if value in SIZES:
        return SIZES[value]
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise _refused(text, f"'{value}' is no size: {', '.join(SIZES)}, or 1000x600")
    return int(width), int(height)


def _refused(text: str, why: str) -> StillflowError:
    return StillflowError(f"cannot read the subject '{text}'", why, "write it like engine=openvino,size=720p")
