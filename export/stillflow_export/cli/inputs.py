# SPDX-License-Identifier: Apache-2.0
"""What the commands are given: files, folders of photos, how weights are to be stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stillflow.errors import StillflowError

if TYPE_CHECKING:
    from stillflow_export.plan import Trained

FILE = click.Path(path_type=Path, dir_okay=False)
"""The type of an option that names a file."""


def photos_in(folder: Path | None) -> list[Path]:
    """List the pictures of a folder; without one those of samples/, when it exists."""
    if folder is None:
        folder = Path("samples")
    elif not folder.is_dir():
        raise StillflowError(
            f"cannot read photos from {folder}", "it is not a folder", "name a folder of photos"
        )
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))


def with_weights_stored(trained: Trained, half: bool | None) -> Trained:
    """Let weights be stored as float16 or whole; None: as the network's plan has it."""
    if half is None:
        return trained
    return replace(trained, plans=tuple(replace(plan, half_weights=half) for plan in trained.plans))
