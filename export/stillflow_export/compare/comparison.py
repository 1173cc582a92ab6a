# SPDX-License-Identifier: Apache-2.0
"""Finds the first layer at which two graphs or engines part.

Inner tensors of both are made outputs, as many at a time as memory allows, and compared on the same inputs. What
came out is judged twice: a tensor *exceeds* when its relative error is above the threshold though that of all it
is made from is not; a tensor *jumps* when its error is ten times that of what it is made from, and above what its
number format explains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stillflow.errors import StillflowError
from stillflow_export.compare.marking import MarkedGraph, Match, in_chunks, match_tensors
from stillflow_export.compare.side import Side
from stillflow_export.compare.tensor_error import TensorError, tensor_error, worse
from stillflow_export.samples import Sample

BUDGET = 512 << 20
"""Bytes of marked tensors that are held at once, both sides together."""

JUMP = 10.0
"""So many times the error of its inputs, and a layer is said to jump."""

ROUNDING = {"fp32": 1e-6, "fp16": 2e-3, "int8": 3e-2}
"""Relative error that a layer may add by rounding alone, the finest format first. float32 sums in another order
differ by 1e-7 to 1e-6, float16 rounds to 5e-4, int8 to about 1 % of the root mean square: each with some room."""

THRESHOLD = {"fp32": 1e-4, "fp16": 2e-2, "int8": 1e-1}
"""Threshold when none is given, by the coarsest format on either side."""

SELECTING = frozenset({"Relu", "LeakyRelu", "Clip", "Max", "Min", "MaxPool"})
"""Operators that let values through or bound them, and so cannot add an error of their own. What is left may be next
to nothing (a ReLU that is almost dead), so errors behind them are shares of what they chose from. A Slice is none of
these: where it takes channels that are more wrong than the rest, that is worth knowing."""

PROBES = 8
"""Tensors marked at once in a search by halves."""


@dataclass(frozen=True)
class LayerError:
    """One tensor that both sides have.

    Attributes:
        depth: its place in the order of A's file.
        tensor: name in A.
        twin: name in B.
        node: that makes it in A.
        operator: of that node.
        format: coarsest number format on either side at this layer or in what it is made from: its rounding
            may be seen here. "fp32", "fp16" or "int8".
        error: how far apart.
        relative: the error's root mean square as a share of the tensor's, or of its inputs' where its operator
            only selects (``SELECTING``): what is judged.
        before: largest relative error of the tensors it is made from; None: not all of them were compared.
        jump: its relative error, divided by the larger of that and what rounding explains; 0 when that is not known.
    """

    depth: int
    tensor: str
    twin: str
    node: str
    operator: str
    format: str
    error: TensorError
    relative: float
    before: float | None
    jump: float


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes:
        a: label of the reference.
        b: label of the other.
        threshold: that a tensor must not exceed.
        layers: every tensor that was compared, in A's order.
        matched: how many tensors both sides have.
        of_a: how many float tensors A has.
        of_b: likewise B.
        outputs: output -> error, with nothing else marked: what a user of the graph sees.
        marking: side -> largest relative change of its own outputs by marking tensors. Where it is
            as large as what was found, fusion is part of the story.
        exceeds: first layer beyond the threshold with nothing before it beyond; None: none.
        jumps: first layer that jumps; None: none.
        alone: relative error of those two when they are marked alone, with their inputs: by name.
        samples: names.
        runs: how often both sides ran.
    """

    a: str
    b: str
    threshold: float
    layers: tuple[LayerError, ...]
    matched: int
    of_a: int
    of_b: int
    outputs: Mapping[str, TensorError]
    marking: Mapping[str, float]
    exceeds: LayerError | None
    jumps: LayerError | None
    alone: Mapping[str, float]
    samples: tuple[str, ...]
    runs: int

    @property
    def parted(self) -> bool:
        """Whether an output is beyond the threshold."""
        return any(error.relative > self.threshold for error in self.outputs.values())

    def worst(self, count: int = 20) -> list[LayerError]:
        """The layers with the largest relative errors, the worst first."""
        return sorted(self.layers, key=lambda layer: -layer.relative)[:count]

    def as_json(self) -> dict[str, Any]:
        """Plain values; JSON has no infinity, so such errors are null."""
        found: dict[str, Any] = _finite({**asdict(self), "parted": self.parted})
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Pair:
    """Both sides, what they have in common, and the errors measured so far."""

    def __init__(self, a: Side, b: Side, samples: Sequence[Sample], threads: int | None) -> None:
        self.sides, self.samples, self.threads = (a, b), samples, threads
        shapes = {name: array.shape for name, array in samples[0].inputs.items()}
        self.graphs = MarkedGraph(a.data, shapes, a.label), MarkedGraph(b.data, shapes, b.label)
        self.matches, self.of_a, self.of_b = match_tensors(*self.graphs)
        if not self.matches:
            raise StillflowError(
                f"cannot compare {a.label} with {b.label}",
                "no tensor of one has the name, or a node of the same name, in the other",
                "compare two forms of one graph",
            )
        self.depth = {match.name: i for i, match in enumerate(self.matches)}
        self.errors: dict[str, TensorError] = {}
        self._scales: dict[str, float] = {}
        self.formats: dict[str, str] = {}
        for match in self.matches:  # in order, so sources come first
            before = [self.formats.get(source.name, "fp32") for source in self.sources(match)]
            self.formats[match.name] = max([_format(match), *before], key=list(ROUNDING).index)
        self.runs = 0
        # Once without marks: what a user gets, and what marking is judged by.
        self.plain = [self._run(i, self.sides[i].data) for i in (0, 1)]
        self.marking = {side.label: 0.0 for side in self.sides}
        self.outputs = self._output_errors()

    def _run(self, i: int, data: bytes) -> list[dict[str, np.ndarray]]:
        session = self.sides[i].session(data, self.threads)
        return [session.run(_as_wanted(session.inputs, sample)) for sample in self.samples]

    def _output_errors(self) -> dict[str, TensorError]:
        found: dict[str, TensorError] = {}
        for name in self.graphs[0].outputs:
            for sample, ours, theirs in zip(self.samples, *self.plain, strict=True):
                if ours[name].dtype.kind == "f":
                    found[name] = worse(found.get(name), tensor_error(ours[name], theirs[name], sample.name))
        return found

    def compared(self, matches: Iterable[Match]) -> dict[str, TensorError]:
        """Errors of these tensors with just them marked, whatever was measured before."""
        matches = list(matches)
        found: dict[str, TensorError] = {}
        data = (
            self.graphs[0].marked([match.name for match in matches]),
            self.graphs[1].marked([match.twin for match in matches]),
        )
        sessions = [side.session(d, self.threads) for side, d in zip(self.sides, data, strict=True)]
        self.runs += 1
        for k, sample in enumerate(self.samples):
            got = [session.run(_as_wanted(session.inputs, sample)) for session in sessions]
            for match in matches:
                error = tensor_error(got[0][match.name], got[1][match.twin], sample.name)
                found[match.name] = worse(found.get(match.name), error)
            for i, side in enumerate(self.sides):
                for name, plain in self.plain[i][k].items():
                    if plain.dtype.kind == "f":
                        change = tensor_error(plain, got[i][name], sample.name).relative
                        self.marking[side.label] = max(self.marking[side.label], change)
        return found

    def measure(self, matches: Iterable[Match], budget: int) -> None:
        """Compare tensors that were not compared yet, as many at once as the budget allows.

        Behind operators that select, what they chose from is compared too.
        """
        wanted: dict[str, Match] = {}
        waiting = list(matches)
        while waiting:
            match = waiting.pop()
            if match.name not in wanted:
                wanted[match.name] = match
                waiting += self.sources(match) if match.operator in SELECTING else []
        chosen = sorted(wanted.values(), key=lambda match: self.depth[match.name])
        for chunk in in_chunks([match for match in chosen if match.name not in self.errors], budget):
            self.errors |= self.compared(chunk)

    def scale(self, match: Match) -> float:
        """Root mean square that an error is a share of."""
        own = self.errors[match.name].scale
        if match.operator not in SELECTING:
            return own
        if match.name not in self._scales:
            self._scales[match.name] = max([own, *(self.scale(source) for source in self.sources(match))])
        return self._scales[match.name]

    def relative(self, match: Match) -> float:
        """Error of a tensor that was compared, as ``LayerError.relative`` says."""
        error = self.errors[match.name]
        scale = self.scale(match)
        return error.relative * error.scale / scale if scale > error.scale else error.relative

    def sources(self, match: Match) -> list[Match]:
        """Matched tensors that a tensor is made from, looking through those that have no twin."""
        found: dict[str, Match] = {}
        open_names, seen = list(match.inputs), set[str]()
        while open_names:
            name = open_names.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.depth:
                found[name] = self.matches[self.depth[name]]
            elif name in self.graphs[0].makers and name not in self.graphs[0].weights:
                open_names += [n for n in self.graphs[0].makers[name].input if n]
        return list(found.values())

    def layer(self, match: Match) -> LayerError:
        """What was measured of one tensor."""
        error = self.errors[match.name]
        relative, sources = self.relative(match), self.sources(match)
        before: float | None = None
        if all(source.name in self.errors for source in sources):
            before = max((self.relative(source) for source in sources), default=0.0)
        kind = self.formats[match.name]
        # What reads a tensor that is next to nothing has that tensor's own error before it.
        inherited = max((self.errors[s.name].relative for s in sources if s.name in self.errors), default=0.0)
        floor = math.inf if before is None else max(inherited, ROUNDING[kind])
        jump = relative / floor if math.isfinite(floor) else 0.0
        where = (self.depth[match.name], match.name, match.twin, match.node, match.operator, kind)
        return LayerError(*where, error, relative, before, jump)


def compare(
    a: Side,
    b: Side,
    samples: Sequence[Sample],
    *,
    threshold: float | None = None,
    bisect: bool = False,
    budget: int = BUDGET,
    threads: int | None = None,
) -> Comparison:
    """Compare inner tensors of two sides on the same inputs.

    Args:
        a: the reference.
        b: the other: the same graph in another precision, on another engine, or a changed one.
        samples: at least one, all of the same shapes.
        threshold: relative error that a tensor must not exceed; None: by the coarsest format, see ``THRESHOLD``.
        bisect: search by halves with a few tensors marked at once, instead of comparing all. For large
            graphs, and where marking many tensors would change what the engine fuses.
        budget: bytes of marked tensors held at once.
        threads: that one run uses; None: all cores.

    Raises:
        StillflowError: a side does not load or run, or they have nothing in common.
    """
    pair = _Pair(a, b, samples, threads)
    if threshold is None:
        formats = {_format(match) for match in pair.matches}
        threshold = THRESHOLD[next(kind for kind in ("int8", "fp16", "fp32") if kind in formats)]
    if bisect:
        _search(pair, threshold, budget)
    else:
        pair.measure(pair.matches, budget)
    layers = [pair.layer(match) for match in pair.matches if match.name in pair.errors]
    clear = [x for x in layers if x.before is not None and x.before <= threshold]
    exceeds = next((x for x in clear if x.relative > threshold), None)
    jumps = next((x for x in layers if x.jump >= JUMP), None)
    alone: dict[str, float] = {}
    for layer in {x.tensor: x for x in (exceeds, jumps) if x is not None}.values():
        match = pair.matches[layer.depth]
        error = pair.compared([match, *pair.sources(match)])[match.name]
        alone[layer.tensor] = error.relative * (layer.relative / (layer.error.relative or 1.0))
    return Comparison(
        a=a.label,
        b=b.label,
        threshold=threshold,
        layers=tuple(layers),
        matched=len(pair.matches),
        of_a=pair.of_a,
        of_b=pair.of_b,
        outputs=pair.outputs,
        marking=pair.marking,
        exceeds=exceeds,
        jumps=jumps,
        alone=alone,
        samples=tuple(sample.name for sample in samples),
        runs=pair.runs,
    )


def _format(match: Match) -> str:
    return "int8" if match.quantised else "fp16" if match.half else "fp32"


def _as_wanted(specs: Sequence[Any], sample: Sample) -> dict[str, np.ndarray]:
    """The sample's arrays in the dtypes of a session: a float16 graph may take float16."""
    wanted = {spec.name: spec.dtype for spec in specs}
    return {name: array.astype(wanted.get(name, array.dtype)) for name, array in sample.inputs.items()}


def _search(pair: _Pair, threshold: float, budget: int) -> None:
    """Find tensors beyond the threshold whose sources are all below it, with few tensors marked at once.

    For each output beyond it, what that output is made from is searched: between a tensor below and a later one beyond
    there is one where it happens; a few are probed, and the search goes on between the last below and the first
    beyond. In the file's order branches lie side by side, so at the end the sources of what was found are measured,
    and the search climbs while one of them is beyond.
    """
    outputs = [pair.matches[pair.depth[name]] for name in pair.graphs[0].outputs if name in pair.depth]
    pair.measure(outputs, budget)
    found: set[str] = set()
    for output in outputs:
        if pair.relative(output) > threshold:
            ancestors = _ancestors(pair, output)
            if not found & {match.name for match in ancestors}:
                found.add(_first_beyond(pair, ancestors, threshold, budget).name)


def _ancestors(pair: _Pair, match: Match) -> list[Match]:
    """A tensor and all matched ones that it is made from, in A's order."""
    found, waiting = {match.name: match}, [match]
    while waiting:
        for source in pair.sources(waiting.pop()):
            if source.name not in found:
                found[source.name] = source
                waiting.append(source)
    return sorted(found.values(), key=lambda m: pair.depth[m.name])


def _first_beyond(pair: _Pair, line: Sequence[Match], threshold: float, budget: int) -> Match:
    """Where a line of tensors, of which the last is beyond the threshold, goes beyond it."""
    low, high = 0, len(line) - 1
    while True:
        spread = np.linspace(low, high, min(PROBES, high - low + 1)).round().astype(int)
        probes = sorted({int(i) for i in spread})
        pair.measure([line[i] for i in probes], budget)
        high = next(i for i in probes if pair.relative(line[i]) > threshold)  # the last one is
        below = [i for i in probes if i < high]
        if not below or high - below[-1] <= 1:
            break
        low = below[-1]
    found = line[high]
    while True:
        sources = pair.sources(found)
        pair.measure(sources, budget)
        beyond = [s for s in sources if pair.relative(s) > threshold]
        if not beyond:
            return found
        found = min(beyond, key=lambda s: pair.depth[s.name])
