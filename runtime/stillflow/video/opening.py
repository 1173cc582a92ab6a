# SPDX-License-Identifier: Apache-2.0
"""From a name to a sink: which format it is, whether it can be written, and the sink that does it."""

from __future__ import annotations

import math
import os
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.video.apng import ApngSink
from stillflow.video.destination import open_destination
from stillflow.video.encoders import Chosen, check_choice, choose_encoder
from stillflow.video.gif import GifSink
from stillflow.video.packets import MatteProvider, PacketSink
from stillflow.video.raw import RawSink
from stillflow.video.sequence import SequenceSink, sequence_destination
from stillflow.video.sink import Sink
from stillflow.video.webp import WebpSink

ByteArray = npt.NDArray[np.uint8]

FORMATS: dict[str, str] = {
    "mp4": "H.264, plays everywhere",
    "webm": "VP9, smaller, with an alpha channel if asked",
    "webp": "animated picture for the web, endless",
    "gif": "255 colours, endless, plays everywhere",
    "apng": "lossless animated PNG, endless",
    "png": "numbered PNG files, lossless",
    "raw": "RGB24 bytes, rows top down",
}
"""Name -> what it is good for."""

SUFFIXES = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".webm": "webm",
    ".webp": "webp",
    ".gif": "gif",
    ".apng": "apng",
    ".png": "apng",  # one .png file that moves; a pattern or a folder is a sequence
    ".rgb": "raw",
    ".raw": "raw",
}

TRIED_SIZE = (1280, 720)
"""Width and height at which hardware is tried while those of the output are not known."""

LARGEST_SIDE = {"mp4": 16384, "webm": 16384, "webp": 16383, "gif": 65535}
"""Pixels: x264's and libvpx's limits, WebP's 14 bits, GIF's 16 bits."""


def format_of(path: str | os.PathLike[str], format: str | None = None) -> str:
    """Say which format an output has.

    Args:
        path: a file, a folder or a pattern like frames/%04d.png for a sequence, "-" for standard output.
        format: a name from ``FORMATS`` that overrules the path's.

    Raises:
        StillflowError: the name tells no known format.
    """
    name = os.fspath(path)
    if format is not None:
        if format.lower() not in FORMATS:
            raise StillflowError(
                f"cannot write the format {format!r}",
                "it is not known",
                f"choose one of {', '.join(FORMATS)}",
            )
        return format.lower()
    if name == "-":
        return "raw"
    suffix = os.path.splitext(name)[1].lower()
    if name.endswith(("/", os.sep)) or (suffix == ".png" and "%" in os.path.basename(name)):
        return "png"
    if suffix not in SUFFIXES:
        raise StillflowError(
            f"cannot write {name or 'an output without a name'}",
            f"the ending {suffix!r} belongs to no known format" if suffix else "the name has no ending",
            f"end it in {', '.join(SUFFIXES)}, or in / for a folder of PNG files, or name the format",
        )
    return SUFFIXES[suffix]


def frame_rate(fps: float | Fraction) -> Fraction:
    """Return a frame rate as a fraction; 23.976, 29.97 and 59.94 become n * 1000 / 1001."""
    if isinstance(fps, Fraction):
        return fps
    if not math.isfinite(fps) or fps <= 0:
        raise ValueError(f"{fps} is no frame rate")
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    if fps != round(fps) and abs(float(ntsc) - fps) < 0.005:
        return ntsc
    return Fraction(fps).limit_denominator(1001)


def open_sink(
    path: str | os.PathLike[str],
    *,
    width: int,
    height: int,
    fps: float | Fraction,
    format: str | None = None,
    loops: int = 1,
    matte: ByteArray | MatteProvider | None = None,
    encoder: str = "software",
    device: int = 0,
) -> Sink:
    """Open an output for the frames of one loop. It appears under its name when the sink is closed.

    Args:
        path: a file, a folder or a pattern for a PNG sequence, or "-" for standard output.
        width: columns of a frame.
        height: rows of a frame.
        fps: frames a second.
        format: one of ``FORMATS``; None goes by the path's ending ("-" is raw).
        loops: how often the loop is in a video, a sequence or a raw stream. A webp, gif or apng holds
            it once and is shown for ever with 1, and that many times with more.
        matte: (H, W) uint8 alpha of the moving layer, or a function that returns it for a frame's
            index (called from several threads); webm only.
        encoder: who encodes mp4: "software", "nvenc", or "auto" for NVENC where it works; the sink's ``encoder``
            says who does.
        device: index of the GPU that encodes.

    Raises:
        StillflowError: unknown format, impossible size or option, NVENC was asked for and does not work, or a
            place that cannot be written.
    """
    name = os.fspath(path)
    kind = format_of(name, format)
    rate = frame_rate(fps)
    _check(name, kind, (width, height), loops=loops, alpha=matte is not None)
    chosen = _encoder(name, kind, encoder, (width, height), device)
    if kind == "png":
        place, pattern = sequence_destination(name)
        return SequenceSink(place, pattern, width=width, height=height, loops=loops)
    destination = open_destination(name)
    plays = 0 if loops == 1 else loops
    try:
        if kind == "raw":
            return RawSink(destination, width=width, height=height, loops=loops)
        if kind == "apng":
            return ApngSink(destination, width=width, height=height, rate=rate, plays=plays)
        if kind == "webp":
            return WebpSink(destination, width=width, height=height, rate=rate, plays=plays)
        if kind == "gif":
            return GifSink(destination, width=width, height=height, rate=rate, plays=plays)
        return PacketSink(
            destination,
            kind,
            width=width,
            height=height,
            rate=rate,
            loops=loops,
            matte=_provider(matte, height, width),
            chosen=chosen,
        )
    except BaseException:
        destination.abort()
        raise


def _check(name: str, kind: str, size: tuple[int, int], *, loops: int, alpha: bool) -> None:
    if loops < 1:
        raise StillflowError(
            f"cannot write {name} with {loops} loops", "the least is 1", "give a whole number from 1 up"
        )
    if alpha and kind != "webm":
        raise StillflowError(
            f"cannot write {name} with transparency",
            f"{kind} output has no alpha channel here",
            "write a .webm instead",
        )
    limit = LARGEST_SIDE.get(kind)
    if limit is not None and max(size) > limit:
        raise StillflowError(
            f"cannot write {size[0]}x{size[1]} pixels to {name}",
            f"{kind} allows at most {limit} on a side",
            f"make it smaller with --size {limit}, or choose another format",
        )


def check_encoder(
    path: str | os.PathLike[str], asked: str, *, format: str | None = None, device: int = 0
) -> None:
    """Refuse the encoder of an output before any work is done for it; the size is not known yet.

    Args:
        path: as for ``open_sink``.
        asked: "auto", "software" or "nvenc".
        format: as for ``open_sink``.
        device: index of the GPU that is to encode.

    Raises:
        StillflowError: there is no such encoder, it encodes other formats, or does not work on this machine.
    """
    check_choice(asked)
    if asked == "nvenc":
        _encoder(os.fspath(path), format_of(path, format), asked, TRIED_SIZE, device)


def _encoder(name: str, kind: str, asked: str, size: tuple[int, int], device: int) -> Chosen | None:
    """Choose who encodes; None where the format leaves no choice."""
    check_choice(asked)
    if kind == "mp4":
        return choose_encoder(asked, size[0] + size[0] % 2, size[1] + size[1] % 2, device=device)
    if asked == "nvenc":
        raise StillflowError(
            f"cannot write {name} with NVENC",
            f"it encodes mp4, not {kind}",
            "leave --encoder out, or write a .mp4",
        )
    return None


def _provider(matte: ByteArray | MatteProvider | None, height: int, width: int) -> MatteProvider | None:
    if not isinstance(matte, np.ndarray):
        return matte
    if matte.shape != (height, width) or matte.dtype != np.uint8:
        raise ValueError(f"a {matte.shape} {matte.dtype} matte does not fit ({height}, {width}) uint8")
    constant = matte
    return lambda index: constant
