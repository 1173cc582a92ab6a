# SPDX-License-Identifier: Apache-2.0
"""A checkpoint from elsewhere becomes weights of ours: every tensor is used, or named as left over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import stillflow
from stillflow.errors import StillflowError
from stillflow_export.checkpoints.families import FAMILIES, Family
from stillflow_export.checkpoints.options import Reading, read_options
from stillflow_export.checkpoints.receipt import MAX_WIDTH, CheckpointFile, ImportReceipt, TensorCounts
from stillflow_export.checkpoints.recognise import (
    GENERATOR,
    LAYERS,
    NotRecognisedError,
    Recognised,
    recognise,
)
from stillflow_export.checkpoints.restricted import Checkpoint
from stillflow_export.checkpoints.sources import SOURCES, Source
from stillflow_export.checkpoints.taking import HasShape, Taking
from stillflow_export.checkpoints.weights_file import refuse_existing, write_weights
from stillflow_export.graphs import training_receipt

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")

_SHOWN = 12
"""Names or problems that a message lists; the rest is counted."""


@dataclass(frozen=True)
class Imported:
    """One network that was imported.

    Attributes:
        weights: the safetensors file.
        receipt: as in NAME.json.
    """

    weights: Path
    receipt: ImportReceipt


def import_checkpoint(
    path: Path, out: Path, *, source: str | None = None, name: str | None = None, overwrite: bool = False
) -> list[Imported]:
    """Import every network of a checkpoint.

    Args:
        path: .pth, .pt or .safetensors; not trusted.
        out: folder for NAME.safetensors and NAME.json.
        source: a key of `SOURCES`; needed where the file does not tell.
        name: of the files; with two networks "NAME-generator" and so on. None: made of source and network.
        overwrite: whether files of that name may be replaced.

    Raises:
        StillflowError: the checkpoint holds no network known here, or one with missing, extra, misshapen or NaN
            tensors, or it was trained as another graph. Then nothing is written.
    """
    what = f"cannot import {path.name}"
    if name is not None and not _NAME.fullmatch(name):
        raise StillflowError(
            what, f"'{name}' cannot be a name", "use letters, digits, dots, dashes and underscores"
        )
    with Checkpoint(path) as checkpoint:
        try:
            found = recognise(checkpoint.content)
        except NotRecognisedError as error:
            raise StillflowError(what, str(error), _known()) from error
        families = _families(found, what)
        origin, assumed = _source(found, checkpoint.kind, [family for family, _ in families], source, what)
        parts = [
            _part(family, tensors, origin, found, name, len(families), what) for family, tensors in families
        ]
        if not overwrite:
            for part in parts:
                refuse_existing(out, part.name)
        file = CheckpointFile(
            name=path.name,
            bytes=checkpoint.bytes,
            container=f"{checkpoint.kind}, {found.container}",
            beside=tuple(found.beside),
        )
        takings = [Taking(part.tensors, None) for part in parts]
        for part, taking in zip(parts, takings, strict=True):
            part.family.take(taking, part.width)
        _require_complete(what, takings, found.unknown)
        digest = checkpoint.sha256()
        takings = [Taking(part.tensors, checkpoint.read) for part in parts]
        weights = [_taken(part, taking) for part, taking in zip(parts, takings, strict=True)]
    _require_complete(what, takings, found.unknown)
    training = training_receipt(path) if origin.key == "stillflow" else None
    imported = []
    for part, taking, values in zip(parts, takings, weights, strict=True):
        receipt = ImportReceipt(
            family=part.family.key,
            width=part.width,
            source=origin.key,
            source_name=origin.name,
            source_url=origin.url,
            licence=origin.licence,
            licence_note=origin.note,
            sha256=digest,
            weights_sha256="0" * 64,
            checkpoint=file,
            options=dict(part.reading.options),
            assumed=(*assumed, *part.reading.assumed),
            tensors=TensorCounts(used=len(taking.taken), ignored=tuple(sorted(found.ignored))),
            parameters=sum(value.numel() for value in values.values()),
            loop=dict(part.reading.loop),
            training=training,
            made_by=f"stillflow-export {stillflow.__version__}",
        )
        imported.append(Imported(*write_weights(out, part.name, values, receipt, overwrite=overwrite)))
    return imported


@dataclass(frozen=True)
class _Part:
    """One network of a checkpoint, before its tensors are read."""

    family: Family
    tensors: dict[str, HasShape]
    width: int
    reading: Reading
    name: str


def _part(
    family: Family,
    tensors: dict[str, HasShape],
    origin: Source,
    found: Recognised,
    name: str | None,
    count: int,
    what: str,
) -> _Part:
    width = family.width(tensors)
    if width % family.multiple or width > MAX_WIDTH:
        raise StillflowError(
            what,
            f"it holds {family.what} of width {width}, which does not divide by {family.multiple}"
            f" or is more than {MAX_WIDTH}",
            "give the checkpoint as published",
        )
    if name is None:
        name = f"{origin.key}-{family.part}"
    elif count > 1:
        name = f"{name}-{family.part}"
    reading = read_options(family.key, origin.key, found.options, width, what)
    return _Part(family, tensors, width, reading, name)


def _taken(part: _Part, taking: Taking) -> dict[str, torch.Tensor]:
    weights = part.family.take(taking, part.width)
    if not taking.problems:
        for name, value in weights.items():
            if not bool(torch.isfinite(value.float()).all()):
                taking.problems.append(f"{name}, folded, is beyond the range of float32")
    return weights


def _families(found: Recognised, what: str) -> list[tuple[Family, dict[str, HasShape]]]:
    parts = dict(found.parts)
    families: list[tuple[Family, dict[str, HasShape]]] = []
    layers = parts.pop(LAYERS, None)
    generator = parts.pop(GENERATOR, None)
    if layers is not None and generator is None:
        why = "it holds a background network or alpha networks without the generator that they belong to"
        raise StillflowError(
            what, why, "import the checkpoint that has encoder, projector and net_alpha_decoder"
        )
    if generator is not None:
        key = "feature_generator" if layers is None else "layered_generator"
        families.append((FAMILIES[key], {**generator, **(layers or {})}))
    families += [(FAMILIES[part], tensors) for part, tensors in parts.items()]
    return families


def _source(
    found: Recognised, kind: str, families: Sequence[Family], said: str | None, what: str
) -> tuple[Source, list[str]]:
    """Who published it: as said, as the networks tell, or as the container tells."""
    possible = [key for key in SOURCES if all(key in family.sources for family in families)]
    kinds = " and ".join(family.what for family in families)
    if said is not None:
        if said not in possible:
            who = SOURCES[said].name if said in SOURCES else f"'{said}'"
            raise StillflowError(
                what, f"it holds {kinds}, and {who} publishes none of that form",
                f"say --source {' or '.join(possible) or 'nothing'}, or leave it out",
            )  # fmt: skip
        return SOURCES[said], []
    if not possible:
        raise StillflowError(what, f"it holds {kinds}, which nobody publishes together", _known())
    if len(possible) == 1:
        return SOURCES[possible[0]], []
    told = None
    if "model.module." in found.prefixes:
        told, sign = "slr", "its tensors are named as SLR-SFS's training script names them"
    elif found.container == "state_dict" and found.options is not None:
        told, sign = "slr", "its options lie beside its tensors, as SLR-SFS's training script saves them"
    elif found.container == "netG":
        told, sign = "3dc", "its tensors lie under netG"
    elif kind != "safetensors" and found.container == "bare" and not found.prefixes:
        told, sign = "t2c", "it is a bare state dict without prefixes"
    if told not in possible:
        choices = ", ".join(f"{key} ({SOURCES[key].name})" for key in possible)
        raise StillflowError(
            what,
            f"it holds {kinds}, and nothing in it tells who published it, on which its scale and licence depend",
            f"say --source: {choices}",
        )
    assert told is not None
    return SOURCES[told], [f"The source is {SOURCES[told].name}, since {sign}; --source says otherwise."]


def _require_complete(what: str, takings: Sequence[Taking], unknown: Sequence[str]) -> None:
    problems = [problem for taking in takings for problem in taking.problems]
    left = sorted([*unknown, *(name for taking in takings for name in taking.left())])
    if not problems and not left:
        return
    why = []
    if problems:
        why.append(_listed(problems))
    if left:
        why.append(f"{len(left)} tensors are left over: {_listed(left, ', ')}")
    raise StillflowError(
        what, "; ".join(why), "give the checkpoint as published: every tensor must find its place"
    )


def _listed(items: Sequence[str], between: str = "; ") -> str:
    more = len(items) - _SHOWN
    return between.join(items[:_SHOWN]) + (f"{between}and {more} more" if more > 0 else "")


def _known() -> str:
    return "known are: " + ", ".join(family.what.removeprefix("a ") for family in FAMILIES.values())
