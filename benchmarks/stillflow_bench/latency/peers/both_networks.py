# SPDX-License-Identifier: Apache-2.0
"""Both networks for one photo, on whatever runs them: the query that all peers at B2.call share.

They take the arrays that our own sessions take (``latency.inputs``), photo by photo, and their outputs are digested the
same way, so that a reader can see that it is the same work.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from stillflow.bundle import Bundle
from stillflow.sessions.choice import choose
from stillflow.sessions.session import Array
from stillflow_bench.latency.inputs import (
    Inputs,
    fingerprint,
    flat,
    network_inputs,
    photo_files,
    photo_of,
    shapes_of,
    short_digest,
)
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import Answer, Facts, TargetSpec

GRAPHS = ("flow", "generator")
"""In the order in which they run for a photo."""

Run = Callable[[Inputs], Mapping[str, Array]]
"""One graph: its inputs to its outputs, which can be read on the host when it returns."""

Outputs = Mapping[str, Mapping[str, Array]]
"""Graph -> its outputs."""


@dataclass(frozen=True)
class NetworkFile:
    """The ONNX file of a graph that a peer runs.

    Attributes:
        data: its bytes.
        precision: of the file, "fp32", "fp16" or "int8".
    """

    data: bytes
    precision: str

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class NetworkPhotos:
    """What the networks are given.

    Attributes:
        names: of the photos.
        inputs: for each photo, graph -> arrays, C-contiguous, in the order of the graph's inputs.
    """

    names: tuple[str, ...]
    inputs: tuple[Mapping[str, Inputs], ...]

    def about(self) -> Facts:
        """What a target says of them."""
        return Facts(
            inputs=[fingerprint(flat(given)) for given in self.inputs],
            photos=list(self.names),
            notes={"shapes": shapes_of(self.inputs[0])},
        )


def network_photos(bundle: Bundle, spec: TargetSpec) -> NetworkPhotos:
    """Prepare every photo of a target, at the subject's size."""
    names, inputs = [], []
    for number, path in enumerate(photo_files(spec.photos)):
        given = network_inputs(bundle, photo_of(path, spec.subject), seed=number)
        names.append(path.name)
        inputs.append(
            {
                graph: {
                    t.name: np.ascontiguousarray(given[graph][t.name]) for t in bundle.graph(graph).inputs
                }
                for graph in GRAPHS
            }
        )
    return NetworkPhotos(tuple(names), tuple(inputs))


def chosen_files(bundle: Bundle, subject: Subject, engine: str) -> tuple[str, dict[str, NetworkFile]]:
    """The device and the files that stillflow itself would run on an engine: a peer gets the same.

    Args:
        bundle: that holds them.
        subject: says device and precision.
        engine: of `stillflow.sessions`.

    Returns:
        "cpu" or "cuda:N", and graph -> file.

    Raises:
        StillflowError: what was asked for is not here.
    """
    choice = choose(bundle, subject.device, engine, subject.precision, graphs=GRAPHS)
    files = {
        graph: NetworkFile(bundle.graph_bytes(graph, precision), precision)
        for graph, precision in ((graph, choice.precisions[graph]) for graph in GRAPHS)
    }
    return choice.device, files


def outputs_digest(outputs: Outputs) -> str:
    """The short digest of both networks' outputs."""
    return short_digest(flat(outputs))


class BothNetworks:
    """A target whose query runs both networks for one photo.

    Args:
        photos: that it is queried with.
        runs: makes what runs each graph, for one lane; called once a lane, in that lane's thread.
        facts: what is known of the engine; the photos' own are added.
        on_cpu: the library's calls compute and do nothing else, so that their time is that of the device.
    """

    def __init__(
        self, photos: NetworkPhotos, runs: Callable[[], Mapping[str, Run]], facts: Facts, *, on_cpu: bool
    ) -> None:
        self._photos, self._make, self._on_cpu = photos, runs, on_cpu
        self._lanes: dict[int, Mapping[str, Run]] = {}
        self._lock = threading.Lock()
        seen = photos.about()
        self.facts = msgspec.structs.replace(
            facts, inputs=seen.inputs, photos=seen.photos, notes={**seen.notes, **facts.notes}
        )

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._photos.inputs)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. The digest is of this query until the lane's next one: buffers are used again."""
        runs = self._lane(lane)
        given = self._photos.inputs[index]
        outputs: dict[str, Mapping[str, Array]] = {}
        laps: dict[str, int] = {}
        for graph, run in runs.items():
            began = time.monotonic_ns()
            outputs[graph] = run(given[graph])
            laps[graph] = time.monotonic_ns() - began
        inside = "B0.device" if self._on_cpu else "stage"
        spans = {f"{inside} {graph}": taken for graph, taken in laps.items()}
        if self._on_cpu:
            spans["B0.device"] = sum(laps.values())
        return Answer(spans, lambda: outputs_digest(outputs))

    def outputs(self, index: int) -> Outputs:
        """Copies of what both networks make of an input: to hold a peer to others."""
        given = self._photos.inputs[index]
        return {
            graph: {name: array.copy() for name, array in run(given[graph]).items()}
            for graph, run in self._lane(0).items()
        }

    def _lane(self, lane: int) -> Mapping[str, Run]:
        if lane not in self._lanes:
            made = self._make()
            with self._lock:
                self._lanes.setdefault(lane, made)
        return self._lanes[lane]

    def close(self) -> None:
        """See `Target`."""
        self._lanes.clear()
        self._make = _closed


def _closed() -> Mapping[str, Run]:
    raise RuntimeError("the target is closed")
