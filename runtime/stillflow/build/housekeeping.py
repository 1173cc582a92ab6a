# SPDX-License-Identifier: Apache-2.0
"""What is in the cache of engines, in words; and what of it may go."""

from __future__ import annotations

import datetime
from typing import Any

from stillflow.build.adapter import Library, find_module
from stillflow.build.cache import EngineCache, Stored, folder_size
from stillflow.build.files import refusals
from stillflow.errors import StillflowError


def describe_stored(cache: EngineCache, stored: Stored) -> dict[str, Any]:
    """One entry as JSON has it; of a damaged one only key, size and "why"."""
    row: dict[str, Any] = {
        "key": stored.key,
        "path": str(stored.folder),
        "bytes": stored.size,
        "why": stored.why,
    }
    entry = stored.entry
    if entry is not None:
        row |= {
            "path": str(stored.path),
            "bundle": entry.bundle,
            "graph": entry.graph,
            "precision": entry.precision,
            "profile": entry.profile,
            "library": entry.parts.builder,
            "library_version": entry.parts.builder_version,
            "target": str(entry.parts.target),
            "created": entry.created,
            "gate_c": (cache.gate(stored.key) or {"state": "no receipt"}).get("state"),
        }
    return row


def leftovers(cache: EngineCache) -> int:
    """Bytes of failed builds, quarantine, timing caches, compiled kernels and builds under way."""
    parts = cache.engines.glob(".part-*") if cache.engines.is_dir() else ()
    places = [cache.root / name for name in ("failed", "quarantine", "timing", "kernels")]
    return sum(folder_size(place) for place in (*places, *parts))


def prune_cache(
    cache: EngineCache,
    *,
    everything: bool = False,
    older_than: float | None = None,
    bundle: str | None = None,
) -> tuple[list[str], int]:
    """Remove what cannot be used any more, and what was asked for.

    Args:
        cache: to clear.
        everything: every engine, the timing caches and compiled kernels.
        older_than: days; engines older than that.
        bundle: name; its engines.

    Returns:
        The keys of the engines that were removed, and all bytes that became free.

    Raises:
        StillflowError: the system does not let it be read or cleared.
    """
    with refusals(f"cannot read the engine cache {cache.root}"):
        if not cache.root.is_dir():
            return [], 0
    versions = _installed()
    now = datetime.datetime.now(datetime.timezone.utc)

    def unwanted(stored: Stored) -> bool:
        entry = stored.entry
        assert entry is not None
        version = versions.get(entry.parts.builder)
        foreign = version is not None and not entry.parts.loads_with(version)
        if everything or entry.bundle == bundle or foreign:
            return True
        return older_than is not None and _age(entry.created, now) > older_than

    removed, freed = cache.prune(unwanted)
    if everything:
        freed += cache.prune_timing()
    return [stored.key for stored in removed], freed


def _installed() -> dict[str, str]:
    """Versions of the libraries that are here. Engines of one that is not here may be for another machine."""
    versions = {}
    for name in ("tensorrt", "tensorrt_rtx"):
        if find_module(name) is not None:
            try:
                versions[name] = Library.open(name).version
            except StillflowError:
                continue
    return versions


def _age(created: str, now: datetime.datetime) -> float:
    """Days since an ISO 8601 time; 0 where it cannot be read."""
    try:
        then = datetime.datetime.fromisoformat(created)
    except ValueError:
        return 0.0
    return (now - then).total_seconds() / 86_400 if then.tzinfo is not None else 0.0
