# SPDX-License-Identifier: Apache-2.0
"""How fast and which way on procedural scenes, where the truth is exact: the network beside the closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stillflow.animator import Animator
from stillflow.flow import predict_motion
from stillflow.guidance import Hints
from stillflow.kernels.arrays import FloatArray
from stillflow.photo import Photo
from stillflow_bench.report import Row

GAIN = 0.2
"""By how much the network's error must be smaller than the closed form's."""

SCENES = 24
"""Scenes drawn for each number of arrows, the same ones every time."""


def measure(
    animator: Animator,
    pictures: Sequence[npt.NDArray[np.uint8]],
    *,
    scenes: int = SCENES,
    report: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Measure the flow network's velocity with a mask and 1, 3 and 5 arrows given.

    The network is measured also where the manifest plays the closed form instead; ``played`` says which it is.

    Args:
        animator: whose flow network is asked.
        pictures: (H, W, 3) uint8 that scenes are textured with; noise where there are none.
        scenes: drawn for each number of arrows.
        report: is told what is measured.

    Returns:
        Rows of the part "velocity".

    Raises:
        ImportError: torch, which draws the scenes, is not installed.
    """
    from stillflow_training.scene_errors import ARROW_COUNTS, scene_errors

    manifest = animator.bundle.manifest
    outputs = {**manifest.outputs, "velocity_guided": "network"}
    run = animator.session("flow").run

    def guess(picture: npt.NDArray[np.uint8], hints: Hints) -> FloatArray:
        photo = Photo.from_array(picture)
        return predict_motion(photo, hints, run, outputs, manifest.sizes.flow_long_side).velocity

    played = manifest.outputs.get("velocity_guided", "rbf")
    note = "" if played == "network" else f"; the manifest plays {played}"
    rows = []
    for count in ARROW_COUNTS:
        name = f"velocity error, {count} arrow{'s' if count > 1 else ''}"
        report(name)
        found, rbf = scene_errors(guess, list(pictures), count, scenes)
        closed = float(np.mean(rbf))
        rows.append(
            Row(
                *("quality", name, "", tuple(found), {"played": played}, (1 - GAIN) * closed),
                part="velocity",
                summary="mean",
                baselines={"rbf": closed},
                aim=f"{100 * GAIN:.0f} % below rbf{note}",
            )
        )
    return rows
