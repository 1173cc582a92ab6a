# SPDX-License-Identifier: Apache-2.0
"""The public Animator, with sessions inside that time themselves and run where they were chosen to or not at all."""

from __future__ import annotations

import os
from dataclasses import replace

from stillflow.animator import Animator
from stillflow.bundle import Bundle
from stillflow.sessions import Session
from stillflow.sessions.networks import Networks
from stillflow.sessions.wish import Wish
from stillflow_bench.latency.targets.timed_session import Watch, timed, timed_on_cpu


class TimedAnimator(Animator):
    """An Animator that tells what its networks took.

    Args:
        bundle: name or path of one.
        engine: see `Animator`.
        precision: see `Animator`.
        device: see `Animator`.
        threads: of one run of a network on the CPU; None: all cores.

    Attributes:
        watch: the spans of each thread.
        why: the reasons of the choice.

    Raises:
        StillflowError: what was asked for is not here.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        engine: str = "auto",
        precision: str = "auto",
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        super().__init__(bundle, engine, precision, device)
        wish = Wish.of(device, engine, precision)
        choice = self.networks.choice
        if choice.device != "cpu":
            # What was chosen is asked for by name, so that a network that does not load there is an error and no
            # fallback: nobody should take the CPU's time for the GPU's.
            wish = replace(wish, device=choice.device, engine=choice.engine)
        self.why = choice.why
        self.watch = Watch()
        self.networks = _TimedNetworks(self.bundle, wish, self.watch, threads)

    def precisions(self) -> dict[str, str]:
        """Graph -> precision of the file, of all that are loaded."""
        chosen, usual = self.choice.precisions, self.bundle.manifest.default_precision
        return {graph: chosen.get(graph, usual) for graph in self.networks.sessions}


class _TimedNetworks(Networks):
    """Sessions that are timed."""

    def __init__(self, bundle: Bundle, wish: Wish, watch: Watch, threads: int | None) -> None:
        super().__init__(bundle, wish)
        self._files, self._watch, self._threads = bundle, watch, threads

    def load(self, graph: str) -> Session:
        choice = self.choice
        if choice.device != "cpu":
            return timed(super().load(graph), graph, self._watch)
        data = self._files.graph_bytes(graph, choice.precisions.get(graph))
        name = f"{graph} of {self._files.where}"
        return timed_on_cpu(data, graph, name, choice.engine, self._threads, self._watch)
