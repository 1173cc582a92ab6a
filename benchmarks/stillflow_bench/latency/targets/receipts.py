# SPDX-License-Identifier: Apache-2.0
"""Which gate's receipt belongs to the engine that is measured, and the hashes that show it.

ONNX Runtime on the CPU runs the very file that gate A (float32) or gate B (fp16, int8) judged when the bundle was made:
their receipts lie in the bundle. An engine that was built has gate C's receipt beside it in the cache. For whatever
else runs the file, gate C is run here and now: 0.2 s a graph with ONNX Runtime, 0.4 to 0.8 s with OpenVINO on a busy
machine of two cores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from stillflow.bundle import Bundle
from stillflow.bundle.gate_c import gate_c
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.sessions import DeviceSession, Session, cuda_index
from stillflow.sessions.wish import TENSORRT

Receipt = dict[str, Any]
"""A gate's own, with "engine" and where it lies added."""


def hashes_of(bundle: Bundle, precisions: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of the manifest as "bundle", and of the graphs' files by graph.

    Args:
        bundle: that is open.
        precisions: graph -> precision of its file.
    """
    found = {"bundle": bundle.sha256}
    for graph, precision in precisions.items():
        found[graph] = hashlib.sha256(bundle.graph_bytes(graph, precision)).hexdigest()
    return found


def receipts_of(
    bundle: Bundle, sessions: Mapping[str, Session], precisions: Mapping[str, str], device: str
) -> dict[str, Receipt]:
    """One receipt for each graph, passed or not; gate C is run where none is kept.

    Args:
        bundle: that holds the graphs.
        sessions: that are measured, by graph.
        precisions: graph -> precision of its file.
        device: "cpu" or "cuda:N".
    """
    found = {}
    for graph, session in sessions.items():
        precision = precisions[graph]
        kept: Receipt | None = None
        if session.engine in TENSORRT:
            kept = _beside_engine(bundle, graph, session.engine, precision, device)
        elif session.engine == "onnxruntime" and not isinstance(session, DeviceSession):
            kept = _in_bundle(bundle, graph, precision)
        found[graph] = kept or gate_c(
            bundle, graph, session.engine, precision, device=device, session=session
        )
    return found


def _in_bundle(bundle: Bundle, graph: str, precision: str) -> Receipt | None:
    """The receipt of a file's own gate; None where the bundle has none, or one that is about other bytes."""
    judged = bundle.graph(graph).at(precision)
    kind = "gate-a" if precision == "fp32" else f"gate-b-{precision}"
    for entry in bundle.manifest.receipts:
        if entry.kind != kind or entry.graph != graph or judged is None:
            continue
        try:
            said = json.loads(bundle.read(entry.file))
        except (StillflowError, ValueError, RecursionError):
            continue
        if isinstance(said, dict) and said.get("onnx_sha256") == judged.sha256:
            return {"engine": "onnxruntime", "precision": precision, "file": entry.file, **said}
    return None


def _beside_engine(bundle: Bundle, graph: str, engine: str, precision: str, device: str) -> Receipt | None:
    """Gate C's receipt of the engine that a session takes from the cache."""
    from stillflow.build.adapter import Library
    from stillflow.build.cache import EngineCache
    from stillflow.sessions.tensorrt import find_engine

    gpu = find_gpu(cuda_index(device) or 0)
    if gpu is None:
        return None
    cache = EngineCache()
    data = bundle.graph_bytes(graph, precision)
    entry, _ = find_engine(data, graph, Library.open(engine), gpu, cache)
    kept = (cache.gate(entry.parts.key) or {}).get("receipt")
    if not isinstance(kept, dict):
        return None
    return {"engine_sha256": entry.sha256, "file": f"engines/{entry.parts.key}/gate-c.json", **kept}
