# SPDX-License-Identifier: Apache-2.0
"""RGB to Y'CbCr 4:2:0 by ITU-R BT.709, limited range: what the video sinks feed their encoders.

OpenCV's own RGB -> I420 is BT.601; the encoder's own conversion (swscale) would run in the one thread that
feeds the encoder, while this runs in the player's lanes. Chroma is sampled where H.264 and VP9 expect it by
default ("left": on the even columns, between two rows), so nothing shifts by half a pixel.
"""

from __future__ import annotations

import threading

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

ByteArray = npt.NDArray[np.uint8]

BT709 = 1
"""Code point of BT.709 for primaries, transfer and matrix (ITU-T H.273)."""

_RED, _BLUE = 0.2126, 0.0722  # luma weights, ITU-R BT.709-6, item 3.2
_LUMA = np.array([_RED, 1.0 - _RED - _BLUE, _BLUE])
_CB = (np.array([0.0, 0.0, 1.0]) - _LUMA) / (2.0 * (1.0 - _BLUE))
_CR = (np.array([1.0, 0.0, 0.0]) - _LUMA) / (2.0 * (1.0 - _RED))

RGB_TO_YCBCR: npt.NDArray[np.float32] = np.concatenate(
    [
        np.stack([_LUMA * 219.0, _CB * 224.0, _CR * 224.0]) / 255.0,
        np.array([[16.0], [128.0], [128.0]]),
    ],
    axis=1,
).astype(np.float32)
"""(3, 4): 0..255 RGB to Y' 16..235, Cb and Cr 16..240; the last column is the offset."""


def padded_to_even(frame: ByteArray) -> ByteArray:
    """Repeat the last column and row of a picture of odd size; 4:2:0 H.264 has even sizes only.

    Padding rather than cropping: no pixel of the photo is lost, and a repeated edge is invisible.

    Args:
        frame: (H, W, C) uint8 RGB, or (H, W).

    Returns:
        The same array where both sizes are even, else a copy one pixel larger.
    """
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    padded = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)


def video_frame(frame: ByteArray, matte: ByteArray | None = None) -> av.VideoFrame:
    """Convert a picture to a 4:2:0 video frame, tagged BT.709 limited range.

    Args:
        frame: (H, W, 3) uint8 RGB. An odd size stays odd: chroma is then (size + 1) / 2.
        matte: (H, W) uint8, becomes the alpha plane (full range) of a yuva420p frame.

    Returns:
        A frame that owns its memory.
    """
    height, width = frame.shape[:2]
    video = _tagged(width, height, "yuv420p" if matte is None else "yuva420p")
    ycc, chroma = _converted(frame)
    cv2.extractChannel(ycc[:height, :width], 0, _samples(video, 0))
    cv2.extractChannel(chroma, 1, _samples(video, 1))
    cv2.extractChannel(chroma, 2, _samples(video, 2))
    if matte is not None:
        _samples(video, 3)[:] = matte
    return video


def nv12(frame: ByteArray, out: ByteArray | None = None) -> ByteArray:
    """Convert a picture to NV12, the layout of hardware encoders: all luma, then Cb and Cr side by side.

    Args:
        frame: (H, W, 3) uint8 RGB; an odd size is padded to the next even one.
        out: array of the shape ``nv12_shape`` says, written to; None makes a new one.

    Returns:
        (3 H' / 2, W') uint8: H' rows of luma, then H' / 2 rows of Cb, Cr, Cb, Cr...
    """
    shape = nv12_shape(*frame.shape[:2])
    out = np.empty(shape, np.uint8) if out is None else out
    if out.shape != shape:
        raise ValueError(f"an NV12 frame of this picture has the shape {shape}, not {out.shape}")
    ycc, chroma = _converted(frame)
    rows, columns = ycc.shape[:2]
    cv2.extractChannel(ycc, 0, out[:rows])
    cv2.mixChannels([chroma], [out[rows:].reshape(rows // 2, columns // 2, 2)], [1, 0, 2, 1])
    return out


def nv12_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the NV12 frame of a picture, in bytes; odd sizes are padded to even ones."""
    return (height + height % 2) * 3 // 2, width + width % 2


def nv12_video_frame(frame: ByteArray) -> av.VideoFrame:
    """Copy an NV12 frame into one of the encoder's, tagged BT.709 limited range.

    Args:
        frame: (3 H / 2, W) uint8, H and W even, as ``nv12`` makes it.

    Returns:
        A frame that owns its memory.
    """
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    video = _tagged(width, height, "nv12")
    for plane, rows in enumerate((frame[:height], frame[height:])):
        memory = video.planes[plane]
        lines = np.frombuffer(memoryview(memory), np.uint8)[: len(rows) * memory.line_size]
        lines.reshape(len(rows), memory.line_size)[:, :width] = rows
    return video


def _tagged(width: int, height: int, pixels: str) -> av.VideoFrame:
    """A new video frame that says what its samples mean."""
    video = av.VideoFrame(width, height, pixels)
    video.colorspace = Colorspace.ITU709
    video.color_range = ColorRange.MPEG
    return video


def _converted(frame: ByteArray) -> tuple[ByteArray, ByteArray]:
    """Y'CbCr of a picture padded to even size, and its second and third channel at half size.

    Returns:
        (H', W', 3) and (H' / 2, W' / 2, 3) uint8; both are this thread's scratch.
    """
    even = padded_to_even(frame)
    ycc, right, left = _SCRATCH.arrays(even.shape[0], even.shape[1])
    cv2.transform(even, RGB_TO_YCBCR, ycc)
    # Mean over columns 2x and 2x+1, and over 2x-1 and 2x; their mean is the 1-2-1 filter on column 2x.
    half_width, half_height = right.shape[1], right.shape[0]
    cv2.resize(ycc, (half_width, half_height), right, interpolation=cv2.INTER_AREA)
    if half_width > 1:
        cv2.resize(ycc[:, 1:-1], (half_width - 1, half_height), left[:, 1:], interpolation=cv2.INTER_AREA)
    edge = ycc[:, 0].astype(np.uint16)  # beyond the left border its column is repeated
    left[:, 0] = (edge[0::2] + edge[1::2] + 1) >> 1
    return ycc, np.asarray(cv2.addWeighted(right, 0.5, left, 0.5, 0.0, right), np.uint8)


class _Scratch(threading.local):
    """Arrays of a thread's last conversion: fresh ones would cost a page fault for every 4 kB."""

    _arrays: tuple[ByteArray, ByteArray, ByteArray] | None = None

    def arrays(self, height: int, width: int) -> tuple[ByteArray, ByteArray, ByteArray]:
        """Return one (height, width, 3) and two (height / 2, width / 2, 3) uint8 arrays."""
        if self._arrays is None or self._arrays[0].shape != (height, width, 3):
            half = (height // 2, width // 2, 3)
            self._arrays = (
                np.empty((height, width, 3), np.uint8),
                np.empty(half, np.uint8),
                np.empty(half, np.uint8),
            )
        return self._arrays


_SCRATCH = _Scratch()


def _samples(video: av.VideoFrame, plane: int) -> ByteArray:
    """Return a plane of a video frame as a writable (rows, columns) view; rows are padded in memory."""
    memory = video.planes[plane]
    rows = np.frombuffer(memoryview(memory), np.uint8).reshape(memory.height, memory.line_size)
    return rows[:, : memory.width]
