# SPDX-License-Identifier: Apache-2.0
"""Who encodes H.264: x264 on the CPU, or the encoder of an NVIDIA GPU where it really opens and encodes a frame.

That FFmpeg lists ``h264_nvenc`` says nothing of this machine: the driver may be missing, the GPU may have no encoder
(A100 and H100 have none), it may not take this size, or all its sessions may be in use. So it is tried.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np

from stillflow.errors import StillflowError

CHOICES = ("auto", "software", "nvenc")
"""What may be asked for."""

X264_OPTIONS = {"preset": "veryfast", "crf": "18"}
"""veryfast is the knee on moving water: superfast needs half as much file again, slower presets gain a few
percent of size for twice the time. x264 closes its groups of pictures by default, so the stream can be
repeated packet by packet. Two runs may differ in a few bytes at some sizes, with one thread too."""

NVENC_OPTIONS = {"preset": "p5", "tune": "hq", "rc": "vbr", "cq": "19", "b": "0", "bf": "0"}
"""Constant quality that is meant to be near x264's crf 18; the two were never compared. No B-frames: every GPU with an
encoder does without, and packets that are repeated stay in order."""

LEAST_NVENC = (146, 50)
"""Width and height below which NVENC takes no H.264 (NVIDIA's Video Codec SDK; FFmpeg says no more than that it
failed)."""

REMEMBERED = 60.0
"""Seconds that a try counts for: it takes as long as many frames, and a session that was in use becomes free again."""


@dataclass(frozen=True)
class Encoder:
    """One encoder of H.264.

    Attributes:
        codec: FFmpeg's name.
        options: for the codec.
        hardware: it has a session on a GPU, which is opened before the first frame and may be refused.
    """

    codec: str
    options: Mapping[str, str] = field(default_factory=dict)
    hardware: bool = False


SOFTWARE = Encoder("libx264", X264_OPTIONS)


@dataclass(frozen=True)
class Chosen:
    """What a choice ends with.

    Attributes:
        encoder: the one to open.
        fallback: what to open where that one is refused after all; None: that is an error.
        why: why hardware does not encode, where ``auto`` wanted it to; "" otherwise.
    """

    encoder: Encoder
    fallback: Encoder | None = None
    why: str = ""


def choose_encoder(asked: str, width: int, height: int, *, device: int = 0) -> Chosen:
    """Choose who encodes.

    Args:
        asked: "software", "nvenc", or "auto", which takes NVENC where it works.
        width: of the video, even.
        height: of the video, even.
        device: index of the GPU that encodes, as CUDA counts them.

    Raises:
        StillflowError: an unknown name; or NVENC was asked for and does not work here.
    """
    check_choice(asked)
    if asked == "software":
        return Chosen(SOFTWARE)
    trouble = nvenc_trouble(width, height, device)
    nvenc = Encoder("h264_nvenc", {**NVENC_OPTIONS, "gpu": str(device)}, hardware=True)
    if asked == "auto":
        return Chosen(SOFTWARE, why=trouble) if trouble else Chosen(nvenc, SOFTWARE)
    if trouble:
        raise refused(trouble)
    return Chosen(nvenc)


def check_choice(asked: str) -> None:
    """Refuse the name of an encoder that is none.

    Raises:
        StillflowError: it is not one of ``CHOICES``.
    """
    if asked not in CHOICES:
        raise StillflowError(
            f"cannot encode with {asked!r}", "there is no such encoder", f"choose one of {', '.join(CHOICES)}"
        )


def refused(why: str) -> StillflowError:
    """The error that says why NVENC does not encode."""
    return StillflowError("cannot encode with NVENC", why, "leave --encoder out, or say --encoder software")


def nvenc_trouble(width: int, height: int, device: int = 0) -> str:
    """Say why NVENC does not encode here; "" when a test frame came out of it.

    Args:
        width: of the video, even.
        height: of the video, even.
        device: index of the GPU, as CUDA counts them.
    """
    return _trouble(width, height, device, int(time.monotonic() // REMEMBERED))


@lru_cache(maxsize=16)
def _trouble(width: int, height: int, device: int, period: int) -> str:
    """See `nvenc_trouble`; once in a period."""
    from stillflow.gpu.description import find_gpu

    if "h264_nvenc" not in av.codecs_available:
        return "this build of PyAV has no h264_nvenc"
    gpu = find_gpu(device)
    if gpu is None:
        return "there is no NVIDIA driver here, or no GPU that it finds"
    if width < LEAST_NVENC[0] or height < LEAST_NVENC[1]:
        return f"{width}x{height} is smaller than its least, {LEAST_NVENC[0]}x{LEAST_NVENC[1]}"
    try:
        context = av.CodecContext.create("h264_nvenc", "w")
        context.width, context.height, context.pix_fmt = width, height, "nv12"
        context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
        context.options = {**NVENC_OPTIONS, "gpu": str(device)}
        frame = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 128, np.uint8), format="nv12")
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
    except (av.error.FFmpegError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return f"h264_nvenc does not open on {gpu.name} at {width}x{height} ({text})"
    return "" if any(packet.size for packet in packets) else f"h264_nvenc on {gpu.name} gave no packet"
