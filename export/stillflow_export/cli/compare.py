# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export compare``: the first layer at which two precisions or engines part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stillflow.cli.options import Amount
from stillflow_export.cli.inputs import FILE, photos_in

if TYPE_CHECKING:
    from stillflow_export.compare import Comparison, Side
    from stillflow_export.samples import Sample


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--graph", help="Which graph of a bundle; may be left out when it has one.")
@click.option("--inputs", type=FILE, help="An .npz with an array for each input.")
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of photos to make inputs of.")
@click.option("--count", type=click.IntRange(1, 100), default=3, show_default=True, help="Most inputs used.")
@click.option("--threshold", type=Amount(0, min_open=True),
              help="Relative error that is too much.  [default: by the coarsest number format]")  # fmt: skip
@click.option("--bisect", is_flag=True, help="Search with a few tensors at a time: for large graphs.")
@click.option("--threads", type=click.IntRange(1, 1024), help="[default: all cores]")
@click.option("-o", "--out", "outs", type=FILE, multiple=True, metavar="FILE",
              help="Write all figures (.json) or a plot of error over depth (.svg). May be given twice.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one object on stdout.")
def compare(
    a: str,
    b: str,
    graph: str | None,
    inputs: Path | None,
    photos: Path | None,
    count: int,
    threshold: float | None,
    bisect: bool,
    threads: int | None,
    outs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Find the first layer at which A and B part.

    A and B are PLACE[:PRECISION][@ENGINE], with an .onnx file or a bundle for PLACE. What B leaves out
    is as in A: `compare edge :fp16 --graph flow` compares two precisions, `compare edge @openvino
    --graph flow` two engines. Inputs are the bundle's test vectors unless --inputs or --photos is given.

    Marking inner tensors as outputs may change what an engine fuses; how far is said at the end.
    """
    from stillflow_export.compare import compare as find
    from stillflow_export.compare import open_sides
    from stillflow_export.compare.side import check_pair
    from stillflow_export.plot import Curve, depth_plot
    from stillflow_export.whole_file import check_text_file, write_text

    for out in outs:
        check_text_file(out, (".json", ".svg"))
    first, second = open_sides(a, b, graph)
    check_pair(first, second)
    samples = _samples(first, inputs, photos)[:count]
    found = find(first, second, samples, threshold=threshold, bisect=bisect, threads=threads)
    text = json.dumps(found.as_json(), indent=1, allow_nan=False)
    for out in outs:
        if out.suffix == ".json":
            write_text(out, text + "\n")
        else:
            marked = found.exceeds or found.jumps
            place = found.layers.index(marked) if marked else None
            names = [layer.tensor for layer in found.layers]
            relative = Curve([x.relative for x in found.layers], "relative error", "#3b7dd8")
            limit = Curve([found.threshold] * len(names), "threshold", "#d33")
            write_text(out, depth_plot([relative, limit], names, place) + "\n")
    if as_json:
        click.echo(text)
        return
    for line in _lines(found):
        click.echo(line)
    for out in outs:
        click.echo(f"written to {out}")


def _samples(side: Side, inputs: Path | None, photos: Path | None) -> list[Sample]:
    from stillflow.errors import StillflowError
    from stillflow_export.compare.side import given_samples, photo_samples, vector_samples

    if inputs is not None and photos is not None:
        why, fix = "both --inputs and --photos are given", "leave one out"
        raise StillflowError(f"cannot compare {side.label}", why, fix)
    if inputs is not None:
        return given_samples(side, inputs)
    if photos is None:
        return vector_samples(side)
    found = list(photo_samples(side, photos_in(photos)))
    # Photos in one format at a time: shapes inside the graphs are inferred once.
    shapes = [{name: x.shape for name, x in sample.inputs.items()} for sample in found]
    return [sample for sample, shape in zip(found, shapes, strict=True) if shape == shapes[0]]


def _lines(found: Comparison) -> Iterator[str]:
    yield f"A  {found.a}"
    yield f"B  {found.b}"
    yield (
        f"{found.matched} tensors are in both (A has {found.of_a}, B {found.of_b}); {len(found.layers)} compared "
        f"in {found.runs} runs on {len(found.samples)} inputs"
    )
    yield ""
    for words, layer in (("jumps", found.jumps), (f"exceeds {found.threshold:g}", found.exceeds)):
        if layer is None:
            yield f"no layer {words}"
            continue
        before = layer.before or 0.0
        yield (
            f"first layer that {words}: {layer.node} ({layer.operator}, {layer.format}), tensor {layer.tensor}: "
            f"{layer.relative:.3g}, {before:.3g} before it, {found.alone[layer.tensor]:.3g} marked alone"
        )
    yield ""
    yield "outputs, nothing marked"
    for name, error in found.outputs.items():
        yield f"  {name:<20} relative {error.relative:.3g}  max {error.max_abs:.3g}  cosine {error.cosine:.7f}"
    for label, change in found.marking.items():
        yield f"marking changes the outputs of {label} by {change:.3g}"
    yield ""
    rows = found.worst()
    wide = max([6, *(len(x.node) for x in rows)])
    yield f"{'depth':>5}  {'layer':<{wide}}  {'operator':<18} {'type':<5} relative   before     max abs    cosine"
    for x in rows:
        before_words = "?" if x.before is None else f"{x.before:.2e}"
        yield (
            f"{x.depth:>5}  {x.node:<{wide}}  {x.operator:<18} {x.format:<5} {x.relative:.2e}   "
            f"{before_words:<8}   {x.error.max_abs:.2e}   {x.error.cosine:.7f}"
        )
