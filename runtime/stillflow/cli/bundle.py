# SPDX-License-Identifier: Apache-2.0
"""``stillflow bundle show``, ``stillflow bundle verify`` and ``stillflow bundle run``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stillflow.cli.building import build_first
from stillflow.cli.options import overwrite_option, session_options, tell

if TYPE_CHECKING:
    from stillflow.bundle import Bundle, Check
    from stillflow.bundle.manifest import Graph, Tensor
    from stillflow.bundle.run import GraphRun


@click.group()
def bundle() -> None:
    """Look into a bundle of networks, verify it, or run one of its graphs."""


@bundle.command(short_help="Print what a bundle holds, who made it, and its licences.")
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one object on stdout.")
def show(path: str | None, as_json: bool) -> None:
    """Print what the bundle at PATH (the default one) holds, who made it and under which licences."""
    from stillflow.bundle import Bundle

    opened = Bundle.open(path)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(opened.manifest)))
        return
    for line in _lines(opened):
        click.echo(line)


@bundle.command(short_help="Check every hash of a bundle, and run its test vectors.")
@click.argument("path", required=False)
@session_options
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one object on stdout.")
@click.pass_context
def verify(
    context: click.Context,
    path: str | None,
    device: str,
    engine: str,
    precision: str | None,
    allow_fallback: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Check every hash of the bundle at PATH (the default one), and run its test vectors.

    With --precision all, every precision that a graph has a file of. Exit code 2 when a check fails.
    """
    from stillflow.bundle import Bundle
    from stillflow.bundle.verify import ALL
    from stillflow.sessions.choice import choose

    opened = Bundle.open(path)
    names = [graph.name for graph in opened.manifest.graphs]
    every = precision == ALL
    # The cache may well have engines of one precision alone, and here all are asked for.
    wanted = "onnxruntime" if every and engine == "auto" else engine
    way = choose(opened, device, wanted, None if every else precision, allow_fallback, graphs=names)
    tell(way.warnings)
    build_first(opened, way)
    checks: list[Check] = []
    for check in opened.checks(
        way.engine,
        precision=ALL if every else way.precisions,
        threads=threads,
        device=way.device,
        allow_fallback=allow_fallback,
    ):
        checks.append(check)
        if not as_json:
            click.echo(f"{'ok' if check.ok else 'FAIL':>4}  {check.name}  {check.detail}")
    failed = sum(not check.ok for check in checks)
    ran = list(dict.fromkeys(check.ran for check in checks if check.ran is not None))
    if as_json:
        import msgspec

        found = {"ok": not failed, "checks": checks, "ran": ran, "failed": failed, "choice": way.as_json()}
        click.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        for one in ran:
            mine = [check for check in checks if check.ran == one]
            click.echo(
                f"ran   {one.graph} {one.precision} on {one.engine}, {one.provider}: {len(mine)} checks, "
                f"{sum(not check.ok for check in mine)} failed"
            )
        click.echo(f"{len(checks)} checks, {f'{failed} FAILED' if failed else 'all passed'}")
    context.exit(2 if failed else 0)


@bundle.command(short_help="Run one graph of a bundle on arrays.")
@click.argument("path", metavar="BUNDLE")
@click.argument("graph")
@click.option("--inputs", type=click.Path(path_type=Path), required=True, metavar="FILE.npz",
              help="An array for each input, named as in `stillflow bundle show`; or a test vector.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FILE.npz",
              help="Where the outputs go: an uncompressed .npz, an array for each.")  # fmt: skip
@session_options
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
def run(
    path: str,
    graph: str,
    inputs: Path,
    out: Path,
    device: str,
    engine: str,
    precision: str | None,
    allow_fallback: bool,
    threads: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run GRAPH of BUNDLE once on arrays from a file, and write what comes out.

    Floats of another width are cast, and said so. Everything else has to fit the manifest: names, dtypes,
    shapes, and sides that the graph's multiple divides.
    """
    from stillflow.bundle import Bundle
    from stillflow.bundle.npz import write_npz
    from stillflow.bundle.run import check_result_file, named_graph, read_inputs, run_graph
    from stillflow.sessions.choice import choose

    check_result_file(out, inputs, overwrite=overwrite)
    opened = Bundle.open(path)
    named_graph(opened.manifest, graph, opened.where)
    arrays, notes = read_inputs(inputs)
    way = choose(opened, device, engine, precision, allow_fallback, graphs=[graph])
    tell(way.warnings)
    build_first(opened, way)
    done = run_graph(
        opened,
        graph,
        arrays,
        engine=way.engine,
        precision=way.precisions[graph],
        threads=threads,
        device=way.device,
        allow_fallback=allow_fallback,
    )
    write_npz(out, done.outputs)
    summary = _run_summary(graph, out, done, (*notes, *done.notes)) | {
        "device": way.place,
        "why": list(way.why),
    }
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(f"{graph} {done.precision} on {done.engine}, {done.provider}: {done.seconds * 1000:.1f} ms")
    for name, row in summary["outputs"].items():
        kind = f"{row['dtype']} ({', '.join(map(str, row['shape']))})"
        span = (
            "no finite value"
            if row["min"] is None
            else f"{row['min']:.6g} to {row['max']:.6g}, mean {row['mean']:.6g}"
        )
        click.echo(f"  out  {name} {kind}  {span}")
    for note in summary["notes"]:
        click.echo(f"  note {note}")
    click.echo(f"written to {out}")


def _run_summary(graph: str, out: Path, done: GraphRun, notes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "graph": graph,
        "precision": done.precision,
        "engine": done.engine,
        "provider": done.provider,
        "seconds": round(done.seconds, 6),
        "outputs": done.figures(),
        "notes": list(notes),
        "file": str(out),
    }


def _lines(opened: Bundle) -> Iterator[str]:
    manifest = opened.manifest
    sizes = {file.path: file.bytes for file in manifest.files}
    yield f"{manifest.name}: {manifest.what}"
    yield f"  where      {opened.where}"
    yield f"  schema     {manifest.schema_version}"
    yield f"  made by    {manifest.creator}"
    yield f"  holds      {len(manifest.files)} files, {sum(sizes.values()) / 1e6:.2f} MB"
    yield f"  precision  {manifest.default_precision}"
    yield f"  loop       {manifest.loop.rule}"
    for licence in manifest.licences:
        holder = f", {licence.holder}" if licence.holder else ""
        yield f"  licence    {licence.spdx} for {licence.covers}{holder}"
    for graph in manifest.graphs:
        yield f"  graph      {graph.name}: {graph.what}"
        for variant in graph.all_variants:
            yield (
                f"             {variant.file}, {variant.precision}, opset {graph.opset}, "
                f"{sizes.get(variant.file, 0) / 1e6:.2f} MB"
            )
        yield f"             {_working(manifest.long_side(graph), manifest.multiple(graph), graph)}"
        for side, tensors in (("in ", graph.inputs), ("out", graph.outputs)):
            for tensor in tensors:
                yield f"               {side} {_tensor(tensor)}".rstrip()
    for weights in manifest.weights:
        yield f"  weights    {weights.graph}: {weights.source} ({weights.licence})"
    for output, maker in manifest.outputs.items():
        yield f"  runs       {output}: {maker}"
    for vector in manifest.vectors:
        yield f"  vector     {vector.file}  {vector.graph}, tolerances for {', '.join(vector.tolerance) or 'none'}"
    for receipt in manifest.receipts:
        yield f"  receipt    {receipt.file}  {receipt.what}".rstrip()


def _working(long_side: int | None, multiple: int, graph: Graph) -> str:
    """What a graph wants of the sizes of its images."""
    size = f"longest side {long_side}" if long_side else "at the photo's own size"
    tiles = f"tiles with a halo of {graph.halo}" if graph.halo is not None else "not in tiles"
    return f"{size}, height and width divide by {multiple}, {tiles}"


def _tensor(tensor: Tensor) -> str:
    span = f" {tensor.range[0]:g}..{tensor.range[1]:g}" if tensor.range else ""
    return f"{tensor.name} {tensor.dtype} ({', '.join(map(str, tensor.shape))}){span}  {tensor.meaning}"
