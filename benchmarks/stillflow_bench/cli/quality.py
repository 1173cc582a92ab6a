# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench quality``: what can be said of loops in figures, of photos, of clips, and of labelled photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from stillflow_bench.cli.reporting import OUT, Keep, run, say, some
from stillflow_bench.report import Row

PART_NAMES = ("labels", "direction", "verdict", "velocity", "generator", "time", "loops")
"""Those of ``parts.PARTS``, named here so that --help loads no heavy library."""


@click.command()
@OUT
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Labelled photos: photos/, labels/, LICENCES.csv."
)
@click.option(
    "--split",
    type=click.Choice(["val", "train", "all"]),
    default="val",
    show_default=True,
    help="Which of them.",
)
@click.option("--sample", type=click.IntRange(1), help="At most so many of them, evenly spread.")
@click.option(
    "--only", help=f"Parts to measure, with commas between them: {', '.join(PART_NAMES)}. All when left out."
)
@click.option(
    "--scenes", type=click.IntRange(1), default=24, show_default=True, help="Procedural scenes a figure."
)
@click.option(
    "--size", type=click.IntRange(16), default=960, show_default=True, help="Longest side of the loops."
)
@click.option("--seconds", default=4.0, show_default=True, help="Length of a loop.")
@click.option("--fps", default=30.0, show_default=True, help="Frames a second.")
@click.option(
    "--truth-velocity",
    type=click.Path(path_type=Path),
    help="How the one FILE truly moves: a .npy or .flo, pixels a frame.",
)
@click.option(
    "--truth-mask",
    type=click.Path(path_type=Path),
    help="What truly moves in it: a picture, white where it does.",
)
@click.option("--sheets", type=click.Path(file_okay=False, path_type=Path), help="Folder for contact sheets.")
@click.option("--bundle", help="Another bundle than the default one.")
def quality(
    out: Path | None,
    files: tuple[Path, ...],
    data: Path | None,
    split: str,
    sample: int | None,
    only: str | None,
    scenes: int,
    size: int,
    seconds: float,
    fps: float,
    truth_velocity: Path | None,
    truth_mask: Path | None,
    sheets: Path | None,
    bundle: str | None,
) -> None:
    """Measure loops of FILEs, or with --data all that can be said of the pipeline on labelled photos.

    A FILE is a photo, or a short video of a fixed camera (.mp4, .mov, .mkv, .webm, .avi): its first frame is the photo
    then, its frames are the truth, and the loop has its frame rate.

    Loops: seam, stillness, detail, flash, flicker and uncovered area, beside the photo repeated and a plain warp; where
    the truth is known, PSNR, SSIM, velocity, direction and matte. With --data or --only: each figure beside its
    baseline and its aim, and with --sheets a sheet a photo and overview.png.
    """

    def measure(keep: Keep) -> list[Row]:
        rows = []
        if files or (data is None and only is None):
            rows += quality_rows(files, size, seconds, fps, sheets, bundle, truth_velocity, truth_mask)
        if data is not None or only is not None:
            rows += parts_rows(data, split, sample, only, scenes, size, seconds, fps, sheets, bundle, keep)
        return rows

    run(measure, out)


def quality_rows(
    files: tuple[Path, ...],
    size: int,
    seconds: float,
    fps: float,
    sheets: Path | None,
    bundle: str | None,
    velocity: Path | None = None,
    mask: Path | None = None,
) -> list[Row]:
    """Run the suite "quality" on photos and clips."""
    from stillflow_bench import loops as suite
    from stillflow_bench.photos import sample_photos

    chosen = some(files or sample_photos(), "quality")
    announce: Callable[[str], None] = lambda name: say(f"quality: {name}")  # noqa: E731
    return suite.measure(
        chosen,
        size=size,
        seconds=seconds,
        fps=fps,
        sheets=sheets,
        bundle=bundle,
        velocity=velocity,
        mask=mask,
        report=announce,
    )


def parts_rows(
    data: Path | None,
    split: str,
    sample: int | None,
    only: str | None,
    scenes: int,
    size: int,
    seconds: float,
    fps: float,
    sheets: Path | None,
    bundle: str | None,
    keep: Keep,
) -> list[Row]:
    """Run the parts of the suite "quality" that stand beside baselines."""
    from stillflow.animator import Animator
    from stillflow_bench import parts

    plan = parts.Plan(
        data=data,
        split=split,  # type: ignore[arg-type]
        sample=sample,
        only=PART_NAMES if only is None else parts.named(only),
        sheets=sheets,
        size=size,
        seconds=seconds,
        fps=fps,
        scenes=scenes,
    )
    return parts.measure(plan, Animator(bundle, device="cpu"), say, keep)
