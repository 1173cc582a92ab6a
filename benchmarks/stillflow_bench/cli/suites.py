# SPDX-License-Identifier: Apache-2.0
"""The commands of suites that write rows: kernels, encode, startup, gpu, soak, sheet, and everything at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from stillflow_bench.cli.quality import parts_rows, quality_rows
from stillflow_bench.cli.reporting import OUT, Keep, run, say, some
from stillflow_bench.report import Row, as_json
from stillflow_bench.tables import markdown

RESULTS = Path("benchmarks/results")
"""Where ``all`` writes, from the root of the source tree."""


@click.command()
@OUT
def kernels(out: Path | None) -> None:
    """Time one frame against a plain copy of it, from 360p to 4K; and the splat of feature scenes."""
    run(lambda _: kernels_rows(), out)


@click.command()
@OUT
def encode(out: Path | None) -> None:
    """Time the whole job against encoding the same frames ready-made."""
    run(lambda _: encode_rows(), out)


@click.command()
@OUT
@click.option("--photo", type=click.Path(path_type=Path), help="A picture; the sample waterfall by default.")
@click.option(
    "--repeats", type=click.IntRange(1), default=7, show_default=True, help="Processes for each figure."
)
def startup(out: Path | None, photo: Path | None, repeats: int) -> None:
    """Time process start to first frame at 720p, and peak memory at 720p and 4K."""
    run(lambda _: startup_rows(photo, repeats), out)


@click.command()
@OUT
@click.argument("parts", nargs=-1, metavar="[PART]...")
@click.option("--device", type=click.IntRange(0), default=0, show_default=True, help="Index of the GPU.")
@click.option(
    "--repeats", type=click.IntRange(1), default=30, show_default=True, help="Samples of each figure."
)
@click.option("--tiny", is_flag=True, help="Sizes at which figures mean nothing: to see that it runs.")
def gpu(out: Path | None, parts: tuple[str, ...], device: int, repeats: int, tiny: bool) -> None:
    """Measure frames, networks and latency on a GPU: all PARTs, or some.

    They are copy, frames, overhead, steady, networks, latency, agreement and imported. `make gpu-check` measures them
    too, each in a process of its own.
    """
    from stillflow_bench.gpu import suite
    from stillflow_bench.gpu.plan import Plan, tiny_plan
    from stillflow_bench.gpu.steps import PARTS

    plan = Plan(device, repeats=repeats)
    plan = tiny_plan(plan) if tiny else plan
    about = suite.gpu_provenance(device)
    rows = [row for part in parts or PARTS for row in suite.measure(part, plan)]
    click.echo(markdown(as_json(rows, about)))
    if out is not None:
        for path in suite.keep(out, rows, plan, about):
            say(f"wrote {path}")


@click.command()
@OUT
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[PHOTOS]...")
@click.option("--photos", "count", type=click.IntRange(12), default=1000, show_default=True, help="In all.")
@click.option(
    "--size", type=click.IntRange(32), default=192, show_default=True, help="Longest side of the loops."
)
@click.option("--device", default="auto", show_default=True, help="As for stillflow animate.")
@click.option("--allow-fallback", is_flag=True, help="Likewise.")
@click.option("--json", "machine_readable", is_flag=True, help="Print one line of JSON, not the table.")
def soak(
    out: Path | None,
    files: tuple[Path, ...],
    count: int,
    size: int,
    device: str,
    allow_fallback: bool,
    machine_readable: bool,
) -> None:
    """Put many photos through one animator, and see whether memory grows: then the exit code is 1.

    The PHOTOS are taken in turn, each time another part of one, with another size, seed and guidance. With --out
    the curves are drawn into soak.png.
    """
    from stillflow.animator import Animator
    from stillflow_bench import soak as suite
    from stillflow_bench.photos import data_photos, sample_photos

    chosen = some(files or (*sample_photos(), *data_photos(Path("../shared/data/photos"))), "soak")
    plot = None if out is None else out / "soak.png"
    seen: list[suite.Soaked] = []

    def measure(_: Keep) -> list[Row]:
        with Animator(device=device, allow_fallback=allow_fallback) as animator:
            found, rows = suite.measure(chosen, animator, count=count, size=size, plot=plot, announce=say)
        seen.append(found)
        return rows

    run(measure, out, quiet=machine_readable)
    if machine_readable:
        told = {one.name: [one.growth.verdict, one.slope] for one in seen[0].series}
        click.echo(json.dumps({"says": seen[0].says, "grows": seen[0].grows, **told}))
    if seen[0].grows:
        sys.exit(1)


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .png or .jpg."
)
@click.option(
    "--size", type=click.IntRange(16), default=960, show_default=True, help="Longest side of the loop."
)
@click.option("--close-ups/--no-close-ups", default=True, help="Rows at full size, the plain warp's too.")
def sheet(photo: Path, out: Path, size: int, close_ups: bool) -> None:
    """Draw the motion of PHOTO and frames of its loop side by side."""
    from stillflow.animator import Animator
    from stillflow_bench.sheet import write

    loop = Animator(device="cpu").animate(photo, size=size)
    say(f"wrote {write(out, loop, photo.stem, close_ups=close_ups)}")


@click.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Folder for <machine>-<date>.json, .md and the contact sheets.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("../shared/data"),
    show_default=True,
    help="Folder with photos/: some of them join the sample photos when it is there.",
)
def everything(out: Path, data: Path) -> None:
    """Run every suite and write the report."""
    from stillflow_bench.photos import data_photos, sample_photos

    photos = (*sample_photos(), *data_photos(data / "photos"))

    def every_suite(keep: Keep) -> list[Row]:
        rows = [*kernels_rows(), *encode_rows(), *startup_rows(None, 7)]
        rows += quality_rows(photos, 960, 4.0, 30.0, out / "sheets", None)
        labelled = data if data.is_dir() else None
        return rows + parts_rows(
            labelled, "val", None, None, 24, 640, 4.0, 10.0, out / "sheets" / "labelled", None, keep
        )

    run(every_suite, out)


def kernels_rows() -> list[Row]:
    """Run the suite "kernels"."""
    from stillflow_bench import kernels as suite
    from stillflow_bench import splat

    say("kernels")
    return [*suite.measure(), *splat.measure()]


def encode_rows() -> list[Row]:
    """Run the suite "encode"."""
    from stillflow_bench import encode as suite

    say("encode")
    return suite.measure()


def startup_rows(photo: Path | None, repeats: int) -> list[Row]:
    """Run the suite "startup"."""
    from stillflow_bench import startup as suite

    say("startup")
    return suite.measure(photo, repeats=repeats)
