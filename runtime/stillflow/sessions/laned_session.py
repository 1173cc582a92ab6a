# SPDX-License-Identifier: Apache-2.0
"""What sessions on a GPU share whose graph runs in lanes, whichever library computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions.session import Array, TensorSpec, checked_inputs, fitting
from stillflow.sessions.session_lanes import SessionLanes
from stillflow.sessions.staging import arrays_on


class ComputingLane(Protocol):
    """A lane that runs the graph."""

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute from arrays of the host; new arrays come back."""

    def enqueue(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        """Compute in order of a stream; the results lie in the lane's memory until the next call."""

    def close(self) -> None:
        """Give its memory back; its work is done."""


AnyLane = TypeVar("AnyLane", bound=ComputingLane)


class LanedSession(Generic[AnyLane]):
    """The calls of `stillflow.sessions.DeviceSession`, over attributes that the session sets when it is made.

    Attributes:
        cuda: the device.
        inputs: what the graph takes.
    """

    cuda: CudaDevice
    inputs: tuple[TensorSpec, ...]
    _name: str
    _lanes: SessionLanes[AnyLane]
    _close: Callable[[], object]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        ready = checked_inputs(self.inputs, inputs, self._name)
        return self._lanes.lend(lambda lane: lane.run(ready))

    def run_on(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        """See `DeviceSession.run_on`."""
        ready = fitting(self.inputs, arrays_on(self.cuda, inputs, stream, self._name), self._name)
        return self._lanes.on(stream, lambda lane: lane.enqueue(ready, stream))

    def release(self, stream: Stream) -> None:
        """See `DeviceSession.release`."""
        self._lanes.release(stream)

    def close(self) -> None:
        """See `Session.close`."""
        self._close()
