# SPDX-License-Identifier: Apache-2.0
"""Target "device": both networks on a GPU, timed by events in its stream: computing alone, or with the transfers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress

import numpy as np

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import CudaDevice, Event
from stillflow.sessions import DeviceSession
from stillflow.sessions.session import Array
from stillflow_bench.latency.inputs import Inputs, fingerprint, flat, network_inputs, shapes_of, short_digest
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.opened import animator_of, facts_of, photos_of

TRANSFERS = {
    "upload": "inputs from pinned memory of the host to the device",
    "B0.device": "the networks, between events in the same stream",
    "download": "outputs to pinned memory of the host",
}
"""Span of a query with transfers -> what it is; "B1.transfer" is all of them."""


def open_target(spec: TargetSpec) -> DeviceTarget:
    """Open it; the boundary of the spec decides whether a query has transfers in it ("B0.device": it has none).

    Raises:
        StillflowError: the networks do not run on a GPU, or on an engine that takes no arrays in its memory.
    """
    return DeviceTarget(spec)


class DeviceTarget:
    """A query enqueues both networks for one photo and waits for them.

    Without transfers the inputs of all photos lie on the device, and spans are "B0.device", also by graph. With them
    spans are those of ``TRANSFERS`` and "B1.transfer".
    """

    def __init__(self, spec: TargetSpec) -> None:
        self._transfers = spec.boundary != "B0.device"
        self._owned = ExitStack()
        self._animator = animator_of(spec.subject)
        try:
            self._open(spec)
        except BaseException:
            self.close()
            raise

    def _open(self, spec: TargetSpec) -> None:
        animator = self._animator
        files, photos = photos_of(spec)
        self._inputs = [network_inputs(animator.bundle, photo, seed) for seed, photo in enumerate(photos)]
        self._sessions: dict[str, DeviceSession] = {}
        for graph in self._inputs[0]:
            session = animator.session(graph)
            if not isinstance(session, DeviceSession):
                why = f"{graph} runs on {session.engine} ({session.provider}), which is on no GPU"
                fix = "name a GPU: --subject device=cuda, or measure the boundary B2.call"
                raise StillflowError("cannot time the networks on the device", why, fix)
            self._sessions[graph] = session
        self._cuda: CudaDevice = next(iter(self._sessions.values())).cuda
        self._stream = self._cuda.stream()
        self._owned.callback(self._stream.close)
        self._owned.callback(self._released)
        self._events = [self._event() for _ in range(len(self._sessions) + 3)]
        self._place()
        hashes = [fingerprint(flat(given)) for given in self._inputs]
        spans = TRANSFERS if self._transfers else {}
        self._facts = facts_of(
            animator, hashes, files, {"shapes": shapes_of(self._inputs[0]), "spans": spans}
        )

    def _event(self) -> Event:
        event = self._cuda.event(timing=True)
        self._owned.callback(event.close)
        return event

    def _placed(self, arrays: Inputs) -> dict[str, DeviceArray]:
        """Room on the device for arrays."""
        found = {}
        for name, array in arrays.items():
            memory = self._cuda.allocate(array.nbytes)
            self._owned.callback(memory.close)
            found[name] = DeviceArray(
                memory.address, array.shape, array.dtype, self._cuda.index, owner=memory
            )
        return found

    def _pinned(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        pinned = self._cuda.pin(int(np.prod(shape)) * dtype.itemsize)
        self._owned.callback(pinned.close)
        return pinned.array.view(dtype).reshape(shape)

    def _place(self) -> None:
        """Bring all inputs to the device, or make room for one there and in pinned memory; run once for the outputs."""
        kept = self._inputs[:1] if self._transfers else self._inputs
        self._resident = [{graph: self._placed(given[graph]) for graph in self._sessions} for given in kept]
        for given, placed in zip(kept, self._resident, strict=True):
            for graph, arrays in placed.items():
                for name, array in arrays.items():
                    self._cuda.upload(np.ascontiguousarray(given[graph][name]), array.address, self._stream)
        self._stream.synchronize()
        made = self._run(self._resident[0])
        self._stream.synchronize()
        # Views of pinned memory, valid until it is given back.
        self._up = {
            graph: {name: self._pinned(array.shape, array.dtype) for name, array in arrays.items()}
            for graph, arrays in self._resident[0].items()
        }
        self._down = {
            graph: {name: self._pinned(array.shape, array.dtype) for name, array in arrays.items()}
            for graph, arrays in made.items()
        }

    def _run(
        self, inputs: Mapping[str, dict[str, DeviceArray]], events: list[Event] | None = None
    ) -> dict[str, dict[str, DeviceArray]]:
        """Enqueue both networks, with an event after each."""
        made = {}
        for number, (graph, session) in enumerate(self._sessions.items()):
            made[graph] = session.run_on(inputs[graph], self._stream)
            if events is not None:
                events[number].record(self._stream)
        return made

    def _fetch(self, made: Mapping[str, dict[str, DeviceArray]]) -> None:
        """Enqueue copies of the outputs to pinned memory."""
        for graph, arrays in made.items():
            for name, array in arrays.items():
                self._cuda.download(array.address, self._down[graph][name], self._stream)

    @property
    def facts(self) -> Facts:
        """See `Target`."""
        return self._facts

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._inputs)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. One lane; the digest is to be taken before the next query."""
        return self._with_transfers(index) if self._transfers else self._computing(index)

    def _computing(self, index: int) -> Answer:
        began, *after = self._events[: len(self._sessions) + 1]
        began.record(self._stream)
        made = self._run(self._resident[index], after)
        self._stream.synchronize()
        spans = {"B0.device": _between(began, after[-1])}
        for graph, start, end in zip(self._sessions, [began, *after], after, strict=False):
            spans[f"B0.device {graph}"] = _between(start, end)

        def digest() -> str:
            self._fetch(made)
            self._stream.synchronize()
            return short_digest(flat(self._down))

        return Answer(spans, digest)

    def _with_transfers(self, index: int) -> Answer:
        began, up, *after, done = self._events
        given, room = self._inputs[index], self._resident[0]
        for graph, arrays in self._up.items():
            for name, pinned in arrays.items():
                pinned[...] = given[graph][name]
        began.record(self._stream)
        for graph, arrays in self._up.items():
            for name, pinned in arrays.items():
                self._cuda.upload(pinned, room[graph][name].address, self._stream)
        up.record(self._stream)
        self._fetch(self._run(room, after))
        done.record(self._stream)
        self._stream.synchronize()
        spans = {
            "B1.transfer": _between(began, done),
            "upload": _between(began, up),
            "B0.device": _between(up, after[-1]),
            "download": _between(after[-1], done),
        }
        return Answer(spans, lambda: short_digest(flat(self._down)))

    def _released(self) -> None:
        """Give back what the sessions hold for the stream, once its work is done."""
        with suppress(StillflowError):
            self._stream.synchronize()
        for session in self._sessions.values():
            session.release(self._stream)

    def close(self) -> None:
        """See `Target`."""
        self._owned.close()
        self._animator.close()


def _between(start: Event, end: Event) -> int:
    """Nanoseconds between two events that are passed."""
    return round(1e6 * end.since(start))
