# SPDX-License-Identifier: Apache-2.0
"""What a cold start does before it can load engines: finds each in the cache, or builds it."""

from __future__ import annotations

from stillflow.build.adapter import Library
from stillflow.build.builder import Orders
from stillflow.build.cache import EngineCache
from stillflow.build.rebuild import build_missing
from stillflow.bundle import Bundle
from stillflow.gpu.description import find_gpu
from stillflow.sessions import NoEngineError
from stillflow.sessions.choice import Choice
from stillflow.sessions.tensorrt import find_engine


def find_or_build(bundle: Bundle, choice: Choice, index: int) -> None:
    """Bring every engine of a choice into the cache.

    Loading them afterwards finds them once more, which takes milliseconds.

    Args:
        bundle: that holds the graphs.
        choice: of the library and precisions.
        index: of the GPU.

    Raises:
        StillflowError: one cannot be built.
    """
    gpu = find_gpu(index)
    for graph, precision in choice.precisions.items():
        data = bundle.graph_bytes(graph, precision)
        try:
            if gpu is not None:
                find_engine(data, graph, Library.open(choice.engine), gpu, EngineCache())
        except NoEngineError as error:
            if not error.worth_building:
                raise
            build_missing(bundle, graph, choice.engine, precision, index, Orders())
