# SPDX-License-Identifier: Apache-2.0
"""Engines copied out of the cache, to be shipped to the devices they were built for."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from stillflow.build.builder import Engine
from stillflow.build.entry import ENTRY_FILE, GATE_FILE, LAYERS_FILE
from stillflow.build.files import refusals
from stillflow.errors import StillflowError

SIDECARS = {"": "", ".json": ENTRY_FILE, ".layers.json": LAYERS_FILE, ".gate-c.json": GATE_FILE}
"""Ending of the shipped file -> file of the entry; the engine itself first, as plain as it was built."""


def shipped_name(engine: Engine, profile: str) -> str:
    """Name of a shipped engine, such as "edge-flow-fp32-l4.engine"."""
    entry = engine.entry
    return f"{entry.bundle}-{entry.graph}-{entry.precision}-{profile}.engine"


def check_folder(folder: Path) -> None:
    """Refuse a folder before minutes go into engines for it.

    Raises:
        StillflowError: it is a file, or cannot be made or written to.
    """
    with refusals(f"cannot write engines into {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StillflowError(
            f"cannot write engines into {folder}", "you may not write there", "name a folder of yours"
        )


def ship(engines: Sequence[Engine], profile: str, folder: Path, *, overwrite: bool) -> list[Path]:
    """Copy engines with their sidecars into a folder, each file whole or not at all.

    Args:
        engines: from the cache.
        profile: that they were built for, part of the names.
        folder: exists.
        overwrite: replace files that exist.

    Returns:
        The engine files, in the order of the engines.

    Raises:
        StillflowError: a file exists, or the disk does not take it.
    """
    targets = [folder / shipped_name(engine, profile) for engine in engines]
    for target in targets:
        if target.exists() and not overwrite:
            raise StillflowError(
                f"cannot write {target}", "it exists", "replace it with --overwrite, or name another folder"
            )
    for engine, target in zip(engines, targets, strict=True):
        with refusals(f"cannot write {target}"):
            for ending, source in SIDECARS.items():
                _copy(engine.folder / (source or engine.entry.engine), Path(f"{target}{ending}"))
    return targets


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        shutil.copyfile(source, part)
        part.chmod(0o644)  # whatever the umask: `stillflow cache add` takes nothing that others may write
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
