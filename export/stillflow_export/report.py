# SPDX-License-Identifier: Apache-2.0
"""What there is to tell about a bundle, gathered from its files: costs, precisions, gates, receipts, engines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stillflow.bundle import Bundle, Manifest
from stillflow.bundle.manifest import Graph, Receipt
from stillflow.errors import StillflowError
from stillflow_export.engine_layers import EngineReport
from stillflow_export.macs import GraphCost, graph_cost

PHOTO_SIZE = (720, 1280)
"""Height and width that a graph without a size of its own is measured at."""

ASPECT = 9 / 16
"""Height to width of the photo that graphs with a longest side are measured at."""

MAX_RECEIPT_BYTES = 8 << 20
"""The default bundle's largest receipt takes 49 kB."""

MAX_FACTS = 150
"""Lines of one receipt that are shown; the file itself has them all."""


@dataclass(frozen=True)
class VariantReport:
    """One file of a graph.

    Attributes:
        precision: that the manifest gives it.
        file: its path.
        bytes: its length.
        sha256: of it.
        cost: at the graph's size; None when it could not be measured.
        problem: why not.
        kept: layer -> why it stays in float32, as far as a receipt says.
    """

    precision: str
    file: str
    bytes: int
    sha256: str
    cost: GraphCost | None
    problem: str
    kept: Mapping[str, str]


@dataclass(frozen=True)
class GraphReport:
    """One graph at its working size.

    Attributes:
        graph: the manifest's entry.
        height: that it was measured at.
        width: likewise.
        own_size: it is meant to run at that size; False: at the photo's, so a usual one was taken.
        variants: the main file first.
    """

    graph: Graph
    height: int
    width: int
    own_size: bool
    variants: tuple[VariantReport, ...]


@dataclass(frozen=True)
class GateRow:
    """How one output of one graph fared in one gate.

    Attributes:
        gate: its letter.
        what: was compared.
        graph: the graph.
        output: of the graph.
        tolerance: in words.
        worst: deviation that is the largest share of its allowance.
        allowed: that allowance.
        max_abs: largest deviation.
        scale: largest magnitude of the expected values.
        sample: where the worst was.
        samples: how many there were.
        passed: the gate's own verdict on the output.
        file: the receipt.
    """

    gate: str
    what: str
    graph: str
    output: str
    tolerance: str
    worst: float | None
    allowed: float | None
    max_abs: float | None
    scale: float | None
    sample: str
    samples: int
    passed: bool
    file: str


@dataclass(frozen=True)
class ReceiptReport:
    """One receipt as a list of facts.

    Attributes:
        receipt: the manifest's entry.
        facts: (dotted name, value in words).
        left: how many more there are.
        problem: why it cannot be shown.
    """

    receipt: Receipt
    facts: tuple[tuple[str, str], ...]
    left: int = 0
    problem: str = ""


@dataclass(frozen=True)
class BundleReport:
    """All of it.

    Attributes:
        manifest: of the bundle.
        graphs: in the manifest's order.
        gates: every output of every gate that left a receipt.
        receipts: those of all other kinds.
        engines: found in the cache.
    """

    manifest: Manifest
    graphs: tuple[GraphReport, ...]
    gates: tuple[GateRow, ...]
    receipts: tuple[ReceiptReport, ...]
    engines: tuple[EngineReport, ...]

    def summary(self) -> dict[str, Any]:
        """The main figures as plain values."""
        graphs = {}
        for graph in self.graphs:
            graphs[graph.graph.name] = {
                "height": graph.height,
                "width": graph.width,
                "variants": {v.precision: _variant_summary(v) for v in graph.variants},
            }
        return {
            "bundle": self.manifest.name,
            "bytes": sum(file.bytes for file in self.manifest.files),
            "graphs": graphs,
            "gates": [vars(row) for row in self.gates],
            "engines": [engine.summary() for engine in self.engines],
        }


def _variant_summary(variant: VariantReport) -> dict[str, Any]:
    found: dict[str, Any] = {"file": variant.file, "bytes": variant.bytes, "sha256": variant.sha256}
    if variant.cost is None:
        return {**found, "problem": variant.problem}
    cost = variant.cost
    return {
        **found,
        "layers": len(cost.layers),
        "macs": cost.macs,
        "macs_by_precision": cost.by_precision,
        "parameters": cost.parameters,
        "peak_activation_bytes": cost.peak_bytes,
        "kept_in_fp32": len(variant.kept),
        "not_counted": dict(cost.uncounted),
        "unknown_shapes": list(cost.unknown),
    }


def gather(bundle: Bundle, engines: Sequence[EngineReport] = ()) -> BundleReport:
    """Gather everything; nothing is run.

    Args:
        bundle: open.
        engines: what was found in the cache of engines.

    Raises:
        StillflowError: a file of the bundle is missing or is not the one the manifest was written for.
    """
    manifest = bundle.manifest
    contents = {receipt.file: _content(bundle, receipt) for receipt in manifest.receipts}
    gates = [row for receipt in manifest.receipts for row in _gate_rows(receipt, contents[receipt.file])]
    shown = {row.file for row in gates}
    others = [_facts_of(r, contents[r.file]) for r in manifest.receipts if r.file not in shown]
    graphs = tuple(_graph_report(bundle, graph, contents) for graph in manifest.graphs)
    return BundleReport(manifest, graphs, tuple(gates), tuple(others), tuple(engines))


def working_size(manifest: Manifest, graph: Graph) -> tuple[int, int, bool]:
    """Height and width to measure a graph at, and whether they are the graph's own.

    A landscape photo of 16:9 at the graph's longest side, sides rounded to what they must divide by; for
    a graph that runs at the photo's own size, 1280x720.
    """
    multiple, side = manifest.multiple(graph), manifest.long_side(graph)
    height, width = PHOTO_SIZE if side is None else (side * ASPECT, side)
    sides = [max(multiple, round(n / multiple) * multiple) for n in (height, width)]
    return sides[0], sides[1], side is not None


def _graph_report(bundle: Bundle, graph: Graph, contents: Mapping[str, Any]) -> GraphReport:
    height, width, own = working_size(bundle.manifest, graph)
    kept = {} if len(graph.all_variants) < 2 else _kept(bundle.manifest, graph.name, contents)
    variants = []
    for variant in graph.all_variants:
        entry = bundle.manifest.file(variant.file)
        assert entry is not None  # the manifest was checked
        data = bundle.graph_bytes(graph.name, variant.precision)
        cost, problem = None, ""
        try:
            cost = graph_cost(data, {"height": height, "width": width}, graph.name)
        except StillflowError as error:
            problem = error.why
        mine = kept if variant.precision != "fp32" else {}
        variants.append(
            VariantReport(variant.precision, variant.file, entry.bytes, variant.sha256, cost, problem, mine)
        )
    return GraphReport(graph, height, width, own, tuple(variants))


def _content(bundle: Bundle, receipt: Receipt) -> Any:
    """The JSON in a receipt; a StillflowError as a value when it cannot be read as such."""
    entry = bundle.manifest.file(receipt.file)
    if entry is not None and entry.bytes > MAX_RECEIPT_BYTES:
        return StillflowError(receipt.file, f"it takes {entry.bytes} bytes", "read the file itself")
    data = bundle.read(receipt.file)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        return StillflowError(receipt.file, f"it is not JSON ({str(error)[:100]})", "read the file itself")


def _kept(manifest: Manifest, graph: str, contents: Mapping[str, Any]) -> dict[str, str]:
    """Layer -> why it stays in float32: what the receipts of a graph hold under names with "kept" in them."""
    found: dict[str, str] = {}
    for receipt in manifest.receipts:
        waiting = [contents[receipt.file]] if receipt.graph == graph else []
        for _ in range(3):  # at the top, or in an object below it
            below = [item for content in waiting if isinstance(content, dict) for item in content.items()]
            waiting = [value for _, value in below]
            for key, value in below:
                if "kept" in str(key) and isinstance(value, dict):
                    found |= {str(k): v for k, v in value.items() if isinstance(v, str)}
    return found


def _gate_rows(receipt: Receipt, content: Any) -> Iterator[GateRow]:
    """Rows of a receipt that is a gate's: one for each output, one for its finished frames."""
    if not isinstance(content, dict) or "gate" not in content:
        return
    outputs, frames, samples = content.get("outputs"), content.get("frames"), content.get("samples")
    for output, report in outputs.items() if isinstance(outputs, dict) else ():
        if isinstance(report, dict):
            count = len(samples) if isinstance(samples, list) else 0
            yield _gate_row(receipt, content, _words(output), report, count, report.get("worst_sample", ""))
    if isinstance(frames, list):
        worst = content.get("worst")
        name = _words({k: v for k, v in worst.items() if v != ""}) if isinstance(worst, dict) else ""
        failed = _words(content["failures"]) if content.get("failures") else ""
        figures = {"passed": content.get("passed")}
        yield _gate_row(receipt, content, "finished frames", figures, len(frames), failed or name)


def _gate_row(
    receipt: Receipt, content: dict[str, Any], output: str, figures: dict[str, Any], count: int, sample: Any
) -> GateRow:
    return GateRow(
        gate=_words(content["gate"]),
        what=_words(content.get("what", "")),
        graph=_words(content.get("graph", receipt.graph or "")),
        output=output,
        tolerance=_words(content.get("tolerance", "")),
        worst=_number(figures.get("worst")),
        allowed=_number(figures.get("allowed")),
        max_abs=_number(figures.get("max_abs")),
        scale=_number(figures.get("scale")),
        sample=_words(sample),
        samples=count,
        passed=figures.get("passed") is True,
        file=receipt.file,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_words(k)} {_words(v)}" for k, v in list(value.items())[:20])
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)[:300]


def _facts_of(receipt: Receipt, content: Any) -> ReceiptReport:
    if isinstance(content, StillflowError):
        return ReceiptReport(receipt, (), problem=content.why)
    facts = list(_facts("", content))
    return ReceiptReport(receipt, tuple(facts[:MAX_FACTS]), max(0, len(facts) - MAX_FACTS))


def _facts(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Flatten JSON into (dotted name, value); long lists and what lies deep are counted, not shown."""
    if isinstance(value, dict) and depth < 8:
        for key, inner in value.items():
            yield from _facts(f"{name}.{key}" if name else str(key)[:100], inner, depth + 1)
    elif isinstance(value, list) and (len(value) > 12 or any(isinstance(v, list | dict) for v in value)):
        yield name, f"{len(value)} entries"
    elif isinstance(value, list):
        yield name, ", ".join(_words(v) for v in value)
    else:
        yield name, _words(value)
