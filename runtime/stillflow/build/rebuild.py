# SPDX-License-Identifier: Apache-2.0
"""Builds the engine of one graph when a session asked for it and the cache has none that may be loaded here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillflow.build.builder import Engine, Orders, build_engines
from stillflow.build.profile import profile_for
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu

if TYPE_CHECKING:
    from stillflow.bundle import Bundle


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
