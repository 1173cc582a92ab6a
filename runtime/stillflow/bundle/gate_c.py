# SPDX-License-Identifier: Apache-2.0
"""Gate C: does an engine on this very machine compute what the bundle's ONNX file says?

Engines differ by device, driver and version, and some are fast but wrong. So a graph is run on the engine with the
bundle's test vectors, whose expected values PyTorch computed when the bundle was made, and with larger and other
inputs, whose values ONNX Runtime computes here from the float32 file. What is allowed stands in the bundle.
"""

from __future__ import annotations

import datetime
import hashlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow.bundle.manifest import Graph, Tolerance
from stillflow.bundle.verify import Check, compare, read_vector
from stillflow.errors import StillflowError
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError
from stillflow.sessions import Arithmetic, Device, Session, cuda_index, open_session
from stillflow.sessions.registry import engine_version
from stillflow.sessions.session import Array

if TYPE_CHECKING:
    from stillflow.bundle.bundle import Bundle

LARGEST_SIDE = 512
"""Longest side in pixels that test vectors are repeated to, where the graph names no other."""

Case = tuple[str, dict[str, Array], dict[str, Array] | None]
"""Name, inputs, and expected outputs; None: ONNX Runtime has to say."""


def gate_c(
    bundle: Bundle,
    graph_name: str,
    engine: str,
    precision: str | None = None,
    *,
    inputs: Mapping[str, Mapping[str, Array]] | None = None,
    threads: int | None = None,
    device: Device = "auto",
    arithmetic: Arithmetic = "f32",
    tf32: bool = False,
    session: Session | None = None,
) -> dict[str, Any]:
    """Compare an engine with ONNX, on the machine at hand.

    Args:
        bundle: holds the graph, its vectors and what they allow.
        graph_name: which of its graphs.
        engine: see `stillflow.sessions.open_session`.
        precision: which of the graph's files; None: the manifest's default.
        inputs: more of them, such as real photos: name -> arrays of the graph's inputs.
        threads: that one run uses; None: all cores.
        device: where it runs.
        arithmetic: see `stillflow.sessions.open_session`; other than "f32", the float16 allowance counts.
        tf32: the engine was built to round what float32 layers multiply: the float16 allowance counts.
        session: the engine, opened already; None: opened here.

    Returns:
        The receipt as plain values: "passed", "why" (the first failure, "" when passed), what computed, on which
        device, hashes, tolerances, and for each output the worst case. An engine that cannot be opened, or that
        fails in a run, is a receipt that is not passed.

    Raises:
        OutOfMemoryError, LostDeviceError: the GPU could not be used now, whatever the engine is worth.
        StillflowError: the bundle itself has no such graph or precision, or is damaged.
    """
    graph = bundle.graph(graph_name)
    precision = precision or bundle.manifest.default_precision
    data = bundle.graph_bytes(graph_name, precision)
    # Both keep 8 to 11 bits of what they multiply.
    judged_as = "fp16" if tf32 or arithmetic != "f32" else precision
    failures: list[str] = []
    seen: list[str] = []
    outputs: dict[str, dict[str, Any]] = {}
    provider = ""
    allowed = _allowances(bundle, graph, precision, judged_as)
    if not allowed:
        failures.append(f"no test vector of the graph says what is allowed at {precision}")
    try:
        session = session or bundle.session(
            graph_name,
            engine,
            precision=precision,
            threads=threads,
            device=device,
            arithmetic=arithmetic,
            judge=False,
        )
        provider = session.provider
        reference: list[Session] = []
        for name, given, expected in _cases(bundle, graph, inputs or {}) if allowed else ():
            seen.append(name)
            if expected is None:
                reference = reference or [_reference(bundle, graph_name)]
                expected = reference[0].run(given)
            got = session.run(given)
            for output in graph.outputs:
                check = compare(name, got[output.name], expected[output.name], allowed[output.name])
                _note(outputs, output.name, check, got[output.name], expected[output.name])
    except (OutOfMemoryError, LostDeviceError):  # says nothing of the engine
        raise
    except StillflowError as error:
        failures.append(f"{error.what}: {error.why}")
    failures += [
        f"{n} is wrong on {o['worst_case']}: {o['detail']}" for n, o in outputs.items() if not o["passed"]
    ]
    if not seen and not failures:
        failures.append("the graph has no test vector, so nothing was compared")
    return {
        "gate": "C",
        "what": f"{engine} against ONNX, on the machine at hand",
        "passed": not failures,
        "why": failures[0] if failures else "",
        "failures": failures,
        "bundle": bundle.manifest.name,
        "graph": graph_name,
        "precision": precision,
        "arithmetic": "tf32" if tf32 else arithmetic,
        "onnx_sha256": hashlib.sha256(data).hexdigest(),
        "reference_sha256": hashlib.sha256(bundle.graph_bytes(graph_name, "fp32")).hexdigest(),
        "engine": engine,
        "engine_version": engine_version(engine),
        "provider": provider,
        "machine": _machine(engine, device),
        "tolerance": {n: {"absolute": t.absolute, "relative": t.relative} for n, t in allowed.items()},
        "outputs": outputs,
        "cases": seen,
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _reference(bundle: Bundle, graph_name: str) -> Session:
    return open_session(bundle.graph_bytes(graph_name, "fp32"), "onnxruntime", name=f"{graph_name} in fp32")


def _allowances(bundle: Bundle, graph: Graph, precision: str, judged_as: str) -> dict[str, Tolerance]:
    """What every vector allows every output: the strictest of them. Empty when one says nothing of an output."""
    found: dict[str, Tolerance] = {}
    for vector in bundle.manifest.vectors:
        if vector.graph != graph.name:
            continue
        said = vector.tolerance.get(judged_as) or vector.tolerance.get(precision) or {}
        for output in graph.outputs:
            if output.name not in said:
                return {}
            one, other = said[output.name], found.get(output.name, said[output.name])
            found[output.name] = Tolerance(
                absolute=min(one.absolute, other.absolute), relative=min(one.relative, other.relative)
            )
    return found


def _cases(bundle: Bundle, graph: Graph, more: Mapping[str, Mapping[str, Array]]) -> Iterator[Case]:
    """Yield the test vectors, the same repeated to a larger picture, and what else was given."""
    for vector in bundle.manifest.vectors:
        if vector.graph != graph.name:
            continue
        arrays = read_vector(bundle.read(vector.file), vector.file)
        inputs = {t.name: arrays[f"input.{t.name}"] for t in graph.inputs if f"input.{t.name}" in arrays}
        outputs = {t.name: arrays[f"output.{t.name}"] for t in graph.outputs if f"output.{t.name}" in arrays}
        if len(inputs) < len(graph.inputs) or len(outputs) < len(graph.outputs):
            why = "it does not hold all inputs and outputs of its graph"
            raise StillflowError(f"cannot use the test vector {vector.file}", why, "export the bundle again")
        yield vector.file, inputs, outputs
        largest = bundle.manifest.long_side(graph) or LARGEST_SIDE
        sides = [a.shape[i] for t, a in _pictures(graph, inputs) for i in _free(t.shape)]
        times = largest // max(sides) if sides else 1
        if times > 1:
            yield f"{vector.file} repeated {times} x {times}", _repeated(graph, inputs, times), None
    for name, given in more.items():
        yield name, dict(given), None


def _free(shape: tuple[int | str, ...]) -> list[int]:
    return [i for i, size in enumerate(shape) if isinstance(size, str)]


def _pictures(graph: Graph, inputs: Mapping[str, Array]) -> list[tuple[Any, Array]]:
    return [(t, inputs[t.name]) for t in graph.inputs if _free(t.shape)]


def _repeated(graph: Graph, inputs: Mapping[str, Array], times: int) -> dict[str, Array]:
    made = dict(inputs)
    for tensor, array in _pictures(graph, inputs):
        free = _free(tensor.shape)
        made[tensor.name] = np.tile(array, [times if i in free else 1 for i in range(array.ndim)])
    return made


def _note(outputs: dict[str, dict[str, Any]], name: str, check: Check, got: Array, expected: Array) -> None:
    """Keep the worst case of an output, and the largest deviation of all."""
    off = check.error
    largest = 0.0 if off is None else float(np.abs(got.astype(np.float64) - expected).max())
    share = 1e30 if off is None else off / max(check.tolerance or 0.0, 1e-30)
    entry = outputs.get(name)
    if entry is None or share > entry["share_of_allowance"]:
        outputs[name] = {
            "passed": check.ok,
            "worst_case": check.name,
            "detail": check.detail,
            "share_of_allowance": share,
            "max_abs": max(largest, entry["max_abs"] if entry else 0.0),
        }
    else:
        entry["max_abs"] = max(entry["max_abs"], largest)


def _machine(engine: str, device: Device) -> dict[str, Any]:
    """What the engine ran on: the GPU and its driver where it ran on one, and the processor."""
    from stillflow.gpu.description import find_gpu

    index = 0 if device == "auto" and engine in ("tensorrt", "tensorrt_rtx") else None
    if device != "auto":
        index = cuda_index(device)
    gpu = None if index is None else find_gpu(index)
    found: dict[str, Any] = {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
    }
    return found | ({"gpu": asdict(gpu)} if gpu else {})


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as text:
            names = [line.partition(":")[2].strip() for line in text if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
