# SPDX-License-Identifier: Apache-2.0
"""Who may do what with a bundle: a licence for each part, with its text or what there is to know about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from stillflow.bundle.manifest import Licence
from stillflow_export.bundle_parts import Parts
from stillflow_export.graphs import LICENCE, is_own
from stillflow_export.plan import Trained

CREATOR = "the stillflow authors"


def licences_of(
    parts: Parts, networks: Sequence[Trained], copied: Iterable[Licence] = ()
) -> tuple[Licence, ...]:
    """Add licence texts, notes and credits to a bundle.

    Args:
        parts: the bundle that is being put together.
        networks: what it was made from.
        copied: entries of the bundle that other graphs were copied from; their files are there already.

    Returns:
        An entry for our own part, for each set of weights that came from elsewhere, for the photos that our
        weights learnt from, and what was copied.
    """
    own = [t for t in networks if is_own(t)]
    others = [t for t in networks if not is_own(t)]
    found = [_own_part(parts, own, alone=not others and not copied)] if own else []
    found += [_weights_part(parts, trained) for trained in others]
    found += _credits(parts, own)
    found += copied
    return tuple(found)


def _names(networks: Iterable[Trained]) -> str:
    return ", ".join(plan.name for trained in networks for plan in trained.plans)


def _own_part(parts: Parts, own: Sequence[Trained], alone: bool) -> Licence:
    covers = "graphs, weights, test vectors, receipts"
    if not alone:
        covers = f"the graphs {_names(own)} with their weights, test vectors and receipts"
    return Licence(covers=covers, spdx=LICENCE, holder=CREATOR, file=_text(parts, LICENCE))


def _weights_part(parts: Parts, trained: Trained) -> Licence:
    """Say what is known of weights from elsewhere; an expression alone says too little of what was not granted."""
    lines = [
        f"Graphs: {_names([trained])}",
        f"Weights: {trained.source}",
        f"Licence: {trained.licence}",
        *(["", trained.licence_note] if trained.licence_note else []),
    ]
    path = f"LICENSES/{trained.plans[0].name}-weights.txt"
    parts.add(path, ("\n".join(lines) + "\n").encode())
    _text(parts, trained.licence)
    covers = (
        f"the weights of the graphs {_names([trained])}, and test vectors and receipts computed from them"
    )
    return Licence(covers=covers, spdx=trained.licence, holder="named in the file", file=path)


def _text(parts: Parts, spdx: str) -> str | None:
    """Add the text of a licence that is at hand; returns its path."""
    text = resources.files("stillflow_export") / "licences" / f"{spdx}.txt"
    if not text.is_file():
        return None
    path = f"LICENSES/{spdx}.txt"
    parts.add(path, text.read_bytes())
    return path


def _credits(parts: Parts, own: Sequence[Trained]) -> list[Licence]:
    """Name the photos that were learnt from."""
    credits: dict[str, Mapping[str, Any]] = {}
    for trained in own:
        for photo in (trained.receipt or {}).get("photos", []):
            credits[photo["file"]] = photo
    if not credits:
        return []
    lines = ["Photos the networks learnt from. None of them is in this bundle.", ""]
    lines += [
        f"{Path(file).name}: {photo.get('author', '')}, {photo.get('licence', '')}, {photo.get('source', '')}"
        for file, photo in sorted(credits.items())
    ]
    path = "LICENSES/training-photos.txt"
    if path in parts.files:  # those of copied graphs
        path = f"LICENSES/training-photos-{own[0].plans[0].name}.txt"
    parts.add(path, ("\n".join(lines) + "\n").encode())
    learnt = Licence(
        covers=f"{len(credits)} photos used in training, not part of the bundle",
        spdx="LicenseRef-training-photos",
        holder="the photographers named in the file",
        file=path,
    )
    return [learnt]
