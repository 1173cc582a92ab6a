# SPDX-License-Identifier: Apache-2.0
"""The bundle writer: trained weights in, a verified bundle out, in one stroke or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

import stillflow
from stillflow.bundle import SCHEMA_VERSION, Bundle, Manifest
from stillflow.bundle.manifest import (
    OUTPUT_CHOICES,
    Graph,
    Loop,
    Precision,
    Sizes,
    Tolerance,
    Variant,
    Vector,
    Weights,
)
from stillflow.flow import LONG_SIDE as FLOW_SIDE
from stillflow.generator import LONG_SIDE as GENERATOR_SIDE
from stillflow_export.bundle_copy import Copied, copy_graphs
from stillflow_export.bundle_licences import CREATOR, licences_of
from stillflow_export.bundle_parts import Parts, as_npz, parts_for, publish
from stillflow_export.checkpoints.weights_file import file_sha256
from stillflow_export.gates import Judged, gate_a, require_passed, run_network
from stillflow_export.graphs import MULTIPLE, is_own
from stillflow_export.onnx_export import export_onnx, metadata_of
from stillflow_export.outputs import decide_outputs
from stillflow_export.plain_layers import OPSET
from stillflow_export.plan import GraphPlan, Trained
from stillflow_export.stored_weights import as_stored, measure_rounding
from stillflow_export.variants import convert, judge_frames

VECTOR_TOLERANCE = Tolerance(absolute=1e-3, relative=1e-3)
"""Ten times gate A's: another engine on another machine sums in yet another order, some with TF32."""

VECTORS_EACH = 2
"""Test vectors of a graph: the first of its samples, which are small."""

BASE = "edge"
"""The bundle that graphs are copied from which were not given: our own flow network also plays imported ones."""

_IMPORTED = ("import", "where the weights came from, and what was made of each tensor")

Progress = Callable[[str], None]
"""Told what is being done, in a few words, before it is done."""


def write_bundle(
    target: Path,
    networks: Sequence[Trained],
    *,
    name: str,
    what: str,
    photos: Sequence[Path] = (),
    outputs: Mapping[str, str] | None = None,
    precisions: Sequence[Precision] = ("fp32",),
    calibration: Sequence[Path] = (),
    base: str | Path = BASE,
    progress: Progress = lambda _: None,
) -> tuple[Bundle, list[Judged]]:
    """Export networks, pass them through the gates, and write them as a bundle.

    The bundle is put together beside its name, verified there, and only then takes the name; what had
    the name before is replaced whole. When anything fails, nothing has changed.

    Our own networks make a bundle by themselves. Where an imported generator or flow network is given and our
    flow network is not, that one is copied from ``base`` byte for byte; so is our generator when no generator
    was given at all.

    Args:
        target: folder to write, or a file ending in .zip or .sfb for an uncompressed zip.
        networks: our own flow and generator networks, or imported ones.
        name: of the bundle.
        what: one sentence on what it is.
        photos: real photos for the gates, beside the procedural samples.
        outputs: who makes which output; what is not said is decided from the training receipts.
        precisions: of the files that each exported graph gets; fp32 is always there. Others pass gate B: output
            by output, and, where there are photos, on frames that the finished bundle makes of them.
        calibration: real photos that int8 takes its scales from.
        base: bundle that graphs are copied from which were not given.
        progress: told what is being done.

    Returns:
        The written bundle, open, and the receipts of the gates.

    Raises:
        StillflowError: a network does not export or misses a gate, or the bundle cannot be written.
    """
    with parts_for(target) as parts:
        copied = None
        if missing := _missing(networks):
            progress(f"copying {', '.join(missing)} from {base}")
            with Bundle.open(base) as bundle:
                copied = copy_graphs(parts, bundle, missing)
        training = {p.name: t.receipt or {} for t in networks for p in t.plans}
        decisions = decide_outputs({**training, **(copied.training if copied else {})}, outputs or {})
        work = _Work(parts, photos, precisions, calibration, progress)
        for trained in networks:
            work.add(trained)
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
            licences=licences_of(parts, networks, copied.licences if copied else ()),
            weights=(*(copied.weights if copied else ()), *work.weights),
            graphs=(*(copied.graphs if copied else ()), *work.graphs),
            vectors=(*(copied.vectors if copied else ()), *work.vectors),
            receipts=tuple(parts.receipts),
            loop=Loop(**{key: value for t in networks for key, value in t.loop.items()}),
            sizes=_sizes(networks, copied),
            outputs={output: decisions[output].chosen for output in OUTPUT_CHOICES},
            files=parts.listed(),
        )
        parts.write_manifest(manifest)
        if photos and work.converted:
            for precision in work.converted:
                progress(f"judging frames in {precision}")
                exported = [graph.name for graph in work.graphs]
                work.receipts.append(judge_frames(parts, precision, photos, exported))
            parts.write_manifest(
                msgspec.structs.replace(manifest, receipts=tuple(parts.receipts), files=parts.listed())
            )
        progress("verifying the bundle")
        publish(parts, target)
    return Bundle.open(target), work.receipts


def _missing(networks: Sequence[Trained]) -> list[str]:
    """Name our own graphs that the networks cannot do without."""
    there = {plan.name for trained in networks for plan in trained.plans}
    if "flow" in there:
        return []
    return ["flow"] if there & {"generator", "encoder"} else ["flow", "generator"]


@dataclass
class _Work:
    """Exports networks into a bundle that is being put together.

    Attributes:
        graphs: what the manifest says of the exported graphs so far; likewise weights and vectors.
        receipts: of the gates.
    """

    parts: Parts
    photos: Sequence[Path]
    precisions: Sequence[Precision]
    calibration: Sequence[Path]
    progress: Progress
    graphs: list[Graph] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)
    vectors: list[Vector] = field(default_factory=list)
    receipts: list[Judged] = field(default_factory=list)

    @property
    def converted(self) -> list[Precision]:
        """Precisions beside fp32."""
        return [precision for precision in self.precisions if precision != "fp32"]

    def add(self, trained: Trained) -> None:
        """Export all graphs of one set of weights."""
        digest = file_sha256(trained.weights) if trained.weights else None
        metadata = metadata_of(trained, digest)
        for plan in trained.plans:
            self._add_graph(plan, metadata)
            if trained.receipt is not None:
                kind, what = ("training", "how the weights came about") if is_own(trained) else _IMPORTED
                self.parts.add_receipt(kind, plan.name, what, trained.receipt)
            self.weights.append(
                Weights(graph=plan.name, source=trained.source, licence=trained.licence, sha256=digest)
            )

    def _add_graph(self, given: GraphPlan, metadata: Mapping[str, str]) -> None:
        plan = as_stored(given)
        self.progress(f"exporting {plan.name}")
        graph = export_onnx(plan, metadata=metadata)
        self.progress(f"judging {plan.name}: PyTorch against ONNX")
        samples = plan.samples(self.photos)
        receipt = gate_a(plan.network, graph.data, plan.inputs, plan.outputs, samples, name=plan.name)
        require_passed(receipt)
        self.receipts.append(receipt)
        measured = {**receipt.as_json(), "operators": graph.operators, "parameters": graph.parameters}
        self.parts.add_receipt("gate-a", plan.name, receipt.what, measured)
        if plan.half_weights:
            moved = measure_rounding(given, plan, plan.samples(self.photos))
            self.parts.add_receipt("rounding", plan.name, moved["what"], moved)
        file = f"{plan.name}.onnx"
        sha256 = self.parts.add(file, graph.data)
        tolerances = {"fp32": {t.name: VECTOR_TOLERANCE for t in plan.outputs}}
        variants = []
        for precision in self.converted:
            self.progress(f"converting {plan.name} to {precision}, and judging it")
            made = convert(precision, plan, graph.data, self.photos, self.calibration)
            self.receipts.append(made.receipt)
            self.parts.add_receipt(
                f"gate-b-{precision}", plan.name, made.receipt.what, made.receipt.as_json()
            )
            other = f"{plan.name}.{precision}.onnx"
            digest = self.parts.add(other, made.data)
            variants.append(Variant(precision=precision, file=other, sha256=digest))
            tolerances[precision] = dict(made.tolerance)
        self.graphs.append(_described(plan, file, sha256, variants))
        self.vectors += _vectors(self.parts, plan, tolerances)


def _described(plan: GraphPlan, file: str, sha256: str, variants: Sequence[Variant]) -> Graph:
    return Graph(
        name=plan.name,
        what=plan.what,
        file=file,
        sha256=sha256,
        opset=OPSET,
        variants=tuple(variants),
        inputs=plan.inputs,
        outputs=plan.outputs,
        multiple=plan.multiple,
        long_side=plan.long_side,
        halo=plan.halo,
    )


def _vectors(
    parts: Parts, plan: GraphPlan, tolerances: Mapping[str, Mapping[str, Tolerance]]
) -> Iterator[Vector]:
    """Add test vectors: procedural inputs, with outputs that PyTorch computed."""
    for i, sample in enumerate(islice(plan.samples(()), VECTORS_EACH)):
        expected = run_network(plan.network, [sample.inputs[t.name] for t in plan.inputs])
        arrays = {f"input.{t.name}": sample.inputs[t.name] for t in plan.inputs}
        arrays |= {f"output.{t.name}": value for t, value in zip(plan.outputs, expected, strict=True)}
        path = f"vectors/{plan.name}-{i}.npz"
        yield Vector(
            graph=plan.name,
            file=path,
            sha256=parts.add(path, as_npz(arrays)),
            what=sample.name,
            tolerance={precision: dict(allowed) for precision, allowed in tolerances.items()},
        )


def _sizes(networks: Sequence[Trained], copied: Copied | None) -> Sizes:
    """The sizes that our own networks run at; imported graphs name theirs themselves."""
    sides = {"flow": FLOW_SIDE, "generator": GENERATOR_SIDE}
    if copied is not None:
        sides = {"flow": copied.sizes.flow_long_side, "generator": copied.sizes.generator_long_side}
    sides |= {p.name: p.long_side for t in networks for p in t.plans if p.name in sides and p.long_side}
    return Sizes(flow_long_side=sides["flow"], generator_long_side=sides["generator"], multiple=MULTIPLE)
