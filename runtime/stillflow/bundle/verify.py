# SPDX-License-Identifier: Apache-2.0
"""Does a bundle hold what it promises: hashes, graphs that load, test vectors that come out right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

import numpy as np

from stillflow.bundle.manifest import PRECISIONS, Graph, Tolerance, Vector
from stillflow.bundle.npz import read_npz
from stillflow.errors import StillflowError
from stillflow.sessions import Device, Session
from stillflow.sessions.session import Array

if TYPE_CHECKING:
    from stillflow.bundle.bundle import Bundle

MAX_VECTOR_BYTES = 1 << 28
"""Unpacked size of one test vector; those of the default bundle take about 0.2 MB."""

ALL = "all"
"""In place of a precision: every one that a graph has a file of."""

Precisions = Union[str, Mapping[str, str], None]
"""One for all graphs, or graph -> precision; None, or a graph that is not named: the manifest's default."""


@dataclass(frozen=True)
class Ran:
    """What computed, read back from the session.

    Attributes:
        graph: its name.
        precision: of the file that was run.
        engine: name in the registry.
        provider: what the engine says that it computes on.
    """

    graph: str
    precision: str
    engine: str
    provider: str


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: what, such as "sha256 flow.onnx" or "vector vectors/flow-0.npz velocity"; a precision that is
            not the manifest's default stands at the end.
        ok: it is as it should be.
        detail: the figures, or why not.
        error: largest deviation found, where one was measured.
        tolerance: deviation allowed at the value that deviates most, where one was measured.
        ran: what computed, where something did.
    """

    name: str
    ok: bool
    detail: str
    error: float | None = None
    tolerance: float | None = None
    ran: Ran | None = None


@dataclass(frozen=True)
class _Place:
    """Where graphs are run; see `Bundle.session`."""

    engine: str
    threads: int | None
    device: Device
    allow_fallback: bool


def run_checks(
    bundle: Bundle,
    engine: str,
    precision: Precisions,
    threads: int | None,
    device: Device,
    allow_fallback: bool = False,
) -> Iterator[Check]:
    """Yield every check as it is done; see `Bundle.verify`.

    One session is alive at a time, and it is let go before the next is opened.

    Raises:
        StillflowError: no such precision exists.
    """
    if isinstance(precision, str) and precision not in (ALL, *PRECISIONS):
        raise StillflowError(
            f"cannot verify the bundle {bundle.where} at the precision '{precision}'",
            "there is no such precision",
            f"use {', '.join(PRECISIONS)}, or {ALL} for every one that the bundle holds",
        )
    return _checks(bundle, precision, _Place(engine, threads, device, allow_fallback))


def _checks(bundle: Bundle, precision: Precisions, place: _Place) -> Iterator[Check]:
    manifest = bundle.manifest
    for file in manifest.files:

        def read(path: str = file.path) -> str:
            return f"{len(bundle.read(path))} bytes"

        yield _tried(f"sha256 {file.path}", read)
    for graph in manifest.graphs:
        held = [variant.precision for variant in graph.all_variants]
        if not any(v.graph == graph.name for v in manifest.vectors):
            why = "the graph has no test vector, so nothing shows that it works"
            yield Check(f"vectors of {graph.name}", False, why)
        named = precision if isinstance(precision, str) else (precision or {}).get(graph.name)
        for one in held if named == ALL else [named or manifest.default_precision]:
            yield from _graph_checks(bundle, graph, one, place)


def _graph_checks(bundle: Bundle, graph: Graph, precision: str, place: _Place) -> Iterator[Check]:
    """Check one file of one graph on one session."""
    suffix = "" if precision == bundle.manifest.default_precision else f" {precision}"
    if graph.at(precision) is None:
        held = ", ".join(variant.precision for variant in graph.all_variants)
        yield Check(
            f"graph {graph.name}{suffix}", False, f"the bundle has no {precision} file of it, only {held}"
        )
        return
    sessions: list[Session] = []

    def load() -> str:
        sessions.append(
            bundle.session(
                graph.name,
                place.engine,
                precision=precision,
                threads=place.threads,
                device=place.device,
                allow_fallback=place.allow_fallback,
            )
        )
        fallback = f"; {sessions[0].fallback}" if sessions[0].fallback else ""
        return f"{precision} on {sessions[0].engine}, {sessions[0].provider}{fallback}"

    loaded = _tried(f"graph {graph.name}{suffix}", load)
    if not sessions:
        yield loaded
        return
    ran = Ran(graph.name, precision, sessions[0].engine, sessions[0].provider)
    yield Check(loaded.name, loaded.ok, loaded.detail, ran=ran)
    for vector in bundle.manifest.vectors:
        if vector.graph == graph.name:
            yield from _vector_checks(bundle, sessions[0], vector, graph, ran, suffix)


def _tried(name: str, action: Callable[[], str]) -> Check:
    try:
        return Check(name, True, action())
    except StillflowError as error:
        return Check(name, False, f"{error.why}; fix: {error.fix}")


def _vector_checks(
    bundle: Bundle, session: Session, vector: Vector, graph: Graph, ran: Ran, suffix: str
) -> Iterator[Check]:
    name = f"vector {vector.file}"
    try:
        arrays = read_vector(bundle.read(vector.file), vector.file)
        inputs = {n.removeprefix("input."): a for n, a in arrays.items() if n.startswith("input.")}
        got = session.run(inputs)
    except StillflowError as error:
        yield Check(f"{name}{suffix}", False, f"{error.why}; fix: {error.fix}", ran=ran)
        return
    tolerances = vector.tolerance.get(ran.precision, {})
    for output in graph.outputs:
        label = f"{name} {output.name}{suffix}"
        expected, tolerance = arrays.get(f"output.{output.name}"), tolerances.get(output.name)
        if expected is None:
            yield Check(label, False, "the vector gives no expected values for this output", ran=ran)
        elif tolerance is None:
            given = ", ".join(vector.tolerance) or "none at all"
            why = f"the vector gives no tolerance for this output at {ran.precision} (it gives: {given})"
            yield Check(label, False, why, ran=ran)
        else:
            check = compare(label, got[output.name], expected, tolerance)
            yield Check(label, check.ok, check.detail, check.error, check.tolerance, ran)


def compare(name: str, got: Array, expected: Array, tolerance: Tolerance) -> Check:
    """Judge an array against the expected one.

    Args:
        name: of the Check.
        got: what came out.
        expected: what should.
        tolerance: |got - expected| <= absolute + relative * |expected|, for every value.

    Returns:
        A Check with deviation and allowance at the value whose deviation is the largest share of its allowance.
    """
    if got.shape != expected.shape or got.dtype != expected.dtype:
        found, wanted = f"{got.dtype} {got.shape}", f"{expected.dtype} {expected.shape}"
        return Check(name, False, f"it is {found} and should be {wanted}")
    if not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return Check(name, False, "it holds NaN or infinite values")
    if got.size == 0:
        return Check(name, False, "it is empty")
    deviation = np.abs(got.astype(np.float64) - expected)
    allowed = tolerance.absolute + tolerance.relative * np.abs(expected.astype(np.float64))
    at = np.unravel_index(np.argmax(deviation / np.maximum(allowed, 1e-30)), got.shape)
    error, limit = float(deviation[at]), float(allowed[at])
    where = ", ".join(str(int(i)) for i in at)
    return Check(name, error <= limit, f"off by {error:.3g} at ({where}), allowed {limit:.3g}", error, limit)


def read_vector(data: bytes, path: str) -> dict[str, Array]:
    """Read the arrays of a test vector (.npz bytes, not trusted: no pickles, no bombs).

    Raises:
        StillflowError: not an .npz of plain arrays, or more than 256 MiB of them.
    """
    return read_npz(data, f"cannot read the test vector {path}", "export the bundle again", MAX_VECTOR_BYTES)
