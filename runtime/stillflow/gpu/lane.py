# SPDX-License-Identifier: Apache-2.0
"""A lane: a stream and the memory in which one frame at a time is made, with its work recorded as a CUDA graph.

Enqueuing a frame's kernels one by one costs the host more than the device needs for a small frame; a graph is one
call. Only the time changes from frame to frame. It lies in pinned memory, and the graph begins with its copy to the
device. A graph is trusted after it has given what plain launches give, at two times: one that read the time while it
was recorded would play the same frame for ever.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.gpu.layer import CudaDevice, Graph, Memory, Stream
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError, SpoiltRecordingError

ByteArray = npt.NDArray[np.uint8]
Output = Literal["rgb", "nv12"]
"""What a frame is made as: dense RGB bytes, or NV12 for an encoder."""

RECORDINGS = 3
"""How often a recording is tried that other threads spoil: cudaDeviceSynchronize, of a host program or of a library
that is closed meanwhile, ends every recording on the device."""

log = logging.getLogger(__name__)


class Scratch(Protocol):
    """Device memory that making a frame needs meanwhile."""

    def close(self) -> None:
        """Give it back."""


class FrameMaker(Protocol):
    """A scene on the device: it enqueues the making of a frame and keeps nothing of it."""

    def scratch(self, *, nv12: bool) -> Any:
        """New scratch memory, a ``Scratch``; frames that share one are made one after the other."""

    def enqueue(
        self,
        time_address: int,
        scratch: Any,
        stream: Stream,
        *,
        rgb: int | None = None,
        nv12: int | None = None,
        still: bool = True,
    ) -> None:
        """Launch the kernels that make one frame; the time, a double, is read from the device's memory.

        Without ``still`` the frame's memory holds one of this scene already, and what never moves is left as it is.
        """


class Lane:
    """Makes one frame at a time. Used by one thread at a time.

    Args:
        device: that plays.
        maker: the scene on it.
        sizes: bytes of a frame, by output.
        check: two times in frames at which a new graph must give what plain launches give.
        moves: frames at those times differ; a graph for which they do not is not trusted.
        untrusted: outputs whose graph was dropped, shared by the lanes of a scene: what fails in one is not tried
            in the next, and is told once.

    Raises:
        OutOfMemoryError: nothing was kept then.
    """

    def __init__(
        self,
        device: CudaDevice,
        maker: FrameMaker,
        sizes: dict[Output, int],
        *,
        check: tuple[float, float] = (0.0, 0.0),
        moves: bool = False,
        untrusted: set[Output] | None = None,
    ) -> None:
        self._untrusted = set() if untrusted is None else untrusted
        self._device, self._maker, self._sizes = device, maker, sizes
        self._check, self._moves = check, moves
        self._frames: dict[Output, Memory] = {}
        self._scratch: dict[Output, Scratch] = {}
        self._graphs: dict[Output, Graph] = {}
        self._played: set[Output] = set()
        self._spoilt = 0
        with ExitStack() as owned:
            self.stream = device.stream()
            owned.callback(self.stream.close)
            self._done = device.event()
            owned.callback(self._done.close)
            self._slot = device.pin(8)
            owned.callback(self._slot.close)
            self._slot_bytes = self._slot.array[:8]
            self._slot_time = self._slot_bytes.view(np.float64)
            self._time = device.allocate(8)
            owned.callback(self._time.close)
            self._owned = owned.pop_all()

    def prepare(self, output: Output) -> int:
        """Make sure that there is a frame of this kind; return its device address.

        Raises:
            OutOfMemoryError: not even in place of the frames of other kinds.
        """
        if output not in self._frames:
            try:
                self._allocate(output)
            except OutOfMemoryError:
                if not self._frames:
                    raise
                self.wait()
                self._forget()
                self._allocate(output)
        return self._frames[output].address

    def _allocate(self, output: Output) -> None:
        scratch = self._maker.scratch(nv12=output == "nv12")
        try:
            self._frames[output] = self._device.allocate(self._sizes[output])
        except BaseException:
            scratch.close()
            raise
        self._scratch[output] = scratch

    def draw(self, t: float, output: Output) -> int:
        """Enqueue a frame.

        The first one is launched plainly, so that it does not wait for a recording; from the second on a graph plays.

        Args:
            t: time in frames.
            output: what it is made as.

        Returns:
            Its device address; it is there after ``wait``, until the next ``draw``.
        """
        address = self.prepare(output)
        if output in self._played:
            self.record(output)
        self._set_time(t)
        graph = self._graphs.get(output)
        if graph is not None:
            graph.launch(self.stream)
        else:
            self._launch(output, address, still=output not in self._played)
        self._done.record(self.stream)
        self._played.add(output)
        return address

    def draw_at(self, t: float, output: Output, address: int) -> None:
        """Enqueue a frame that is made elsewhere than in the lane: in mapped memory of the host.

        By plain launches, and all of it: a graph would be tied to that address, and what lies there is not known.
        """
        self.prepare(output)
        self._set_time(t)
        self._launch(output, address, still=True)
        self._done.record(self.stream)

    def fetch(self, output: Output, out: ByteArray, offset: int = 0) -> None:
        """Copy bytes of the last frame into a C-contiguous array of the host, and wait until they are there.

        Args:
            output: what was drawn.
            out: takes ``out.nbytes`` bytes; pinned memory takes them without a detour.
            offset: of the first byte in the frame.
        """
        self._device.download(self._frames[output].address + offset, out, self.stream)
        self._done.record(self.stream)
        self._done.synchronize()

    def wait(self) -> None:
        """Wait, without the interpreter's lock, until all that was enqueued is done."""
        self._done.synchronize()

    def ready(self, stream: Stream) -> None:
        """Let another stream wait for the last frame."""
        stream.wait(self._done)

    @property
    def frames(self) -> set[Output]:
        """Outputs that there is memory for."""
        return set(self._frames)

    @property
    def graphs(self) -> set[Output]:
        """Outputs that a graph plays."""
        return set(self._graphs)

    def record(self, output: Output) -> None:
        """Record and check the graph of an output that was drawn, if that was not tried before."""
        if output in self._graphs or output in self._untrusted or not self._device.graphs:
            return
        address = self._frames[output].address
        plain = [self._tried(output, address, t, None) for t in self._check]
        try:
            with self._device.capture(self.stream) as recording:
                self._launch(output, address, still=False)
            graph = recording.graph
        except LostDeviceError:
            raise
        except StillflowError as error:
            self._spoilt += 1
            if not isinstance(error, SpoiltRecordingError) or self._spoilt >= RECORDINGS:
                self._distrust(output, f"{error.what}: {error.why}")
            return
        try:
            same = all(
                np.array_equal(self._tried(output, address, t, graph), frame)
                for t, frame in zip(self._check, plain, strict=True)
            )
        except BaseException as error:
            graph.close()
            if not isinstance(error, StillflowError) or isinstance(error, LostDeviceError):
                raise
            self._distrust(output, f"{error.what}: {error.why}")
            return
        still = self._moves and np.array_equal(plain[0], plain[1])
        if not same or still:
            graph.close()
            self._distrust(
                output, "two times give one frame" if same else "it plays other frames than plain launches"
            )
        else:
            self._graphs[output] = graph

    def close(self) -> None:
        """Wait for what was enqueued and give everything back; harmless twice, and after a lost device."""
        # What a lost device refuses is lost with it: the error that told of it has been raised before.
        with suppress(StillflowError):
            self.stream.synchronize()
        self._forget()
        with suppress(StillflowError):
            self._owned.close()

    def _set_time(self, t: float) -> None:
        # The copy of the last time may still wait in the stream: only after it may the slot be written again.
        self._done.synchronize()
        self._slot_time[0] = t

    def _launch(self, output: Output, address: int, *, still: bool) -> None:
        self._device.upload(self._slot_bytes, self._time.address, self.stream)
        rgb, nv12 = (address, None) if output == "rgb" else (None, address)
        scratch = self._scratch[output]
        self._maker.enqueue(self._time.address, scratch, self.stream, rgb=rgb, nv12=nv12, still=still)

    def _tried(self, output: Output, address: int, t: float, graph: Graph | None) -> ByteArray:
        """One frame, through a graph or plain launches, fetched."""
        self._set_time(t)
        if graph is None:
            self._launch(output, address, still=False)
        else:
            graph.launch(self.stream)
        self._done.record(self.stream)
        # In ordinary memory: to pin some takes longer than these few copies.
        frame = np.empty(self._sizes[output], np.uint8)
        self.fetch(output, frame)
        return frame

    def _forget(self) -> None:
        """Give frames back, and what makes them."""
        held: list[Graph | Memory | Scratch] = [
            *self._graphs.values(),
            *self._frames.values(),
            *self._scratch.values(),
        ]
        for one in held:
            with suppress(StillflowError):
                one.close()
        for kept in (self._graphs, self._frames, self._scratch, self._played):
            kept.clear()

    def _distrust(self, output: Output, why: str) -> None:
        """Play an output by plain launches from now on, and say so once."""
        if output not in self._untrusted:
            log.warning(
                "no CUDA graph plays %s frames: %s; their kernels are launched one by one", output, why
            )
        self._untrusted.add(output)
