# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from stillflow.bundle import Bundle
from stillflow.sessions import NoEngineError
from stillflow.sessions.choice import Choice
from stillflow_bench.latency.targets import engine_build

CHOICE = Choice("tensorrt", "cuda:0", {"flow": "fp16", "generator": "fp32"})


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is asked to be built, on a GPU that seems to be there."""
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(engine_build, "find_gpu", lambda _: "a GPU")
    monkeypatch.setattr(engine_build.Library, "open", lambda name: name)
    monkeypatch.setattr(engine_build, "build_missing", lambda _, *order: asked.append(order[:4]))
    return asked


def test_what_the_cache_lacks_is_built(built: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def found(data: bytes, graph: str, *_: object) -> None:
        if graph == "generator":
            raise NoEngineError("cannot run it", "no engine of it is in the cache", "build it")

    monkeypatch.setattr(engine_build, "find_engine", found)
    engine_build.find_or_build(Bundle.open(), CHOICE, 0)
    assert built == [("generator", "tensorrt", "fp32", 0)]


def test_an_engine_that_failed_is_not_built_again(
    built: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(*_: object) -> None:
        error = NoEngineError("cannot run it", "one failed gate C", "use another")
        error.worth_building = False
        raise error

    monkeypatch.setattr(engine_build, "find_engine", failed)
    with pytest.raises(NoEngineError, match="gate C"):
        engine_build.find_or_build(Bundle.open(), CHOICE, 0)
    assert built == []
