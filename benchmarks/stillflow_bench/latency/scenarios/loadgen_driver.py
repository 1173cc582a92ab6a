# SPDX-License-Identifier: Apache-2.0
"""The same target under MLPerf's LoadGen (``pip install mlcommons-loadgen``, wheels for x86-64 only).

LoadGen decides when a query is made and reads its own clock; the samples hold what its log says. Which input a query is
about comes from the suite's own order: LoadGen would draw it by chance, and under MultiStream one twice as often as
another. It knows no warm-up and no audit: those are the suite's own.

- single_stream: the query runs within LoadGen's call. issued and done are LoadGen's.
- multi_stream, server: queries are handed to the lanes. scheduled and done are LoadGen's, issued is when a lane began.
- offline: all are handed over at once. issued is when a lane began, done is LoadGen's; its own latencies count from the
  begin of the test, and its figure is the throughput.

LoadGen's clock becomes the host's by one shift for each test: the smallest with which no query is done before its lane
says so. Only the last query of each lane is hashed, as hashing would hold up the load.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from stillflow.errors import StillflowError
from stillflow_bench.latency.clock import nanoseconds
from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios.asking import Asked, Asker, Claim, sweep
from stillflow_bench.latency.scenarios.driver import Driver
from stillflow_bench.latency.scenarios.lanes import Lanes
from stillflow_bench.latency.scenarios.loadgen_log import Logged, read_trace
from stillflow_bench.latency.scenarios.server import arrival_seed
from stillflow_bench.latency.target import Answer
from stillflow_bench.latency.temporary import temporary_place

NAMES: Mapping[Scenario, str] = {
    "single_stream": "SingleStream",
    "sustained": "SingleStream",
    "multi_stream": "MultiStream",
    "offline": "Offline",
    "server": "Server",
}
"""Scenario -> what LoadGen calls it; it has no cold start."""

NO_BOUND_NS = 10**15
"""Latency that LoadGen is told to aim at, far beyond any: here its verdict is not asked for."""


def load_generator() -> Any:
    """The module of LoadGen.

    Raises:
        StillflowError: it is not installed.
    """
    try:
        return importlib.import_module("mlperf_loadgen")
    except ImportError as error:
        raise StillflowError(
            "cannot load the target with LoadGen",
            f"it is not installed ({error})",
            "pip install 'stillflow[loadgen]' on x86-64; elsewhere use --driver own",
        ) from error


class LoadGenDriver:
    """Loads a target by LoadGen. Each call of ``measure`` is one of its tests, or several where seconds are asked for.

    Args:
        asker: makes the queries.
        load: scenario, lanes, rate and seed.
        own: the suite's own driver of the scenario, which warms up and audits; it is closed with this one.
        inputs: how many the target has.

    Raises:
        StillflowError: it is not installed, or has no such scenario.
    """

    def __init__(self, asker: Asker, load: Load, own: Driver, inputs: int) -> None:
        self._lg = load_generator()
        if load.scenario not in NAMES:
            raise StillflowError(
                f"cannot measure the scenario {load.scenario} with LoadGen",
                "it has no such scenario",
                f"use --driver own, or one of {', '.join(NAMES)}",
            )
        self._asker = asker
        self._load = load
        self._own = own
        self._inputs = inputs
        # One more lane than work: LoadGen itself runs in it.
        self._lanes = Lanes(load.lanes + 1, asker.clock)
        self._tests = 0
        self.logged: list[Logged] = []
        """Of the last test, as LoadGen logged it."""

    def warm_up(self) -> list[Sample]:
        return self._own.warm_up()

    def measure(self, queries: int, seconds: float, round: int) -> list[Sample]:
        sweep()
        latest = self._test(queries, round)
        samples = list(latest)
        # From query to query, as the judge counts: LoadGen takes time before its first and after its last one.
        until = min(sample.issued for sample in samples) + nanoseconds(seconds)
        while max(sample.done for sample in latest) < until:
            latest = self._test(queries, round)
            samples += latest
        return samples

    def audit(self) -> list[Sample]:
        return self._own.audit()

    def close(self) -> None:
        self._lanes.close()
        self._own.close()

    def _test(self, queries: int, round: int) -> list[Sample]:
        test = _Test(self._lg, self._asker, self._load, round)
        settings = self._settings(max(1, queries))
        self._tests += 1
        with tempfile.TemporaryDirectory(prefix="stillflow-loadgen-", dir=temporary_place()) as folder:
            self._lanes.run(lambda lane: test.work(lane, settings, self._inputs, folder))
            self.logged = read_trace(Path(folder))
        return test.samples(self.logged)

    def _settings(self, queries: int) -> Any:
        lg, load = self._lg, self._load
        settings = lg.TestSettings()
        settings.scenario = getattr(lg.TestScenario, NAMES[load.scenario])
        settings.mode = lg.TestMode.PerformanceOnly
        settings.min_duration_ms = 0
        settings.min_query_count = queries
        settings.max_query_count = 0 if load.scenario == "offline" else queries
        settings.multi_stream_samples_per_query = load.lanes
        # Of an offline test it decides with the duration how many samples there are, where those are more than asked.
        settings.offline_expected_qps = 1e-3
        settings.server_target_qps = load.rate
        settings.server_target_latency_ns = NO_BOUND_NS
        settings.schedule_rng_seed = arrival_seed(load.seed, self._tests)
        return settings


class _Test:
    """One of LoadGen's tests: what it handed over, and what came of it."""

    def __init__(self, lg: Any, asker: Asker, load: Load, round: int) -> None:
        self._lg = lg
        self._asker = asker
        self._load = load
        self._round = round
        self._row: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        self._claims: list[Claim] = []
        self._names: list[int] = []
        self._asked: dict[int, tuple[int, Asked]] = {}
        self._last: dict[int, int] = {}
        self._broken: BaseException | None = None

    def work(self, lane: int, settings: Any, inputs: int, folder: str) -> None:
        """What a lane does; the one after the last runs LoadGen."""
        if lane == self._load.lanes:
            try:
                self._run(settings, inputs, folder)
            finally:
                for _ in range(self._load.lanes):
                    self._row.put(None)
            return
        while (handed := self._row.get()) is not None:
            self._answer(*handed, lane)

    def samples(self, logged: Sequence[Logged]) -> list[Sample]:
        """Samples of what LoadGen logged.

        Raises:
            RuntimeError: its log is not about what it handed over.
            BaseException: what the target raised that is no StillflowError.
        """
        if self._broken is not None:
            raise self._broken
        if [entry.input for entry in logged] != self._names:
            raise RuntimeError(
                f"LoadGen handed over {len(self._claims)} queries, and its log has {len(logged)} others"
            )
        shift = max(self._asked[place][1].done - entry.done for place, entry in enumerate(logged))
        kept = []
        for place, (claim, entry) in enumerate(zip(self._claims, logged, strict=True)):
            lane, asked = self._asked[place]
            issued = entry.issued + shift if self._alone else asked.issued
            scheduled = entry.scheduled + shift if self._load.scenario in ("multi_stream", "server") else None
            asked = asked._replace(issued=issued, done=entry.done + shift)
            kept.append(self._asker.keep(claim, asked, lane, scheduled))
        return kept

    @property
    def _alone(self) -> bool:
        return NAMES[self._load.scenario] == "SingleStream"

    def _run(self, settings: Any, inputs: int, folder: str) -> None:
        lg = self._lg
        logs = lg.LogSettings()
        logs.log_output.outdir = folder
        logs.log_output.copy_summary_to_stdout = False
        logs.enable_trace = True
        sut = lg.ConstructSUT(self._issue, _nothing)
        library = lg.ConstructQSL(inputs, inputs, _nothing, _nothing)
        try:
            # Without a name it would look for audit.config in the current folder and obey it.
            lg.StartTestWithLogSettings(sut, library, settings, logs, "")
        finally:
            lg.DestroyQSL(library)
            lg.DestroySUT(sut)

    def _issue(self, handed: Sequence[Any]) -> None:
        first = len(self._claims)
        self._names += [sample.index for sample in handed]
        self._claims += [self._asker.claim("measured", self._round) for _ in handed]
        for place, sample in enumerate(handed, first):
            if self._alone:
                self._answer(place, sample.id, 0)
            else:
                self._row.put((place, sample.id))

    def _answer(self, place: int, name: int, lane: int) -> None:
        try:
            asked = self._asker.ask(self._claims[place], lane)
        except BaseException as error:  # LoadGen would wait for ever for what is not answered
            self._broken = error
            asked = Asked(0, 0, None, "")
        self._lg.QuerySamplesComplete([self._lg.QuerySampleResponse(name, 0, 0)])
        before = self._last.get(lane)
        if before is not None:  # its outputs are let go; what was timed within stays
            _, earlier = self._asked[before]
            spans = earlier.answer.spans if earlier.answer else {}
            self._asked[before] = lane, earlier._replace(answer=Answer(spans))
        self._asked[place] = lane, asked
        self._last[lane] = place


def _nothing(*_: Any) -> None:
    """LoadGen asks for inputs to be loaded and for queries to be flushed: both are always done."""
