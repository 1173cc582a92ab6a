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
    """List the pictures of a folder; without one those of samples/, when it exists.

    Raises:
        StillflowError: the folder is none, or has no picture: nothing would be judged by photos then, unsaid.
    """
    place = folder or Path("samples")
    found = sorted(p for p in place.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    if folder is not None and not found:
        why = "there is no .jpg, .png or .webp in it" if folder.is_dir() else "it is not a folder"
        raise StillflowError(f"cannot read photos from {folder}", why, "name a folder of photos")
    return found


def with_weights_stored(trained: Trained, half: bool | None) -> Trained:
    """Let weights be stored as float16 or whole; None: as the network's plan has it."""
    if half is None:
        return trained
    return replace(trained, plans=tuple(replace(plan, half_weights=half) for plan in trained.plans))
