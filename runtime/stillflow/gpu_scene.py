# SPDX-License-Identifier: Apache-2.0
"""GPU scene: a cross-faded scene whose frames a GPU makes, behind the same calls, and as device arrays and NV12."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from stillflow.errors import StillflowError
from stillflow.gpu.lane import FrameMaker, Lane, Output
from stillflow.gpu.lane_pool import LanePool
from stillflow.gpu.layer import CudaDevice, Pinned
from stillflow.gpu.pinned_frames import PinnedFrames
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.kernels.arrays import ByteArray, SceneArrays
from stillflow.kernels.cuda_scene import CudaScene
from stillflow.scene import Scene
from stillflow.video.colour import nv12_shape

if TYPE_CHECKING:
    from stillflow.gpu.arrays import DeviceArray

LANES = 2
"""Frames in the works: one is computed while the one before is copied to the host. A third would wait for either."""

CHECKED_TIMES = (0.2918, 0.7136)
"""Parts of a loop at which a CUDA graph must give what plain launches give; no short cycle has the same phase twice."""

MEASURED_FRAMES = 3
"""Frames played each way to choose where an integrated GPU writes them."""

Play = TypeVar("Play", bound="GpuPlay")

log = logging.getLogger(__name__)


class PlayedMaker(FrameMaker, Protocol):
    """What makes the frames of a scene on a device, and holds its memory."""

    def close(self) -> None:
        """Give the memory back; nothing of it is in use any more."""


class GpuPlay:
    """A loop whose frames a GPU makes, as players, sinks and users of device memory see it.

    Any number of threads may ask for frames at once, and several loops may play on one device. Memory on the device
    is given back by ``close``, or when this object is collected.

    Args:
        maker: of the frames; closed with this object.
        device: where it makes them.
        frames: N, frames in one loop.
        fps: frames a second.
        size: height and width of the picture in pixels.
        lanes: frames in the works at a time, at least 1; fewer where the device's memory is short.
        moves: the loop is no still picture.
        graphs: whether the making of a frame may be recorded as a CUDA graph.
    """

    def __init__(
        self,
        maker: PlayedMaker,
        device: CudaDevice,
        *,
        frames: int,
        fps: float,
        size: tuple[int, int],
        lanes: int = LANES,
        moves: bool,
        graphs: bool = True,
    ) -> None:
        if lanes < 1:
            raise ValueError(f"lanes must be at least 1, not {lanes}")
        self.device, self.frames, self.fps = device, frames, fps
        self.height, self.width = size
        check = (frames * CHECKED_TIMES[0], frames * CHECKED_TIMES[1])
        sizes: dict[Output, int] = {
            "rgb": self.height * self.width * 3,
            "nv12": int(np.prod(nv12_shape(self.height, self.width))),
        }
        untrusted: set[Output] = set() if graphs else {"rgb", "nv12"}
        self._works = _Works(
            maker,
            device,
            sizes,
            lambda: Lane(device, maker, sizes, check=check, moves=moves, untrusted=untrusted),
            lanes,
        )
        self._closer = weakref.finalize(self, self._works.close)

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return (self.height, self.width, 3)

    @property
    def threads(self) -> int:
        """Threads that keep the GPU busy while others of them convert or compress."""
        return self._works.lanes.most + 1

    @property
    def lanes(self) -> int:
        """Frames in the works at a time; falls when memory is short."""
        return self._works.lanes.most

    def take_lane(self) -> None:
        """Take the memory of one lane now: what the first frame would find missing shows here.

        Raises:
            OutOfMemoryError: there is none.
        """
        with self._works.lanes.lane("rgb"):
            pass

    def frame(self, t: float) -> ByteArray:
        """Render the frame at time t (in frames, any real number; period ``frames``).

        Returns:
            (H, W, 3) uint8 RGB, a new array.
        """
        out = np.empty(self.frame_shape, np.uint8)
        self.frame_rows(t, 0, self.height, out)
        return out

    def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
        """Render rows y0..y1-1 of the frame at time t; any number of threads may call this at once.

        Args:
            t: time in frames.
            y0: first row.
            y1: row after the last.
            out: (y1 - y0, W, 3) uint8 RGB, written to. One from ``frame_buffer`` is filled without a detour.

        Raises:
            OutOfMemoryError: not even one frame's work fits into the device's memory.
            LostDeviceError: the device does nothing more.
        """
        if not 0 <= y0 <= y1 <= self.height or out.shape != (y1 - y0, self.width, 3) or out.dtype != np.uint8:
            raise ValueError(f"rows {y0} to {y1} of {self.height} do not go into {out.shape} {out.dtype}")
        if y0 == y1:
            return
        self._works.render(t, "rgb", out, y0 * self.width * 3)

    def frame_buffer(self) -> ByteArray:
        """(H, W, 3) uint8 in memory that the device copies into by itself; ordinary memory where that is used up."""
        return self._works.buffer(self.frame_shape)

    def nv12(self) -> Nv12View:
        """The same loop with NV12 frames, half as large: for encoders. It lives as long as this scene is open."""
        return Nv12View(self)

    def device_frames(self, *, nv12: bool = False, stream: Any = None) -> Iterator[DeviceArray]:
        """Give the frames of one loop where they are made, in the device's memory; nothing is copied.

        A frame is valid until the next one is asked for, or the iterator is closed. It is yours to read only: what
        never moves is not written again for the next.

        Args:
            nv12: as (3 H' / 2, W') uint8 NV12 instead of (H, W, 3) RGB.
            stream: a stream of yours, as ``CudaDevice.adopt`` takes it. Frames are then ready in the order of that
                stream, and the next is made over one after what you have given the stream until you ask for it:
                the host waits for neither, and is two frames ahead of the device at most. Without it a frame is
                ready when you get it, and you must be done with it when you ask for the next.

        Yields:
            Arrays with ``__cuda_array_interface__`` and DLPack.

        Raises:
            OutOfMemoryError: not even one frame's work fits into the device's memory.
            LostDeviceError: the device does nothing more.
        """
        from stillflow.gpu.arrays import DeviceArray

        output: Output = "nv12" if nv12 else "rgb"
        shape = nv12_shape(self.height, self.width) if nv12 else self.frame_shape
        theirs = None if stream is None else self.device.adopt(stream)
        with self._works.lanes.apart(min(max(LANES, self.lanes), self.frames), output) as lanes:
            consumed = self.device.event()
            try:
                for index, lane in enumerate(lanes):
                    lane.draw(float(index), output)
                for index in range(self.frames):
                    lane = lanes[index % len(lanes)]
                    if theirs is None:
                        lane.wait()
                    else:
                        lane.ready(theirs)
                    yield DeviceArray(
                        lane.prepare(output),
                        shape,
                        np.dtype(np.uint8),
                        self.device.index,
                        None if theirs is None else theirs.handle,
                    )
                    if theirs is not None:
                        consumed.record(theirs)
                        lane.stream.wait(consumed)
                    if index + len(lanes) < self.frames:
                        lane.draw(float(index + len(lanes)), output)
            finally:
                # After a lost device there is nothing to give back, and its error was raised where it was met.
                with suppress(StillflowError):
                    if theirs is not None:  # the last frame may still be read there
                        consumed.record(theirs)
                        for lane in lanes:
                            lane.stream.wait(consumed)
                    consumed.close()

    def close(self) -> None:
        """Give the device's memory back, as soon as frames in the works are finished; harmless twice."""
        self._closer()

    def __enter__(self: Play) -> Play:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GpuScene(GpuPlay):
    """Plays a scene on a GPU. Frames agree with the CPU's to one grey level; what stands still is the photo's bytes.

    Args:
        scene: what is played.
        device: an open GPU.
        lanes: see ``GpuPlay``.

    Raises:
        OutOfMemoryError: the scene itself does not fit into the device's memory.
        StillflowError: its kernels do not compile or load.
    """

    def __init__(self, scene: Scene, device: CudaDevice, *, lanes: int = LANES) -> None:
        if lanes < 1:
            raise ValueError(f"lanes must be at least 1, not {lanes}")
        self.arrays: SceneArrays = scene.arrays
        self.speed_scale: float = scene.speed_scale
        self.sources: Mapping[str, str] = scene.sources
        super().__init__(
            CudaScene(scene.arrays, device),
            device,
            frames=scene.frames,
            fps=scene.fps,
            size=(scene.height, scene.width),
            lanes=lanes,
            moves=bool((scene.matte > 1).any()),
        )

    @property
    def matte(self) -> ByteArray:
        """(H, W) uint8, 255 where a pixel belongs to the moving layer."""
        return self.arrays.matte


class Nv12View:
    """A GPU scene as players and sinks see it that want NV12. Made by ``GpuPlay.nv12``."""

    def __init__(self, scene: GpuPlay) -> None:
        self._scene = scene
        self.frames, self.fps = scene.frames, scene.fps
        self.height, self.width = scene.height, scene.width
        self.frame_shape: tuple[int, ...] = nv12_shape(scene.height, scene.width)

    @property
    def threads(self) -> int:
        """As the scene's."""
        return self._scene.threads

    def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
        """Render a whole frame at time t; any number of threads may call this at once.

        Args:
            t: time in frames.
            y0: 0; an NV12 frame has no rows of pixels to pick from.
            y1: H.
            out: (3 H' / 2, W') uint8, written to.
        """
        if (y0, y1) != (0, self.height) or out.shape != self.frame_shape or out.dtype != np.uint8:
            raise ValueError(f"rows {y0} to {y1} as NV12 do not go into {out.shape} {out.dtype}")
        self._scene._works.render(t, "nv12", out, 0)

    def frame_buffer(self) -> ByteArray:
        """As the scene's, for NV12."""
        return self._scene._works.buffer(self.frame_shape)


class _Works:
    """What a scene holds on its device. It outlives the scene by as much as closing takes."""

    def __init__(
        self,
        maker: PlayedMaker,
        device: CudaDevice,
        sizes: dict[Output, int],
        make: Callable[[], Lane],
        lanes: int,
    ) -> None:
        self._device, self._maker, self._sizes = device, maker, sizes
        self._mapped: dict[Output, bool] = {}
        self._pins = PinnedFrames(device)
        self.lanes = LanePool(make, lanes, self._finish)

    def buffer(self, shape: tuple[int, ...]) -> ByteArray:
        """See ``GpuPlay.frame_buffer``."""
        try:
            return self._pins.array(shape)
        except OutOfMemoryError:
            return np.empty(shape, np.uint8)

    def render(self, t: float, output: Output, out: ByteArray, offset: int) -> None:
        """Make a frame and bring its bytes from an offset on into an array."""
        # Another array is filled by way of pinned memory, and when the lane is free for the next frame already.
        known = self._pins.holds(out) is not None
        target = out if known else self.buffer((self._sizes[output],))[: out.nbytes]
        with self.lanes.lane(output) as lane:
            pinned = self._pins.holds(target) if target.nbytes == self._sizes[output] else None
            if pinned is not None and self._writes_there(lane, t, output, target, pinned):
                assert pinned.device_address is not None
                lane.draw_at(t, output, pinned.device_address)
                lane.wait()
            else:
                lane.draw(t, output)
                lane.fetch(output, target, offset)
        if not known:
            out[...] = target.reshape(out.shape)

    def _writes_there(self, lane: Lane, t: float, output: Output, out: ByteArray, pinned: Pinned) -> bool:
        """Whether kernels write frames into pinned memory themselves: where that is measured to be faster.

        Only a GPU that shares the host's memory may gain from that; over a bus it never does.
        """
        if not self._device.gpu.integrated or pinned.device_address is None:
            return False
        if output not in self._mapped:
            lane.draw(t, output)
            lane.record(output)
            seconds = [float("inf"), float("inf")]
            for _ in range(MEASURED_FRAMES):
                started = time.perf_counter()
                lane.draw(t, output)
                lane.fetch(output, out)
                between = time.perf_counter()
                lane.draw_at(t, output, pinned.device_address)
                lane.wait()
                ended = time.perf_counter()
                seconds = [min(seconds[0], between - started), min(seconds[1], ended - between)]
            self._mapped[output] = seconds[1] < seconds[0]
            log.debug(
                "%s frames: %.2f ms copied, %.2f ms written into mapped memory",
                output,
                *(1e3 * s for s in seconds),
            )
        return self._mapped[output]

    def close(self) -> None:
        """Give everything back as soon as nobody uses it."""
        self.lanes.close()

    def _finish(self) -> None:
        self._pins.close()
        with suppress(StillflowError):
            self._maker.close()
