# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page: no script, nothing fetched. All that comes out of a bundle is a stranger's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import stillflow
from stillflow.bundle.manifest import Tensor
from stillflow_export.engine_layers import EngineReport
from stillflow_export.macs import COUNTED, Layer, heaviest
from stillflow_export.markup import safe
from stillflow_export.page_parts import STYLE, count_words, cut, legend, size_words, table, tag
from stillflow_export.plot import COLOURS, OTHER, Bar, columns, rows
from stillflow_export.report import BundleReport, GateRow, GraphReport, ReceiptReport, VariantReport

MAX_ROWS = 1500
"""Layers of one graph or engine that the page lists: about 300 bytes each, and a page stays below 2 MB."""


def page(report: BundleReport) -> str:
    """Write the page."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # Should any text ever escape from its place, it may still load and run nothing.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{safe(report.manifest.name)}: bundle report</title><style>{STYLE}</style></head><body>",
        *_head(report),
        *_overview(report),
    ]
    for graph in report.graphs:
        parts += _graph(graph)
    parts += _gates(report)
    parts += _receipts(report)
    parts += _engines(report.engines)
    parts += _licences(report)
    parts += _files(report)
    parts += _method()
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _head(report: BundleReport) -> Iterator[str]:
    manifest = report.manifest
    failed = sum(not row.passed for row in report.gates)
    yield f"<h1>{safe(manifest.name)}</h1><p>{safe(manifest.what)}</p>"
    yield (
        f'<p class="mute">schema {safe(manifest.schema_version)}, made by {safe(manifest.creator)}; '
        f"loop rule {safe(manifest.loop.rule)}, default precision {safe(manifest.default_precision)}</p>"
    )
    anchors = [("overview", "Overview"), *((f"graph-{g.graph.name}", g.graph.name) for g in report.graphs)]
    anchors += [
        ("gates", "Gates"),
        ("receipts", "Receipts"),
        ("engines", "Engines"),
        ("licences", "Licences"),
    ]
    anchors += [("files", "Files"), ("method", "Method")]
    yield "<nav>" + "".join(f'<a href="#{safe(ref)}">{safe(name)}</a>' for ref, name in anchors) + "</nav>"
    mains = [graph.variants[0].cost for graph in report.graphs]
    verdict = f"{len(report.gates) - failed} of {len(report.gates)} passed" if report.gates else "none"
    cards = [
        (size_words(sum(file.bytes for file in manifest.files)), f"{len(manifest.files)} files"),
        (str(len(report.graphs)), "graphs"),
        (count_words(sum(cost.parameters for cost in mains if cost)), "parameters"),
        (
            f"{count_words(sum(cost.macs for cost in mains if cost))}MAC",
            "all graphs once, at the sizes below",
        ),
        (verdict, "gate outputs"),
    ]
    marks = ["fail" if label == "gate outputs" and failed else "" for _, label in cards]
    yield '<div class="cards">' + "".join(
        f'<div class="card"><b class="{mark}">{safe(a)}</b>{safe(b)}</div>'
        for mark, (a, b) in zip(marks, cards, strict=True)
    )
    yield "</div>"


def _overview(report: BundleReport) -> Iterator[str]:
    yield '<h2 id="overview">Overview</h2><h3>Size by graph and precision</h3>'
    bars = [
        Bar(v.bytes, v.precision, size_words(v.bytes), cut(f"{g.graph.name} {v.precision}", 28))
        for g in report.graphs
        for v in g.variants
    ]
    yield rows(bars)
    head = ("graph", "measured at", "layers", "parameters", "MACs", "MACs a pixel", "peak activations")
    body = []
    for graph in report.graphs:
        cost = graph.variants[0].cost
        size = f"{graph.width}x{graph.height}" + ("" if graph.own_size else " (runs at the photo's size)")
        if cost is None:
            body.append([safe(graph.graph.name), size, "?", "?", "?", "?", "?"])
            continue
        body.append(
            [
                safe(graph.graph.name),
                safe(size),
                str(len(cost.layers)),
                f"{cost.parameters:,}",
                count_words(cost.macs),
                f"{cost.macs / (graph.height * graph.width):,.0f}",
                size_words(cost.peak_bytes),
            ]
        )
    yield table(head, body, numbers=(2, 3, 4, 5, 6))


def _graph(graph: GraphReport) -> Iterator[str]:
    about = graph.graph
    yield f'<h2 id="graph-{safe(about.name)}">{safe(about.name)}</h2><p>{safe(about.what)}</p>'
    halo = f"tiles with a halo of {about.halo}" if about.halo is not None else "not in tiles"
    yield f'<p class="mute">measured at {graph.width}x{graph.height}; opset {about.opset}; {halo}</p>'
    head = ("precision", "file", "size", "layers by type", "MACs by type", "kept in fp32", "sha256")
    yield table(head, [_variant(v) for v in graph.variants], numbers=(2,))
    for variant in graph.variants:
        if variant.problem:
            yield f'<p class="fail">{safe(variant.file)} could not be measured: {safe(variant.problem)}</p>'
    body = [
        [safe(side), *_tensor(t)] for side, ts in (("in", about.inputs), ("out", about.outputs)) for t in ts
    ]
    yield table(("", "name", "type", "shape", "range", "meaning"), body)
    main = graph.variants[0]
    if main.cost is None:
        return
    drawn: list[object] = []
    for variant in graph.variants:
        # A second file is worth a second plot where its layers have other types.
        if variant.cost is not None and variant.cost.by_precision not in drawn:
            drawn.append(variant.cost.by_precision)
            counted = [layer for layer in variant.cost.layers if layer.macs]
            yield f"<h3>MACs by layer of {safe(variant.file)}, in order of depth</h3>"
            yield columns([_macs_bar(layer) for layer in counted[:MAX_ROWS]], "MMAC")
            yield legend(sorted({layer.precision for layer in counted}))
    all_macs = main.cost.macs
    top = [
        [
            safe(cut(layer.name, 60)),
            safe(layer.operator),
            _shape(layer),
            tag(layer.precision),
            _mmac(layer),
            f"{(layer.macs or 0) / all_macs:.1%}",
        ]
        for layer in heaviest(main.cost, 10)
    ]
    yield "<h3>The ten heaviest layers</h3>"
    yield table(("layer", "operator", "output", "precision", "MMAC", "share"), top, numbers=(4, 5))
    total = len(main.cost.layers)
    yield f"<details><summary>All {total} layers</summary>{_layer_table(graph, main)}</details>"
    if main.cost.uncounted:
        words = ", ".join(f"{safe(op)} {n}" for op, n in main.cost.uncounted.items())
        yield f'<p class="mute">Layers without counted MACs: {words}.</p>'
    if main.cost.unknown:
        words = ", ".join(safe(cut(name, 60)) for name in main.cost.unknown[:10])
        yield f'<p class="fail">{len(main.cost.unknown)} layers of unknown shape, missing in the sums: {words}</p>'


def _variant(variant: VariantReport) -> list[str]:
    layers: dict[str, int] = {}
    for layer in variant.cost.layers if variant.cost else ():
        layers[layer.precision] = layers.get(layer.precision, 0) + 1
    macs = variant.cost.by_precision if variant.cost else {}
    total = sum(macs.values()) or 1
    return [
        tag(variant.precision),
        safe(variant.file),
        size_words(variant.bytes),
        safe(", ".join(f"{kind} {n}" for kind, n in sorted(layers.items(), key=lambda item: -item[1]))),
        safe(", ".join(f"{kind} {count_words(n)} ({n / total:.1%})" for kind, n in macs.items())),
        safe(f"{len(variant.kept)} named in a receipt" if variant.kept else "-"),
        f"<code>{safe(variant.sha256)}</code>",
    ]


def _tensor(tensor: Tensor) -> list[str]:
    shape = f"({', '.join(map(str, tensor.shape))})"
    span = f"{tensor.range[0]:g} to {tensor.range[1]:g}" if tensor.range else ""
    meaning = safe(cut(tensor.meaning, 300))
    if tensor.channels:
        names = ", ".join(cut(channel, 90) for channel in tensor.channels[:16])
        more = f" and {len(tensor.channels) - 16} more" if len(tensor.channels) > 16 else ""
        meaning += f'<br><span class="mute">{safe(names + more)}</span>'
    return [
        safe(tensor.name),
        safe(tensor.dtype),
        f'<span class="one">{safe(shape)}</span>',
        safe(span),
        meaning,
    ]


def _layer_table(graph: GraphReport, main: VariantReport) -> str:
    """A row for each layer of the main file, with its precision in every other file of the graph."""
    assert main.cost is not None
    others = [(v, {x.name: x for x in v.cost.layers}) for v in graph.variants[1:] if v.cost]
    largest = max((layer.macs or 0 for layer in main.cost.layers), default=0) or 1
    head = ["#", "layer", "operator", "output", main.precision]
    head += [variant.precision for variant, _ in others]
    head += ["parameters", "MMAC", ""]
    reasons = {name: why for variant, _ in others for name, why in variant.kept.items()}
    bar_at = len(head) - 1
    head += ["why it stays in fp32"] if reasons else []
    body = []
    for number, layer in enumerate(main.cost.layers[:MAX_ROWS], 1):
        row = [
            str(number),
            safe(cut(layer.name, 60)),
            safe(layer.operator),
            _shape(layer),
            tag(layer.precision),
        ]
        for variant, named in others:
            twin = named.get(layer.name)
            row.append(tag(twin.precision) if twin else "-")
        share = (layer.macs or 0) / largest
        colour = COLOURS.get(layer.precision, OTHER)
        bar = (
            f'<span class="bar" style="width:{share * 100:.1f}%;background:{colour}"></span>' if share else ""
        )
        row += [f"{layer.parameters:,}" if layer.parameters else "", _mmac(layer), bar]
        row += [safe(cut(reasons.get(layer.name, ""), 120))] if reasons else []
        body.append(row)
    rows_of = table(head, body, numbers=(0, bar_at - 2, bar_at - 1), bar=bar_at)
    left = len(main.cost.layers) - MAX_ROWS
    return rows_of + (f"<p>and {left} more layers, not listed</p>" if left > 0 else "")


def _macs_bar(layer: Layer) -> Bar:
    title = f"{cut(layer.name, 60)} {layer.operator} {_shape(layer)}: {_mmac(layer)} MMAC, {layer.precision}"
    return Bar((layer.macs or 0) / 1e6, layer.precision, title)


def _shape(layer: Layer) -> str:
    return "x".join(map(str, layer.shape)) if layer.shape is not None else "unknown"


def _mmac(layer: Layer) -> str:
    return f"{layer.macs / 1e6:,.2f}" if layer.macs else ""


def _gates(report: BundleReport) -> Iterator[str]:
    yield '<h2 id="gates">Gates</h2>'
    if not report.gates:
        yield "<p>The bundle holds no receipt of a gate.</p>"
        return
    yield (
        '<p class="mute">Worst: the deviation that is the largest share of what is allowed at its place, '
        "and the sample it was found in.</p>"
    )
    head = ("gate", "graph", "output", "verdict", "worst", "allowed", "share", "max", "scale", "worst sample")
    yield table(head, [_gate(row) for row in report.gates], numbers=(4, 5, 6, 7, 8))
    for what in dict.fromkeys((row.gate, row.what, row.tolerance) for row in report.gates):
        yield f'<p class="mute">Gate {safe(what[0])}: {safe(what[1])}. Tolerance: {safe(what[2])}.</p>'


def _gate(row: GateRow) -> list[str]:
    share = row.worst / row.allowed if row.worst is not None and row.allowed else None
    verdict = '<span class="pass">passed</span>' if row.passed else '<span class="fail">FAILED</span>'
    figures = [f"{v:.2e}" if v is not None else "" for v in (row.worst, row.allowed)]
    sample = f"{row.sample} (of {row.samples})" if row.samples else row.sample
    return [
        safe(row.gate),
        safe(row.graph),
        safe(row.output),
        verdict,
        *figures,
        f"{share:.1%}" if share is not None else "",
        f"{row.max_abs:.2e}" if row.max_abs is not None else "",
        f"{row.scale:.3g}" if row.scale is not None else "",
        safe(sample),
    ]


def _receipts(report: BundleReport) -> Iterator[str]:
    yield '<h2 id="receipts">Receipts</h2>'
    body = [[safe(output), safe(maker)] for output, maker in report.manifest.outputs.items()]
    yield "<h3>Who makes each output</h3>" + table(("output", "made by"), body)
    for receipt in report.receipts:
        yield _receipt(receipt)


def _receipt(shown: ReceiptReport) -> str:
    receipt = shown.receipt
    title = f"{receipt.kind}{f' of {receipt.graph}' if receipt.graph else ''}: {receipt.what}"
    if shown.problem:
        return f"<h3>{safe(title)}</h3><p class='fail'>{safe(receipt.file)}: {safe(shown.problem)}</p>"
    more = f"<p>and {shown.left} more in {safe(receipt.file)}</p>" if shown.left else ""
    body = [[safe(cut(key, 120)), safe(value)] for key, value in shown.facts]
    facts = table((f"in {receipt.file}", ""), body)
    return f"<details><summary>{safe(title)}</summary>{facts}{more}</details>"


def _engines(engines: Sequence[EngineReport]) -> Iterator[str]:
    yield '<h2 id="engines">Engines</h2>'
    if not engines:
        yield (
            '<p class="mute">No engine of these graphs was found. An engine holds for one machine and is never '
            "in a bundle; <code>stillflow build</code> makes them.</p>"
        )
    for engine in engines:
        entry = engine.entry
        yield f"<h3>{safe(entry.graph)} {safe(entry.precision)}, profile {safe(entry.profile)}</h3>"
        yield (
            f"<p>{safe(entry.parts.builder)} {safe(entry.parts.builder_version)} for {safe(str(entry.parts.target))}: "
            f"{size_words(entry.bytes)}, built in {entry.seconds:.1f} s on {safe(cut(entry.created, 40))}; layers read "
            f"from the {safe(cut(entry.inspected, 40))}; gate C: {safe(engine.gate or 'nothing known')}</p>"
        )
        if engine.problem:
            yield f'<p class="fail">{safe(engine.problem)}</p>'
            continue
        words = ", ".join(f"{kind} {n}" for kind, n in list(engine.counts.items())[:60])
        yield f'<p class="mute">{safe(words)}</p>'
        body = [
            [str(i), safe(cut(x.name, 100)), safe(x.kind), safe(x.dtype), safe("x".join(map(str, x.shape)))]
            for i, x in enumerate(engine.layers[:MAX_ROWS], 1)
        ]
        layers = table(("#", "layer", "type", "computes in", "output"), body, numbers=(0,))
        left = len(engine.layers) - MAX_ROWS
        more = f"<p>and {left} more layers, not listed</p>" if left > 0 else ""
        yield f"<details><summary>{len(engine.layers)} layers</summary>{layers}{more}</details>"


def _licences(report: BundleReport) -> Iterator[str]:
    manifest = report.manifest
    yield '<h2 id="licences">Licences and sources</h2>'
    body = [[safe(x.spdx), safe(x.covers), safe(x.holder), safe(x.file or "")] for x in manifest.licences]
    yield table(("licence", "covers", "holder", "text"), body)
    body = [
        [safe(w.graph), safe(w.source), safe(w.licence), f"<code>{safe(w.sha256 or '')}</code>"]
        for w in manifest.weights
    ]
    yield table(("weights of", "source", "licence", "sha256 of the weights"), body)


def _files(report: BundleReport) -> Iterator[str]:
    yield '<h2 id="files">Files</h2>'
    body = [[safe(f.path), f"{f.bytes:,}", f"<code>{safe(f.sha256)}</code>"] for f in report.manifest.files]
    yield table(("file", "bytes", "sha256"), body, numbers=(1,))


def _method() -> Iterator[str]:
    yield '<h2 id="method">How these figures are made</h2>'
    yield (
        f"<p>MACs are multiply-accumulates of {', '.join(COUNTED)}, exact for the shapes that ONNX shape inference "
        "gives at the size stated: products with padding count, biases and all other layers do not. Graphs with a "
        "longest side are measured on a 16:9 photo at that side, others at 1280x720, each side rounded to what it "
        "must divide by. A layer's precision is the type in the file. Parameters are the weights in the file, with "
        "what the export folded into them. Peak activations: the largest sum of values alive at once in the file's "
        "order, without fusion, reuse in place, or the weights. No figure here is a time.</p>"
    )
    yield f'<p class="mute">stillflow-export {safe(stillflow.__version__)}</p>'
