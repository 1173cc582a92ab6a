# SPDX-License-Identifier: Apache-2.0
"""Engines that were built elsewhere and shipped, taken into the cache of this machine.

An engine is code, so nothing of a shipped one is believed: its sidecar has to describe it to the last byte, and it has
to be for this machine. What gate C said where it was built says nothing of here: it runs before the engine is used.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stillflow.build.adapter import Library
from stillflow.build.cache import DamagedError, EngineCache
from stillflow.build.entry import (
    ENTRY_FILE,
    GATE_FILE,
    LAYERS_FILE,
    MAX_ENGINE_BYTES,
    MAX_ENTRY_BYTES,
    Entry,
    Target,
)
from stillflow.build.files import UnsafeError, read_trusted, refusals, write_private
from stillflow.build.shipping import SIDECARS
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu, gpu_count

MAX_LAYERS_BYTES = 64 << 20
"""A network of 9 layers takes 6 kB."""

NEW_HERE = "it was built elsewhere and has not run here"
_ENDINGS = {file: ending for ending, file in SIDECARS.items() if file}


@dataclass(frozen=True)
class Received:
    """An engine that is in the cache now.

    Attributes:
        path: of the file that was shipped.
        entry: its sidecar.
        folder: of the cache, that holds it.
        new: it was not there before.
    """

    path: Path
    entry: Entry
    folder: Path
    new: bool


def receive(
    path: Path, cache: EngineCache | None = None, *, elsewhere: bool = False, replace: bool = False
) -> Received:
    """Take a shipped engine and its sidecars into the cache.

    Args:
        path: of the engine; ``PATH.json`` and ``PATH.layers.json`` lie beside it, as `stillflow.build.shipping` writes
            them.
        cache: None: the user's.
        elsewhere: keep it although it is for another machine, such as for a disk that several of them read.
        replace: even where the cache has a sound engine for the same build.

    Returns:
        What is in the cache now.

    Raises:
        StillflowError: a file is missing, not what its sidecar says, writable by others, or not for this machine.
    """
    cache = cache or EngineCache()
    with _refused(path):
        entry = _sidecar(path)
        data = read_trusted(str(path), None, min(entry.bytes, MAX_ENGINE_BYTES))
        if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise UnsafeError("it does not hold the bytes that its sidecar is about")
        layers = read_trusted(f"{path}{_ENDINGS[LAYERS_FILE]}", None, MAX_LAYERS_BYTES)
        gate = _gate(path)
    if gate.get("state") == "failed":
        why = f"it failed gate C where it was built: {gate.get('why')}"
        raise StillflowError(f"cannot take {path} into the cache", why, "build it here: stillflow build")
    if not elsewhere:
        _check_machine(path, entry, data)
    key = entry.parts.key
    with cache.lock(key):
        if not replace:
            try:
                return Received(path, cache.read(key), cache.engines / key, False)
            except FileNotFoundError:
                pass
            except DamagedError:
                cache.quarantine(key)
        with cache.part(key) as part:
            with refusals("cannot write into the engine cache"):
                write_private(part / entry.engine, data)
                write_private(part / LAYERS_FILE, layers)
            folder = cache.commit(part, entry)
        cache.set_gate(key, {"state": "not run", "why": NEW_HERE, "elsewhere": gate})
    return Received(path, entry, folder, True)


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn what is wrong with a file into a StillflowError."""
    try:
        yield
    except UnsafeError as error:
        fix = "ship it again with `stillflow build --out`, with its sidecars"
        if "may write" in str(error):
            fix = f"if nobody else has written it: chmod go-w {shlex.quote(str(path))}*; or {fix}"
        raise StillflowError(f"cannot take {path} into the cache", str(error), fix) from error


def _sidecar(path: Path) -> Entry:
    raw = read_trusted(f"{path}{_ENDINGS[ENTRY_FILE]}", None, MAX_ENTRY_BYTES)
    try:
        return msgspec.json.decode(raw, type=Entry, strict=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnsafeError(f"its sidecar is not valid: {str(error)[:200]}") from error


def _gate(path: Path) -> dict[str, Any]:
    """What gate C said where it was built; empty: nothing."""
    name = f"{path}{_ENDINGS[GATE_FILE]}"
    if not os.path.lexists(name):
        return {}
    try:
        found = msgspec.json.decode(read_trusted(name, None, MAX_ENTRY_BYTES))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnsafeError(f"its receipt of gate C is not valid: {str(error)[:200]}") from error
    return found if isinstance(found, dict) else {}


def _check_machine(path: Path, entry: Entry, data: bytes) -> None:
    """Refuse what no session here would load.

    Raises:
        StillflowError: the library is another or none, or no GPU here is the engine's.
    """
    parts = entry.parts
    what = f"cannot take {path} into the cache"
    fix = "build it here with `stillflow build`, or keep it for another machine with --for-another-machine"
    try:
        library = Library.open(parts.builder)
    except StillflowError as error:
        why = f"it is for {parts.builder} {parts.builder_version}, and {error.why} here"
        raise StillflowError(what, why, f"{error.fix}; or {fix}") from error
    if not parts.loads_with(library.version):
        why = f"it is for {parts.builder} {parts.builder_version}, here is {library.version}"
        raise StillflowError(what, why, fix)
    gpus = [gpu for gpu in map(find_gpu, range(gpu_count())) if gpu is not None]
    if not any(parts.target.runs_on(gpu) for gpu in gpus):
        here = ", ".join(str(Target.of(gpu)) for gpu in gpus)
        raise StillflowError(what, f"it is for {parts.target}, here is {here or 'no CUDA device'}", fix)
    invalid = library.invalid(data)
    if invalid is not None:
        raise StillflowError(what, f"{library.name} {library.version} calls it invalid: {invalid}", fix)
