# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench compare``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--pairs", type=click.IntRange(5), default=7, show_default=True, help="Of fresh processes.")
@click.option("--queries", type=click.IntRange(7), default=20, show_default=True, help="In each process.")
@click.option(
    "--target",
    "work",
    type=click.Choice(["networks", "frame", "next", "job"]),
    default="networks",
    show_default=True,
    help="What is done: both networks, a first frame, one more frame, a whole job.",
)
@click.option("--photos", default="", help="A folder of photos; those of the package by default.")
@click.option("--seed", type=int, default=0, help="Of the order.")
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Keep samples and result there."
)
@click.option("--overwrite", is_flag=True, help="A run that is there already goes.")
def compare(
    a: str,
    b: str,
    pairs: int,
    queries: int,
    work: str,
    photos: str,
    seed: int,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Say which of A and B is faster, and how sure that is.

    A and B are subjects: "engine=openvino", "threads=1". Beside a subject's words there are target=raw-onnxruntime, and
    python=PATH for another installation's interpreter. Each pair is two fresh processes, in an order drawn anew.
    """
    import tempfile
    from typing import cast

    from stillflow_bench.latency.compare import Compared, parse_side
    from stillflow_bench.latency.compare import compare as compare_sides

    one, other = (parse_side(text, cast("Compared", work), photos) for text in (a, b))
    with tempfile.TemporaryDirectory(prefix="stillflow-bench-") as temporary:
        found = compare_sides(
            one,
            other,
            out or Path(temporary),
            pairs=pairs,
            queries=queries,
            seed=seed,
            announce=lambda line: click.echo(line, err=True),
            overwrite=overwrite,
        )
    click.echo(found.sentence)
    if found.disturbed:
        click.echo(found.disturbed, err=True)
