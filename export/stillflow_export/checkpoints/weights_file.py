# SPDX-License-Identifier: Apache-2.0
"""Imported weights on disk: NAME.safetensors with NAME.json, written whole or not at all, and checked when read."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.receipt import (
    AGAIN,
    MAX_BYTES,
    ImportReceipt,
    encode_receipt,
    parse_receipt,
)


def write_weights(
    folder: Path, name: str, weights: Mapping[str, torch.Tensor], receipt: ImportReceipt, *, overwrite: bool
) -> tuple[Path, ImportReceipt]:
    """Write both files: both are on the disk before either has its name, so a full disk leaves what was there.

    Args:
        folder: made when it is not there.
        name: of the files, without an ending.
        weights: fractions are written as float32.
        receipt: ``weights_sha256`` is filled in.
        overwrite: whether files of that name may be replaced.

    Returns:
        The safetensors file and the receipt as written.

    Raises:
        StillflowError: the files are there already, or the folder cannot be written to.
    """
    target, beside = folder / f"{name}.safetensors", folder / f"{name}.json"
    if not overwrite:
        refuse_existing(folder, name)
    partial, note = (folder / f".{name}.{os.getpid()}.{part}.part" for part in ("weights", "receipt"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        save_file({key: _as_written(value) for key, value in weights.items()}, partial)
        partial.chmod(mode)  # safetensors writes files that only their owner may read
        receipt = msgspec.structs.replace(receipt, weights_sha256=file_sha256(partial))
        note.write_bytes(encode_receipt(receipt))
        os.replace(partial, target)
        os.replace(note, beside)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = "choose a folder that has room and may be written to"
        raise StillflowError(f"cannot write {target}", reason, fix) from error
    finally:
        for left in (partial, note):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
    return target, receipt


def refuse_existing(folder: Path, name: str) -> None:
    """Stop before work is done for nothing.

    Raises:
        StillflowError: one of the files is there already.
    """
    for ending in (".safetensors", ".json"):
        if (folder / f"{name}{ending}").exists():
            raise StillflowError(
                f"cannot write {folder / name}{ending}",
                "it is there already",
                "say --overwrite, or another --name",
            )


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], ImportReceipt]:
    """Read what `write_weights` wrote.

    Args:
        path: either file, or their common name without an ending.

    Raises:
        StillflowError: a file is missing or damaged, or they do not belong together.
    """
    file, beside = (weights_path(path).with_suffix(ending) for ending in (".safetensors", ".json"))
    what = f"cannot use the weights {file}"
    try:
        if beside.stat().st_size > MAX_BYTES:
            raise StillflowError(what, f"{beside.name} is larger than {MAX_BYTES} bytes", AGAIN)
        receipt = parse_receipt(beside.read_bytes(), str(file))
        found = file_sha256(file)
    except OSError as error:
        missing = Path(error.filename).name if error.filename else "a file"
        raise StillflowError(what, f"{missing}: {error.strerror or error}", AGAIN) from error
    if found != receipt.weights_sha256:
        raise StillflowError(what, f"it is not the file that {beside.name} speaks of", AGAIN)
    weights = {}
    try:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118, not a dictionary
                weights[name] = stored.get_tensor(name)
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
        raise StillflowError(what, f"it is no sound safetensors file ({str(error)[:160]})", AGAIN) from error
    return weights, receipt


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, which may be large."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def weights_path(path: Path) -> Path:
    """The safetensors file of either file, or of their common name."""
    return (
        path
        if path.suffix == ".safetensors"
        else path.with_name(f"{path.name.removesuffix('.json')}.safetensors")
    )


def _as_written(value: torch.Tensor) -> torch.Tensor:
    return (value.float() if value.is_floating_point() else value).contiguous()
