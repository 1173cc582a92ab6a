# SPDX-License-Identifier: Apache-2.0
"""Animated WebP, endless or a number of plays."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import numpy.typing as npt

from stillflow.video.destination import Destination
from stillflow.video.sink import Sink

ByteArray = npt.NDArray[np.uint8]

WEBP_OPTIONS: dict[str, str] = {"quality": "80", "compression_level": "2"}
"""More effort (level 4) takes nearly twice the time for files a few percent smaller."""


class WebpSink(Sink):
    """Encodes an animated WebP. Times are whole milliseconds, rounded from the exact ones.

    Args:
        destination: where the file goes.
        width: columns of a frame, at most 16383.
        height: rows of a frame, at most 16383.
        rate: frames a second.
        plays: how often a viewer shows the loop, 0 = for ever.
    """

    def __init__(
        self, destination: Destination, *, width: int, height: int, rate: Fraction, plays: int
    ) -> None:
        super().__init__(destination, width, height)
        with destination.errors():
            self._file = av.open(str(destination.path), "w", format="webp", options={"loop": str(plays)})
        self._stream = self._file.add_stream("libwebp_anim", rate=rate)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "bgra"
        self._stream.options = dict(WEBP_OPTIONS)
        self._step = 1 / rate
        self._stream.codec_context.time_base = self._step

    def _prepare(self, index: int, frame: ByteArray) -> av.VideoFrame:
        bgra = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2BGRA), np.uint8)
        return av.VideoFrame.from_ndarray(bgra, format="bgra")

    def _put(self, prepared: av.VideoFrame) -> None:
        prepared.pts = self.count
        prepared.time_base = self._step
        self._file.mux(self._stream.encode(prepared))

    def _finish(self) -> None:
        self._file.mux(self._stream.encode(None))
        self._file.close()

    def _discard(self) -> None:
        self._file.close()
