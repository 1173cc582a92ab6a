# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.build.adapter import Library
from stillflow.build.builder import Engine
from stillflow.build.cache import EngineCache
from stillflow.build.housekeeping import describe_stored, leftovers, prune_cache
from stillflow.errors import StillflowError

pytestmark = pytest.mark.usefixtures("seeded")


def test_every_entry_is_described(build: Callable[..., Engine], cache: EngineCache) -> None:
    engine = build()
    (stored,) = cache.stored()
    row = describe_stored(cache, stored)
    assert json.loads(json.dumps(row)) == row
    assert (row["bundle"], row["graph"], row["precision"]) == ("golden", "flow", "fp32")
    assert (row["target"], row["gate_c"], row["why"]) == ("compute capability 8.9", "not run", "")
    engine.path.chmod(0o666)
    (stored,) = cache.stored()
    assert "other users" in describe_stored(cache, stored)["why"]
    assert leftovers(cache) == 0


def test_nothing_to_prune(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "none")
    assert prune_cache(cache) == ([], 0)
    assert not cache.root.exists()


def test_a_place_whose_name_is_too_long(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / ("x" * 300))
    for look in (cache.stored, lambda: prune_cache(cache)):
        with pytest.raises(StillflowError, match="cannot read the engine cache"):
            look()


def test_a_link_to_elsewhere_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "large").write_bytes(b"x" * 1000)
    cache = EngineCache(tmp_path / "other")
    cache.folder("engines")
    (cache.root / "timing").symlink_to(tmp_path / "elsewhere")
    assert leftovers(cache) == 0
    (cache.root / "timing").unlink()
    (tmp_path / "elsewhere").rename(cache.root / "timing")
    assert leftovers(cache) == 1000


def test_what_is_of_use_stays(build: Callable[..., Engine], cache: EngineCache) -> None:
    key = build().entry.parts.key
    assert prune_cache(cache) == ([], 0)
    assert prune_cache(cache, older_than=1) == ([], 0)
    assert prune_cache(cache, bundle="other") == ([], 0)
    removed, freed = prune_cache(cache, bundle="golden")
    assert removed == [key]
    assert freed > 500_000
    assert cache.stored() == []


@pytest.mark.parametrize("how", [{"everything": True}, {"older_than": 0.0}], ids=str)
def test_what_was_asked_for_goes(build: Callable[..., Engine], cache: EngineCache, how: dict) -> None:
    build()
    assert len(prune_cache(cache, **how)[0]) == 1
    assert cache.stored() == []


def test_engines_of_another_version_go(
    build: Callable[..., Engine], cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    real = Library.open

    def upgraded(name: str) -> Library:
        library = real(name)
        library.version = "9.9.9.9"
        return library

    monkeypatch.setattr(Library, "open", upgraded)
    assert len(prune_cache(cache)[0]) == 1


def test_engines_of_a_library_that_is_not_here_stay(
    build: Callable[..., Engine], cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    monkeypatch.setattr("stillflow.build.housekeeping.find_module", lambda name: None)
    assert prune_cache(cache) == ([], 0)


def test_damaged_and_failed_go(build: Callable[..., Engine], cache: EngineCache) -> None:
    engine = build()
    engine.path.unlink()
    (cache.folder("failed") / "x").mkdir()
    (cache.root / "failed" / "x" / "graph.onnx").write_bytes(b"x" * 5000)
    assert leftovers(cache) == 5000
    removed, freed = prune_cache(cache)
    assert removed == [engine.entry.parts.key]
    assert freed >= 5000
    assert leftovers(cache) == 0


def test_an_engine_that_is_being_built_stays(build: Callable[..., Engine], cache: EngineCache) -> None:
    key = build().entry.parts.key
    with cache.lock(key):
        assert prune_cache(cache, everything=True)[0] == []
    assert prune_cache(cache, everything=True)[0] == [key]
