# SPDX-License-Identifier: Apache-2.0
"""The bundle writer: trained weights in, a verified bundle out, in one stroke or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import stillflow
from stillflow.bundle import SCHEMA_VERSION, Bundle, Manifest, encode_manifest
from stillflow.bundle.manifest import (
    OUTPUT_CHOICES,
    File,
    Graph,
    Licence,
    Receipt,
    Sizes,
    Tolerance,
    Vector,
    Weights,
)
from stillflow.errors import StillflowError
from stillflow.flow import LONG_SIDE as FLOW_SIDE
from stillflow.generator import LONG_SIDE as GENERATOR_SIDE
from stillflow_export.gates import GateReceipt, gate_a, require_passed, run_network
from stillflow_export.graphs import MULTIPLE
from stillflow_export.onnx_export import export_onnx
from stillflow_export.outputs import Decision, decide_outputs
from stillflow_export.plain_layers import OPSET
from stillflow_export.plan import GraphPlan, Trained
from stillflow_export.stored_weights import as_stored, measure_rounding

CREATOR = "the stillflow authors"
LICENCE = "Apache-2.0"

VECTOR_TOLERANCE = Tolerance(absolute=1e-3, relative=1e-3)
"""Ten times gate A's: another engine on another machine sums in yet another order, some with TF32."""

VECTORS_EACH = 2
"""Test vectors of a graph: the first of its samples, which are small."""

ARCHIVE_SUFFIXES = (".zip", ".sfb")
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal bundles are equal files


@dataclass
class _Parts:
    """Files of a bundle that is being put together, and what the manifest says of them."""

    files: dict[str, bytes] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)

    def add(self, path: str, data: bytes) -> str:
        """Add a file; returns its SHA-256."""
        self.files[path] = data
        return hashlib.sha256(data).hexdigest()

    def add_receipt(self, kind: str, graph: str | None, what: str, content: Any) -> None:
        path = f"receipts/{'-'.join(part for part in (graph, kind) if part)}.json"
        digest = self.add(path, _as_json(content))
        self.receipts.append(Receipt(kind=kind, graph=graph, what=what, file=path, sha256=digest))


def write_bundle(
    target: Path,
    networks: Sequence[Trained],
    *,
    name: str,
    what: str,
    photos: Sequence[Path] = (),
    outputs: Mapping[str, str] | None = None,
) -> tuple[Bundle, list[GateReceipt]]:
    """Export networks, pass them through gate A, and write them as a bundle.

    The bundle is put together beside its name, verified there, and only then takes the name; what had
    the name before is replaced whole. When anything fails, nothing has changed.

    Args:
        target: folder to write, or a file ending in .zip or .sfb for an uncompressed zip.
        networks: a flow network, and a generator network if there is one.
        name: of the bundle.
        what: one sentence on what it is.
        photos: real photos for gate A, beside its procedural samples.
        outputs: who makes which output; what is not said is decided from the training receipts.

    Returns:
        The written bundle, open, and the receipts of gate A.

    Raises:
        StillflowError: a network does not export, misses gate A, or the bundle cannot be written.
    """
    _check_target(target)
    decisions = decide_outputs({p.name: t.receipt or {} for t in networks for p in t.plans}, outputs or {})
    parts = _Parts()
    receipts: list[GateReceipt] = []
    graphs, vectors, weights = [], [], []
    for trained in networks:
        digest = hashlib.sha256(trained.weights.read_bytes()).hexdigest() if trained.weights else None
        metadata = {"licence": trained.licence, "source": trained.source}
        metadata |= {"weights_sha256": digest} if digest else {}
        for given in trained.plans:
            plan = as_stored(given)
            graph = export_onnx(plan, metadata=metadata)
            receipt = gate_a(
                plan.network, graph.data, plan.inputs, plan.outputs, plan.samples(photos), name=plan.name
            )
            require_passed(receipt)
            receipts.append(receipt)
            file = f"{plan.name}.onnx"
            graphs.append(_describe(plan, file, parts.add(file, graph.data)))
            measured = {**receipt.as_json(), "operators": graph.operators, "parameters": graph.parameters}
            parts.add_receipt("gate-a", plan.name, receipt.what, measured)
            if plan.half_weights:
                moved = measure_rounding(given, plan, plan.samples(photos))
                parts.add_receipt("rounding", plan.name, moved["what"], moved)
            if trained.receipt is not None:
                parts.add_receipt("training", plan.name, "how the weights came about", trained.receipt)
            vectors += list(_vectors(parts, plan))
            weights.append(
                Weights(graph=plan.name, source=trained.source, licence=trained.licence, sha256=digest)
            )
    parts.add_receipt(
        "outputs",
        None,
        "who makes which output by default, and why",
        {k: vars(v) for k, v in decisions.items()},
    )
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        what=what,
        creator=f"{CREATOR}, stillflow-export {stillflow.__version__}",
        licences=_licences(parts, networks),
        weights=tuple(weights),
        graphs=tuple(graphs),
        vectors=tuple(vectors),
        receipts=tuple(parts.receipts),
        sizes=Sizes(
            flow_long_side=_flow_side(networks), generator_long_side=GENERATOR_SIDE, multiple=MULTIPLE
        ),
        outputs=_chosen(decisions),
        files=tuple(
            File(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in sorted(parts.files.items())
        ),
    )
    files = {"manifest.json": encode_manifest(manifest), **dict(sorted(parts.files.items()))}
    _put(target, files)
    return Bundle.open(target), receipts


def _describe(plan: GraphPlan, file: str, sha256: str) -> Graph:
    return Graph(
        name=plan.name,
        what=plan.what,
        file=file,
        sha256=sha256,
        opset=OPSET,
        inputs=plan.inputs,
        outputs=plan.outputs,
        multiple=plan.multiple,
        long_side=plan.long_side,
        halo=plan.halo,
    )


def _flow_side(networks: Sequence[Trained]) -> int:
    sides = [p.long_side for t in networks for p in t.plans if p.name == "flow"]
    return sides[0] or FLOW_SIDE if sides else FLOW_SIDE


def _chosen(decisions: Mapping[str, Decision]) -> dict[str, str]:
    return {output: decisions[output].chosen for output in OUTPUT_CHOICES}


def _vectors(parts: _Parts, plan: GraphPlan) -> Iterable[Vector]:
    """Add test vectors: procedural inputs, with outputs that PyTorch computed."""
    for i, sample in enumerate(islice(plan.samples(()), VECTORS_EACH)):
        expected = run_network(plan.network, [sample.inputs[t.name] for t in plan.inputs])
        arrays = {f"input.{t.name}": sample.inputs[t.name] for t in plan.inputs}
        arrays |= {f"output.{t.name}": value for t, value in zip(plan.outputs, expected, strict=True)}
        path = f"vectors/{plan.name}-{i}.npz"
        yield Vector(
            graph=plan.name,
            file=path,
            sha256=parts.add(path, _as_npz(arrays)),
            what=sample.name,
            tolerance={"fp32": {t.name: VECTOR_TOLERANCE for t in plan.outputs}},
        )


def _licences(parts: _Parts, networks: Sequence[Trained]) -> tuple[Licence, ...]:
    """Add licence texts, and the credits of the photos that were learnt from."""
    text = (resources.files("stillflow_export") / "licences" / f"{LICENCE}.txt").read_bytes()
    path = f"LICENSES/{LICENCE}.txt"
    parts.add(path, text)
    own = Licence(covers="graphs, weights, test vectors, receipts", spdx=LICENCE, holder=CREATOR, file=path)
    credits: dict[str, Mapping[str, str]] = {}
    for trained in networks:
        for photo in (trained.receipt or {}).get("photos", []):
            credits[photo["file"]] = photo
    if not credits:
        return (own,)
    lines = ["Photos the networks learnt from. None of them is in this bundle.", ""]
    lines += [
        f"{Path(file).name}: {photo.get('author', '')}, {photo.get('licence', '')}, {photo.get('source', '')}"
        for file, photo in sorted(credits.items())
    ]
    path = "LICENSES/training-photos.txt"
    parts.add(path, ("\n".join(lines) + "\n").encode())
    learnt = Licence(
        covers=f"{len(credits)} photos used in training, not part of the bundle",
        spdx="LicenseRef-training-photos",
        holder="the photographers named in the file",
        file=path,
    )
    return own, learnt


def _as_json(content: Any) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _as_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Write an uncompressed .npz with fixed dates, so that equal arrays are equal bytes."""
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    return _as_zip(files)


def _as_zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _check_target(target: Path) -> None:
    """Refuse early what could not be written, or what would overwrite something that is no bundle."""
    what = f"cannot write the bundle {target}"
    if not target.parent.is_dir():
        raise StillflowError(
            what, f"the folder {target.parent} does not exist", "make it, or write elsewhere"
        )
    if target.suffix in ARCHIVE_SUFFIXES:
        if target.is_dir():
            raise StillflowError(what, "a folder has that name", "name a file")
    elif (
        target.exists()
        and not (target / "manifest.json").is_file()
        and (not target.is_dir() or any(target.iterdir()))
    ):
        raise StillflowError(what, "something that is no bundle has that name", "name a new folder")


def _put(target: Path, files: Mapping[str, bytes]) -> None:
    """Write, verify, rename."""
    what = f"cannot write the bundle {target}"
    try:
        # Beside the target, since a rename is one stroke only within one file system.
        room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StillflowError(what, str(error), "free the disk or choose a folder you may write to") from error
    try:
        new, old = room / target.name, room / "old"
        if target.suffix in ARCHIVE_SUFFIXES:
            new.write_bytes(_as_zip(files))
        else:
            for path, data in files.items():
                (new / path).parent.mkdir(parents=True, exist_ok=True)
                (new / path).write_bytes(data)
        with Bundle.open(new) as written:
            failed = [check for check in written.verify() if not check.ok]
        if failed:
            raise StillflowError(
                what, f"{failed[0].name}: {failed[0].detail}", "export again; nothing was written"
            )
        if new.is_dir() and target.exists():
            os.rename(target, old)
            try:
                os.rename(new, target)
            except OSError:
                os.rename(old, target)
                raise
        else:
            os.replace(new, target)
    except OSError as error:
        raise StillflowError(what, str(error), "free the disk or choose a folder you may write to") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
