# SPDX-License-Identifier: Apache-2.0
"""mp4 (H.264) and webm (VP9): an encoder's packets, written once and repeated as they are."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from stillflow.player import usable_cores
from stillflow.video.colour import BT709, padded_to_even, video_frame
from stillflow.video.destination import Destination
from stillflow.video.sink import Sink

ByteArray = npt.NDArray[np.uint8]
MatteProvider = Callable[[int], ByteArray]
"""Frame index -> (H, W) uint8 matte of the moving layer."""

X264_OPTIONS = {"preset": "veryfast", "crf": "18"}
"""veryfast is the knee on moving water: superfast needs half as much file again, slower presets gain a few
percent of size for twice the time. x264 closes its groups of pictures by default, so the stream can be
repeated packet by packet. Two runs may differ in a few bytes at some sizes, with one thread too."""

VP9_OPTIONS = {"deadline": "realtime", "cpu-used": "6", "crf": "24", "b": "0", "row-mt": "1"}
"""The "good" deadline makes smaller files and takes several times as long a frame, far more than rendering."""


class PacketSink(Sink):
    """Encodes frames into a container with PyAV.

    Repeats need no second encoding: the loop starts with a key frame and nothing refers across its
    ends, so the same packets follow each other with their times moved on by the loop's length.

    Args:
        destination: where the file goes.
        container: "mp4" or "webm".
        width: columns of a frame; odd sizes are padded by one pixel for mp4, kept for webm.
        height: rows of a frame.
        rate: frames a second.
        loops: how often the loop is in the file.
        matte: alpha of each frame, webm only.
    """

    def __init__(
        self,
        destination: Destination,
        container: str,
        *,
        width: int,
        height: int,
        rate: Fraction,
        loops: int,
        matte: MatteProvider | None,
    ) -> None:
        super().__init__(destination, width, height)
        self._mp4 = container == "mp4"
        self._loops = loops
        self._matte = matte
        self._kept: list[tuple[Any, int, int]] = []
        self._payload = 0
        self._step = 1 / rate
        # mp4: moov before mdat, so that a browser starts before it has the whole file. webm: no random
        # identifier, so that two runs give the same file.
        flags = {"movflags": "+faststart"} if self._mp4 else {"fflags": "+bitexact"}
        with destination.errors():
            self._file = av.open(str(destination.path), "w", format=container, options=flags)
        stream: Any = self._file.add_stream("libx264" if self._mp4 else "libvpx-vp9", rate=rate)
        stream.width = width + width % 2 if self._mp4 else width
        stream.height = height + height % 2 if self._mp4 else height
        stream.pix_fmt = "yuv420p" if matte is None else "yuva420p"
        stream.options = self._options()
        context = stream.codec_context
        context.time_base = self._step
        context.thread_count = 0 if self._mp4 else min(usable_cores(), 16)
        # PyAV's default, slices, compresses a little worse.
        context.thread_type = "FRAME" if self._mp4 else "AUTO"
        context.color_primaries = BT709
        context.color_trc = BT709
        context.colorspace = BT709
        context.color_range = 1  # limited ("tv")
        self._stream = stream

    def _options(self) -> dict[str, str]:
        if self._mp4:
            return X264_OPTIONS
        # Alternate reference frames carry no alpha, so libvpx must not make them beside an alpha plane.
        return VP9_OPTIONS | ({"tile-columns": "2"} if self._matte is None else {"auto-alt-ref": "0"})

    def _prepare(self, index: int, frame: ByteArray) -> av.VideoFrame:
        if self._mp4:
            return video_frame(padded_to_even(frame))
        return video_frame(frame, self._matte(index) if self._matte is not None else None)

    def _put(self, prepared: av.VideoFrame) -> None:
        prepared.pts = self.count
        prepared.time_base = self._step
        self._mux(self._stream.encode(prepared))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._payload += packet.size
            if self._loops > 1:
                self._kept.append((packet, packet.pts or 0, packet.dts or 0))
            self._file.mux_one(packet)

    def _finish(self) -> None:
        self._mux(self._stream.encode(None))
        for loop in range(1, self._loops):
            for packet, pts, dts in self._kept:
                packet.time_base = self._step  # muxing changed it to the container's
                packet.pts = pts + loop * self.count
                packet.dts = dts + loop * self.count
                self._file.mux_one(packet)
        self._file.close()
        self._check_size()
        self._kept.clear()

    def _check_size(self) -> None:
        """Refuse a file shorter than its packets: the muxer's last write can fail without a word."""
        if os.path.getsize(Path(self.destination.path)) < self._payload * self._loops:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _discard(self) -> None:
        self._kept.clear()
        self._file.close()
