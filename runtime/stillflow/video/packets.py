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
from stillflow.video.colour import BT709, nv12, nv12_video_frame, padded_to_even, video_frame
from stillflow.video.destination import Destination
from stillflow.video.encoders import SOFTWARE, Chosen, Encoder, refused
from stillflow.video.sink import Sink

ByteArray = npt.NDArray[np.uint8]
MatteProvider = Callable[[int], ByteArray]
"""Frame index -> (H, W) uint8 matte of the moving layer."""

VP9_OPTIONS = {"deadline": "realtime", "cpu-used": "6", "crf": "24", "b": "0", "row-mt": "1"}
"""The "good" deadline makes smaller files and takes several times as long a frame, far more than rendering."""


class PacketSink(Sink):
    """Encodes frames into a container with PyAV.

    Repeats need no second encoding: the loop starts with a key frame and nothing refers across its
    ends, so the same packets follow each other with their times moved on by the loop's length.

    mp4 also takes frames as NV12, which every H.264 encoder reads as it is; all frames of a loop must come alike.

    Args:
        destination: where the file goes.
        container: "mp4" or "webm".
        width: columns of a frame; odd sizes are padded by one pixel for mp4, kept for webm.
        height: rows of a frame.
        rate: frames a second.
        loops: how often the loop is in the file.
        matte: alpha of each frame, webm only.
        chosen: who encodes H.264, mp4 only.

    Raises:
        StillflowError: the hardware that was asked for refuses, or the file cannot be written.
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
        chosen: Chosen | None = None,
    ) -> None:
        super().__init__(destination, width, height)
        chosen = chosen or Chosen(SOFTWARE)
        self._mp4 = self.takes_nv12 = container == "mp4"
        self._loops = loops
        self._matte = matte
        self._kept: list[tuple[Any, int, int]] = []
        self._payload = 0
        self._step = 1 / rate
        self._rate = rate
        try:
            self._open(chosen.encoder)
        except (av.error.FFmpegError, ValueError) as error:
            # A session of the hardware may be refused now though a test frame went through it: they are few.
            if not chosen.encoder.hardware:
                raise
            self._file.close()
            why = f"{chosen.encoder.codec} worked a moment ago and does not open now ({error})"
            if chosen.fallback is None:
                raise refused(why) from error
            self._open(chosen.fallback)
            chosen = Chosen(chosen.fallback, why=why)
        self.encoder_why = chosen.why

    def _open(self, encoder: Encoder) -> None:
        """Open the file and its encoder."""
        # mp4: moov before mdat, so that a browser starts before it has the whole file. webm: no random
        # identifier, so that two runs give the same file.
        flags = {"movflags": "+faststart"} if self._mp4 else {"fflags": "+bitexact"}
        with self.destination.errors():
            container = "mp4" if self._mp4 else "webm"
            self._file = av.open(str(self.destination.path), "w", format=container, options=flags)
        self.encoder = encoder.codec if self._mp4 else "libvpx-vp9"
        stream: Any = self._file.add_stream(self.encoder, rate=self._rate)
        stream.width = self.width + self.width % 2 if self._mp4 else self.width
        stream.height = self.height + self.height % 2 if self._mp4 else self.height
        stream.pix_fmt = "yuv420p" if self._matte is None else "yuva420p"
        stream.options = dict(encoder.options) if self._mp4 else self._vp9_options()
        context = stream.codec_context
        context.time_base = self._step
        self._hardware = self._mp4 and encoder.hardware
        if not self._hardware:
            context.thread_count = 0 if self._mp4 else min(usable_cores(), 16)
            # PyAV's default, slices, compresses a little worse.
            context.thread_type = "FRAME" if self._mp4 else "AUTO"
        context.color_primaries = BT709
        context.color_trc = BT709
        context.colorspace = BT709
        context.color_range = 1  # limited ("tv")
        self._stream = stream
        if self._hardware:
            stream.pix_fmt = "nv12"
            context.open()

    def _vp9_options(self) -> dict[str, str]:
        # Alternate reference frames carry no alpha, so libvpx must not make them beside an alpha plane.
        return VP9_OPTIONS | ({"tile-columns": "2"} if self._matte is None else {"auto-alt-ref": "0"})

    def _prepare(self, index: int, frame: ByteArray) -> av.VideoFrame:
        if frame.ndim == 2:
            return nv12_video_frame(frame)
        if self._hardware:
            return nv12_video_frame(nv12(frame))
        if self._mp4:
            return video_frame(padded_to_even(frame))
        return video_frame(frame, self._matte(index) if self._matte is not None else None)

    def _put(self, prepared: av.VideoFrame) -> None:
        if self.count == 0 and not self._hardware:
            self._stream.pix_fmt = (
                prepared.format.name
            )  # an encoder that opens with the first frame takes it as it is
        prepared.pts = self.count
        prepared.time_base = self._step
        self._mux(self._encoded(prepared))

    def _encoded(self, frame: av.VideoFrame | None) -> list[Any]:
        """Packets that come out when a frame goes in; with None all that are left."""
        try:
            return list(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            if not self._hardware:
                raise
            raise refused(f"{self.encoder} failed at frame {self.count} ({error})") from error

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._payload += packet.size
            if self._loops > 1:
                self._kept.append((packet, packet.pts or 0, packet.dts or 0))
            self._file.mux_one(packet)

    def _finish(self) -> None:
        self._mux(self._encoded(None))
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
