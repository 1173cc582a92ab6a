# SPDX-License-Identifier: Apache-2.0
"""A short video of a fixed camera: its first frame is a photo, and its frames are what truly happened next.

Its bytes are not trusted. The demuxer is the one that the name stands for and reads from an open file, so that a
playlist under a video's name opens nothing else; how much memory the frames take is known before they are kept.
"""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray
from stillflow.photo import Photo

DEMUXERS = {
    ".mp4": "mov",
    ".m4v": "mov",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "matroska",
    ".avi": "avi",
}
"""Ending of a name, in small letters -> the only demuxer that may read such a file."""

MAX_PIXELS = 8192 * 4320
"""Of one decoded frame."""

MAX_BYTES = 1 << 30
"""Of all kept frames together: 165 frames of 1920x1080, 690 of 960x540."""

MAX_FPS = 240.0
"""Frames a second; no loop has more."""

_FIX = f"give a short video of a fixed camera: {', '.join(DEMUXERS)}"


@dataclass(frozen=True, eq=False)
class Clip:
    """The beginning of a video.

    Attributes:
        frames: (N, H, W, 3) uint8 RGB, N >= 2, frame i at i / fps seconds.
        fps: frames a second.
        name: stem of its file.
    """

    frames: ByteArray
    fps: float
    name: str

    @property
    def photo(self) -> Photo:
        """The first frame."""
        return Photo.from_array(self.frames[0])


def is_clip(path: Path) -> bool:
    """Whether a file's name says that it is a video."""
    return path.suffix.lower() in DEMUXERS


def read_clip(path: str | os.PathLike[str], *, size: int, seconds: float) -> Clip:
    """Read the beginning of a video, scaled like a photo.

    Args:
        path: a file whose name ends like one of ``DEMUXERS``.
        size: longest side in pixels; a smaller video is never enlarged.
        seconds: how much of it; a shorter one is read to its end.

    Returns:
        The clip. Where frames do not come evenly, each moment has the one nearest in time.

    Raises:
        StillflowError: no such file, not such a video, damaged, fewer than two frames, too large, another frame rate
            than 1 to 240, or a frame that is too small for a photo.
    """
    path = Path(path)
    what = f"cannot read the clip {path.name}"
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise StillflowError(what, "there is no such file", _FIX) from error
    # Before it is opened: that would wait for somebody to write to a pipe.
    if not stat.S_ISREG(status.st_mode):
        raise StillflowError(what, "it is not a plain file", _FIX)
    if not is_clip(path):
        raise StillflowError(what, f"its name ends in {path.suffix!r}", _FIX)
    import av

    try:
        with path.open("rb") as file, av.open(file, format=DEMUXERS[path.suffix.lower()]) as container:
            if not container.streams.video:
                raise StillflowError(what, "there are no pictures in it", _FIX)
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise StillflowError(what, "nothing here can decode it", _FIX)
            _check_size(stream, what)
            fps = _rate(stream, what)
            kept, times = _decoded(container, stream, size, seconds, fps, what)
    # A damaged file ends in any of FFmpeg's errors; times and sizes that make no sense end in Python's.
    except (av.error.FFmpegError, OSError, ValueError, ArithmeticError, LookupError, MemoryError) as error:
        raise StillflowError(what, f"it is damaged or no such video ({str(error)[:200]})", _FIX) from error
    if len(kept) < 2:
        why = f"it has {len(kept)} frame{'' if len(kept) == 1 else 's'}, and one frame is a photo"
        raise StillflowError(what, why, _FIX)
    moments = np.arange(min(len(kept), max(2, round(seconds * fps)))) / fps
    nearest = np.abs(np.asarray(times)[None] - moments[:, None]).argmin(1)
    return Clip(np.stack([kept[i] for i in nearest]), fps, path.stem)


def _check_size(pictures: Any, what: str) -> None:
    """Refuse a stream or a frame by its size."""
    if not 0 < pictures.width * pictures.height <= MAX_PIXELS:
        raise StillflowError(what, f"its frames are {pictures.width}x{pictures.height}", _FIX)


def _rate(stream: Any, what: str) -> float:
    rate = float(stream.average_rate or 0)
    if not (math.isfinite(rate) and 1 <= rate <= MAX_FPS):
        why = f"it says {rate:g} frames a second; 1 to {MAX_FPS:g} can be played"
        raise StillflowError(what, why, _FIX)
    return rate


def _decoded(
    container: Any, stream: Any, size: int, seconds: float, fps: float, what: str
) -> tuple[list[ByteArray], list[float]]:
    """Decode frames up to a time, and the seconds at which each is shown, from 0 on."""
    kept: list[ByteArray] = []
    times: list[float] = []
    for frame in container.decode(stream):
        _check_size(frame, what)
        shown = float(frame.time) if frame.time is not None else len(times) / fps
        # Twice as many as there should be: times that do not pass are no reason to read on for ever.
        if len(kept) >= 2 and (shown - times[0] > seconds - 0.5 / fps or len(kept) > 2 * seconds * fps + 2):
            break
        times.append(shown)
        pixels = _upright(frame.to_ndarray(format="rgb24"), frame.rotation)
        picture = Photo.from_array(pixels).fitted(size).pixels
        if kept and picture.shape != kept[0].shape:
            raise StillflowError(what, "its frames change their size", _FIX)
        if (len(kept) + 1) * picture.nbytes > MAX_BYTES:
            raise StillflowError(
                what,
                f"{len(kept) + 1} frames of {picture.shape[1]}x{picture.shape[0]} take more than 1 GiB",
                "ask for less of it: --seconds 2, or --size 640",
            )
        kept.append(picture)
    return kept, [time - times[0] for time in times]


def _upright(pixels: npt.NDArray[np.uint8], rotation: float) -> ByteArray:
    """Turn a frame as its container says, in quarters; ``rotation`` is in degrees, counterclockwise."""
    return np.ascontiguousarray(np.rot90(pixels, round(rotation / 90) % 4))
