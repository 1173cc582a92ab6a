# SPDX-License-Identifier: Apache-2.0
"""Target "fake": an engine of known delays that can be told to misbehave. The suite's own test loads it.

It computes nothing. What it says of itself is what a real target says, with marks that show what it is: its engine is
"fake" unless the subject names one, and its photos are called fake-00 and so on.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any, Literal

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.boundary import NESTED, is_shorter
from stillflow_bench.latency.clock import Clock, HostClock
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.delays import Delays, Distribution

GRAPHS = ("flow", "generator")

INNER = 0.8
"""Of the time that a boundary takes, the next inner one takes so much."""

CACHED = 0.1
"""Of its time is what a query takes whose input is the one before's, where it caches."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fake is told, as options of its ``TargetSpec``.

    Attributes:
        distribution: of its delays.
        milliseconds: d of ``Distribution``.
        cycle: queries in which each quantile of it comes once.
        seed: of their order.
        inputs: how many it has.
        outputs: "good": each input its own; "constant": all the same; "random": never the same twice.
        caching: the same input twice in a row is answered in a tenth of the time.
        inner_longer: its inner boundaries last twice as long as the whole query.
        errors: every so many queries one fails; 0: none.
        receipt: "other": of another engine's file.
        engine: that computes; "": the one asked for.
        provider: that computes; "": of that engine.
        fallback: what it says does not run where it should.
    """

    distribution: Distribution = "constant"
    milliseconds: float = 2.0
    cycle: int = 500
    seed: int = 0
    inputs: int = 32
    outputs: Literal["good", "constant", "random"] = "good"
    caching: bool = False
    inner_longer: bool = False
    errors: int = 0
    receipt: Literal["passed", "failed", "missing", "other"] = "passed"
    engine: str = ""
    provider: str = ""
    fallback: str = ""

    def __post_init__(self) -> None:
        if self.milliseconds < 0 or self.cycle < 1 or self.inputs < 1 or self.errors < 0:
            raise ValueError("milliseconds and errors are 0 or more, cycle and inputs 1 or more")


def open_target(spec: TargetSpec) -> Fake:
    """Open it, on the host's clock.

    Raises:
        StillflowError: an option that it does not know.
    """
    return Fake(spec, HostClock())


class Fake:
    """Waits as long as it is told to.

    Args:
        spec: with ``Options``.
        clock: that it waits by; tests give one that jumps.

    Raises:
        StillflowError: an option that it does not know.
    """

    def __init__(self, spec: TargetSpec, clock: Clock) -> None:
        try:
            options = msgspec.convert(spec.options, Options)
        except msgspec.ValidationError as error:
            names = ", ".join(entry.name for entry in msgspec.structs.fields(Options))
            raise StillflowError(
                "cannot open the target 'fake'", str(error), f"its options are {names}"
            ) from error
        self.delays = Delays(options.distribution, options.milliseconds, options.cycle, options.seed)
        """What it waits, and the true percentiles of that."""
        self.took: list[int] = []
        """What it really took by its clock, nanoseconds: longer than it was told where the machine was busy."""
        self._options = options
        self._spec = spec
        self._clock = clock
        self._endless = self.delays.endless()
        self._inner: tuple[str, ...] = tuple(
            name for name in reversed(NESTED) if is_shorter(name, spec.boundary)
        )
        if spec.subject.device == "cpu":
            self._inner = tuple(name for name in self._inner if name != "B1.transfer")
        self._asked = 0
        self._last = -1
        self._lock = threading.Lock()

    @property
    def facts(self) -> Facts:
        """See `Target`."""
        options, subject = self._options, self._spec.subject
        asked = "fake" if subject.engine == "auto" else subject.engine
        precision = "fp32" if subject.precision == "auto" else subject.precision
        engine = options.engine or asked
        hashes = {name: _sha256(f"{engine} {precision} {name}") for name in ("bundle", *GRAPHS)}
        names = [f"fake-{number:02d}" for number in range(options.inputs)]
        return Facts(
            engine=engine,
            version="1",
            provider=options.provider or engine,
            precision=dict.fromkeys(GRAPHS, precision),
            device="cpu" if subject.device == "auto" else subject.device,
            frames="fake",
            fallback=options.fallback,
            hashes=hashes,
            receipts=self._receipts(hashes, engine, precision),
            inputs=[_sha256(name) for name in names],
            photos=[f"{name}.png" for name in names],
            notes={"options": msgspec.to_builtins(options)},
        )

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return self._options.inputs

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`."""
        begins = self._clock.now()
        with self._lock:
            delay = next(self._endless)
            self._asked += 1
            asked = self._asked
            if self._options.caching and index == self._last:
                delay = round(delay * CACHED)
            self._last = index
        self._clock.sleep_until(begins + delay)
        if self._options.errors and asked % self._options.errors == 0:
            raise StillflowError(
                "the fake failed",
                f"it was told to in every {self._options.errors}th query",
                "leave the option errors out",
            )
        took = self._clock.now() - begins
        self.took.append(took)
        share = 2.0 if self._options.inner_longer else INNER
        spans = {name: round(took * share ** (depth + 1)) for depth, name in enumerate(self._inner)}
        return Answer(spans, lambda: self._digest(index, asked))

    def close(self) -> None:
        """See `Target`."""

    def _digest(self, index: int, asked: int) -> str:
        outputs = self._options.outputs
        told = {"good": f"output {index}", "constant": "output", "random": f"output {index} of query {asked}"}
        return _sha256(told[outputs])[:16]

    def _receipts(self, hashes: dict[str, str], engine: str, precision: str) -> dict[str, Any]:
        kind = self._options.receipt
        if kind == "missing":
            return {}
        passed = kind != "failed"
        return {
            graph: {
                "gate": "A",
                "graph": graph,
                "engine": engine,
                "precision": precision,
                "onnx_sha256": _sha256("another file") if kind == "other" else hashes[graph],
                "passed": passed,
                "why": "" if passed else "the fake was told to fail",
            }
            for graph in GRAPHS
        }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
