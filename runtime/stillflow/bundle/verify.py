# SPDX-License-Identifier: Apache-2.0
"""Does a bundle hold what it promises: hashes, graphs that load, test vectors that come out right."""

from __future__ import annotations

import io
import tokenize
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stillflow.bundle.manifest import Graph, Tolerance, Vector
from stillflow.errors import StillflowError
from stillflow.sessions import Session
from stillflow.sessions.session import Array

if TYPE_CHECKING:
    from stillflow.bundle.bundle import Bundle

MAX_VECTOR_BYTES = 1 << 28
"""Unpacked size of one test vector; those of the default bundle take about 0.2 MB."""

# A malformed header raises TokenError, SyntaxError, TypeError or RecursionError out of NumPy's parser.
_ARRAY_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    MemoryError,
    RecursionError,
    NotImplementedError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: what, such as "sha256 flow.onnx" or "vector vectors/flow-0.npz velocity".
        ok: it is as it should be.
        detail: the figures, or why not.
        error: largest deviation found, where one was measured.
        tolerance: deviation allowed at the value that deviates most, where one was measured.
    """

    name: str
    ok: bool
    detail: str
    error: float | None = None
    tolerance: float | None = None


def verify(bundle: Bundle, engine: str, threads: int | None) -> list[Check]:
    """Run all checks; see `Bundle.verify`."""
    return list(_checks(bundle, engine, threads))


def _checks(bundle: Bundle, engine: str, threads: int | None) -> Iterator[Check]:
    manifest = bundle.manifest
    for file in manifest.files:

        def read(path: str = file.path) -> str:
            return f"{len(bundle.read(path))} bytes"

        yield _tried(f"sha256 {file.path}", read)
    precision = manifest.default_precision
    for graph in manifest.graphs:
        sessions: list[Session] = []

        def load(graph: Graph = graph, sessions: list[Session] = sessions) -> str:
            sessions.append(bundle.session(graph.name, engine, threads=threads))
            return f"{precision} on {sessions[0].engine}, {sessions[0].provider}"

        yield _tried(f"graph {graph.name}", load)
        vectors = [v for v in manifest.vectors if v.graph == graph.name]
        if not vectors:
            why = "the graph has no test vector, so nothing shows that it works"
            yield Check(f"vectors of {graph.name}", False, why)
        for vector in vectors if sessions else ():
            yield from _vector_checks(bundle, sessions[0], vector, graph)


def _tried(name: str, action: Callable[[], str]) -> Check:
    try:
        return Check(name, True, action())
    except StillflowError as error:
        return Check(name, False, f"{error.why}; fix: {error.fix}")


def _vector_checks(bundle: Bundle, session: Session, vector: Vector, graph: Graph) -> Iterator[Check]:
    name = f"vector {vector.file}"
    try:
        arrays = read_vector(bundle.read(vector.file), vector.file)
        inputs = {n.removeprefix("input."): a for n, a in arrays.items() if n.startswith("input.")}
        got = session.run(inputs)
    except StillflowError as error:
        yield Check(name, False, f"{error.why}; fix: {error.fix}")
        return
    tolerances = vector.tolerance.get(bundle.manifest.default_precision, {})
    for output in graph.outputs:
        label = f"{name} {output.name}"
        expected, tolerance = arrays.get(f"output.{output.name}"), tolerances.get(output.name)
        if expected is None or tolerance is None:
            missing = "expected values" if expected is None else "tolerance"
            yield Check(label, False, f"the vector gives no {missing} for this output")
        else:
            yield compare(label, got[output.name], expected, tolerance)


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
    what, fix = f"cannot read the test vector {path}", "export the bundle again"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_VECTOR_BYTES:
            raise StillflowError(what, f"it unpacks to {size} bytes, more than {MAX_VECTOR_BYTES}", fix)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _ARRAY_ERRORS as error:
        raise StillflowError(what, f"it is not a file of plain arrays ({str(error)[:200]})", fix) from error
