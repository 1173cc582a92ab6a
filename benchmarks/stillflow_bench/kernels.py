# SPDX-License-Identifier: Apache-2.0
"""One whole frame of the C kernels against a plain copy of that frame, on one core.

A ratio, so that it can be compared between machines: both are taken in turn within every repeat, at times spread
over the loop, into buffers that are there already. The copy comes after a frame, as copies in a player do; the hot
copy, of bytes that the one before left in the cache, stands beside it. Sizes from 360p to 4K at the same moving
share, shares from none to all at 720p, and every instruction set this processor has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from stillflow.kernels.arrays import SceneArrays
from stillflow.kernels.native import Isa, NativeScene, best_isa
from stillflow.photo import Photo
from stillflow_bench.photos import SIZES, falling_column, of_size, sample_photos
from stillflow_bench.report import Row

LIMIT = 40.0
"""A frame at 720p with 30 % moving, in copies of that frame."""

SHARE = 0.3
"""Part of the picture that moves, where nothing else is said."""

SHARES = (0.0, 0.1, 0.6, 1.0)
"""The other shares, at 720p."""

HOT_COPIES = 8
"""Copies in a row that are timed together as the hot copy."""


def measure(*, repeats: int = 15, sizes: tuple[str, ...] = tuple(SIZES)) -> list[Row]:
    """Run the suite on the sample waterfall, or on a drawn scene where there is no source tree.

    Args:
        repeats: samples of each figure, >= 1.
        sizes: names from ``photos.SIZES``.

    Returns:
        Rows of the suite "kernels".
    """
    source = next(iter(sample_photos()), None)
    about: dict[str, object] = {"photo": source.name if source else "drawn scene", "threads": 1}
    rows: list[Row] = []
    for size in sizes:
        photo = of_size(source, *SIZES[size])
        note = {**about, "size": size, "isa": best_isa().name}
        rows += measure_scene(
            moving(photo, SHARE), f"{size}, {SHARE:.0%} moving", note, repeats, size == "720p"
        )
        if size != "720p":
            continue
        for share in SHARES:
            rows += measure_scene(moving(photo, share), f"{size}, {share:.0%} moving", note, repeats)
        for isa in Isa:
            if Isa.BEST < isa < best_isa():
                other = {**note, "isa": isa.name}
                name = f"{size}, {SHARE:.0%} moving, {isa.name.lower()}"
                rows += measure_scene(moving(photo, SHARE), name, other, repeats, isa=isa)
    return rows


def measure_scene(
    arrays: SceneArrays,
    name: str,
    note: dict[str, object],
    repeats: int,
    judged: bool = False,
    isa: Isa = Isa.BEST,
) -> list[Row]:
    """Time fields, compose and the copy of one scene.

    Args:
        arrays: of the scene.
        name: of the scene, in the rows.
        note: parameters of the rows.
        repeats: samples of each figure.
        judged: whether the ratio has to keep ``LIMIT``.
        isa: instruction set.
    """
    scene = NativeScene(arrays, isa)
    planes = scene.empty_planes()
    out = np.empty_like(arrays.photo)
    scene.compose(scene.fields(0.5, planes), 0, arrays.height, out)  # touches every page once
    spent: dict[str, list[float]] = {"copy": [], "hot copy": [], "fields": [], "compose": []}
    for index in range(repeats):
        t = arrays.frames * (index + 0.5) / repeats
        spent["copy"].append(_timed(partial(np.copyto, out, arrays.photo)))
        spent["fields"].append(_timed(partial(scene.fields, t, planes)))
        spent["compose"].append(_timed(partial(scene.compose, planes, 0, arrays.height, out)))
        spent["hot copy"].append(_timed(partial(_copies, arrays, out)) / HOT_COPIES)
        scene.frame(t, out)  # so that the next copy finds the cache as a frame leaves it
    note = {**note, "moving_share": round(float((arrays.matte > 0).mean()), 4)}
    frames = [a + b for a, b in zip(spent["fields"], spent["compose"], strict=True)]
    rows = []
    for copy in ("copy", "hot copy"):
        ratios = tuple(a / b for a, b in zip(frames, spent[copy], strict=True))
        rows.append(Row("kernels", f"frame / {copy}, {name}", "x", ratios, note, LIMIT if judged else None))
    return rows + [
        Row("kernels", f"{part}, {name}", "ms", tuple(1000 * s for s in samples), note)
        for part, samples in spent.items()
    ]


def moving(photo: Photo, share: float) -> SceneArrays:
    """Arrays of a scene in which a given share of the picture falls."""
    return falling_column(photo, share, seconds=4.0, fps=30.0).arrays


def _copies(arrays: SceneArrays, out: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    for _ in range(HOT_COPIES):
        np.copyto(out, arrays.photo)


def _timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
