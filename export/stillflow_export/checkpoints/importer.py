# SPDX-License-Identifier: Apache-2.0
"""A checkpoint from elsewhere becomes weights of ours: every tensor is used, or named as left over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stillflow
from stillflow.errors import StillflowError
from stillflow_export.checkpoints.families import FAMILIES, Family
from stillflow_export.checkpoints.options import read_options
from stillflow_export.checkpoints.receipt import CheckpointFile, ImportReceipt, TensorCounts
from stillflow_export.checkpoints.recognise import (
    EDGE_FLOW,
    EDGE_GENERATOR,
    GENERATOR,
    HINTED_FLOW,
    LAYERS,
    TEXT_FLOW,
    NotRecognisedError,
    Recognised,
    recognise,
)
from stillflow_export.checkpoints.restricted import Checkpoint
from stillflow_export.checkpoints.sources import SOURCES, Source
from stillflow_export.checkpoints.taking import HasShape, Taking
from stillflow_export.checkpoints.weights_file import refuse_existing, write_weights

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
        for family, tensors in families:
            if (width := family.width(tensors)) % family.multiple:
                raise StillflowError(
                    what,
                    f"it holds {family.what} of width {width}, which does not divide by {family.multiple}",
                    "give the checkpoint as published",
                )
        read = [
            read_options(family.key, origin.key, found.options, family.width(tensors), what)
            for family, tensors in families
        ]
        names = _names(families, origin, name)
        if not overwrite:
            for target in names:
                refuse_existing(out, target)
        file = CheckpointFile(
            name=path.name,
            bytes=checkpoint.bytes,
            container=f"{checkpoint.kind}, {found.container}",
            beside=tuple(found.beside),
        )
        digest = checkpoint.sha256()
        taken = []
        for family, tensors in families:
            taking = Taking(tensors, checkpoint.read)
            taken.append((family.take(taking, family.width(tensors)), taking))
        _require_complete(what, [taking for _, taking in taken], found.unknown)
        made = []
        for (family, tensors), (weights, taking), options, target in zip(
            families, taken, read, names, strict=True
        ):
            receipt = ImportReceipt(
                family=family.key,
                width=family.width(tensors),
                source=origin.key,
                source_name=origin.name,
                source_url=origin.url,
                licence=origin.licence,
                licence_note=origin.note,
                sha256=digest,
                weights_sha256="0" * 64,
                checkpoint=file,
                options=dict(options.options),
                assumed=(*assumed, *options.assumed),
                tensors=TensorCounts(used=len(taking.taken), ignored=tuple(sorted(found.ignored))),
                parameters=sum(value.numel() for value in weights.values()),
                loop=dict(options.loop),
                training=_training(path) if origin.key == "stillflow" else None,
                made_by=f"stillflow-export {stillflow.__version__}",
            )
            made.append((target, weights, receipt))
    return [
        Imported(*write_weights(out, target, weights, receipt, overwrite=overwrite))
        for target, weights, receipt in made
    ]


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
    keys = {
        HINTED_FLOW: "hinted_flow",
        TEXT_FLOW: "text_flow",
        EDGE_FLOW: "edge_flow",
        EDGE_GENERATOR: "edge_generator",
    }
    families += [(FAMILIES[keys[part]], tensors) for part, tensors in parts.items()]
    return families


def _source(
    found: Recognised, kind: str, families: Sequence[Family], said: str | None, what: str
) -> tuple[Source, list[str]]:
    """Who published it: as said, as the networks tell, or as the container tells."""
    possible = [key for key in SOURCES if all(key in family.sources for family in families)]
    kinds = " and ".join(family.what for family in families)
    if said is not None:
        if said not in possible:
            raise StillflowError(
                what, f"it holds {kinds}, and {SOURCES[said].name} publishes none of that form",
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


def _names(
    families: Sequence[tuple[Family, Mapping[str, HasShape]]], origin: Source, name: str | None
) -> list[str]:
    parts = [family.part for family, _ in families]
    if name is None:
        return [f"{origin.key}-{part}" for part in parts]
    return [name] if len(parts) == 1 else [f"{name}-{part}" for part in parts]


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


def _training(path: Path) -> dict[str, Any] | None:
    beside = path.with_suffix(".receipt.json")
    if not beside.is_file():
        return None
    try:
        content = json.loads(beside.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StillflowError(
            f"cannot read the receipt {beside}", str(error)[:200], "train again, or remove it"
        ) from error
    return content if isinstance(content, dict) else None


def _known() -> str:
    return "known are: " + ", ".join(family.what.removeprefix("a ") for family in FAMILIES.values())
