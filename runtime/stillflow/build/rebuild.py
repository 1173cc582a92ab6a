# SPDX-License-Identifier: Apache-2.0
"""Engines of sessions: built where the cache has none that may be loaded here, judged where gate C never ran here."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from stillflow.build.builder import Engine, Orders, build_engines, gate_of
from stillflow.build.cache import EngineCache
from stillflow.build.profile import profile_for
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError
from stillflow.sessions.session import NoEngineError

if TYPE_CHECKING:
    from stillflow.bundle import Bundle
    from stillflow.sessions.tensorrt import TensorRTSession

_log = logging.getLogger(__name__)


def build_missing(
    bundle: Bundle, graph: str, library: str, precision: str | None, index: int, orders: Orders
) -> Engine:
    """Build an engine for a GPU of this machine, with the profile that fits it.

    Args:
        bundle: that holds the graph.
        graph: its name.
        library: "tensorrt" or "tensorrt_rtx".
        precision: of the file to build from; None: the manifest's default, which a session takes then.
        index: of the GPU, as CUDA counts them.
        orders: how; ``say`` is told first why there has to be a build.

    Raises:
        StillflowError: the library cannot build for this GPU, the build failed, or what was built failed gate C.
    """
    profile = profile_for(find_gpu(index))
    (engine,) = build_engines(
        bundle,
        profile,
        library=library,
        precision=precision or bundle.manifest.default_precision,
        graphs=[graph],
        orders=orders,
        device=index,
    )
    if engine.gate.get("state") == "failed":
        raise StillflowError(
            f"cannot use the engine of {graph} that {library} has just built",
            f"its results are not those of the ONNX file: {engine.gate.get('why')}",
            "use the engine onnxruntime, or another precision",
        )
    return engine


def judge_first(bundle: Bundle, graph: str, session: TensorRTSession, orders: Orders | None = None) -> None:
    """Run gate C on an engine that it has not passed on this machine, and keep what it says beside the engine.

    Args:
        bundle: that holds the graph.
        graph: its name.
        session: on the engine; closed when it fails.
        orders: told that this takes a moment.

    Raises:
        LostDeviceError: the GPU is lost.
        NoEngineError: its results are not those of the ONNX file.
    """
    from stillflow.bundle.gate_c import gate_c

    entry = session.unjudged
    assert entry is not None
    line = (
        f"{graph} {entry.precision}: an engine that has not run here before; comparing it with the ONNX file"
    )
    (orders.say if orders is not None else _log.info)(line)
    place, tf32 = f"cuda:{session.cuda.index}", entry.parts.settings.tf32
    try:
        receipt = gate_c(
            bundle, graph, session.engine, entry.precision, device=place, tf32=tf32, session=session
        )
    except OutOfMemoryError as error:  # says nothing of the engine: it is judged when there is room
        _log.info("gate C of %s: %s", graph, error)
        return
    except LostDeviceError:
        session.close()
        raise
    with suppress(StillflowError):  # a cache on a read-only disk: then it is judged every time
        EngineCache().set_gate(entry.parts.key, gate_of(receipt))
    if not receipt["passed"]:
        session.close()
        failed = NoEngineError(
            f"cannot use the engine of {graph} for {session.engine}",
            f"its results are not those of the ONNX file: {receipt['why']}",
            "use the engine onnxruntime, or build it here: "
            "stillflow build BUNDLE --for auto --precision PRECISION --force",
        )
        failed.worth_building = False
        raise failed
    session.unjudged = None
