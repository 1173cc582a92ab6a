# SPDX-License-Identifier: Apache-2.0
"""Target "networks": flow and generator, once a photo, called as the animator calls them."""

from __future__ import annotations

from stillflow_bench.latency.inputs import fingerprint, flat, network_inputs, shapes_of, short_digest
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.opened import animator_of, facts_of, photos_of


def open_target(spec: TargetSpec) -> NetworksTarget:
    """Open it.

    Raises:
        StillflowError: the bundle has no such networks, or the engine is not here.
    """
    return NetworksTarget(spec)


class NetworksTarget:
    """A query runs both networks. Spans: "B2.call" and, on the CPU, "B0.device", each also by graph."""

    def __init__(self, spec: TargetSpec) -> None:
        self._animator = animator_of(spec.subject)
        files, photos = photos_of(spec)
        bundle = self._animator.bundle
        self._inputs = [network_inputs(bundle, photo, seed) for seed, photo in enumerate(photos)]
        self._sessions = {graph: self._animator.session(graph) for graph in self._inputs[0]}
        hashes = [fingerprint(flat(given)) for given in self._inputs]
        self._facts = facts_of(self._animator, hashes, files, {"shapes": shapes_of(self._inputs[0])})

    @property
    def facts(self) -> Facts:
        """See `Target`."""
        return self._facts

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._inputs)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`."""
        given = self._inputs[index]
        spans = self._animator.watch.start()
        made = {graph: session.run(given[graph]) for graph, session in self._sessions.items()}
        return Answer(spans, lambda: short_digest(flat(made)))

    def close(self) -> None:
        """See `Target`."""
        for session in self._sessions.values():
            session.close()
        self._animator.close()
