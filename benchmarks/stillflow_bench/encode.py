# SPDX-License-Identifier: Apache-2.0
"""The whole job (render, convert, encode, write) against encoding the same frames when they are ready-made.

Every repeat takes each measurement once, one after the other, so that a machine that slows down slows all of
them; ratios are formed within a repeat. All encode with the same codec settings. Processor time stands beside
wall time: on a machine that does other work as well, the ratio of wall times drifts towards that of processor
times, since no idle core is left for the rendering.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from stillflow.kernels.arrays import ByteArray
from stillflow.kernels.native import NativeScene
from stillflow.photo import Photo
from stillflow.player import Player, usable_cores
from stillflow.scene import Scene
from stillflow.video import open_sink, record
from stillflow.video.encoders import X264_OPTIONS
from stillflow_bench.photos import SIZES, falling_column, of_size, sample_photos
from stillflow_bench.report import Row

LIMIT = 1.3
"""Whole job over PyAV alone, 720p, 4 s at 30 fps."""

SHARE = 0.3
"""Part of the picture that moves."""

SECONDS, FPS = 4.0, 30.0


def measure(*, repeats: int = 5, size: str = "720p", seconds: float = SECONDS) -> list[Row]:
    """Run the suite on the sample waterfall, or on a drawn scene where there is no source tree.

    Args:
        repeats: samples of each figure, >= 1.
        size: a name from ``SIZES``.
        seconds: length of the loop.

    Returns:
        Rows of the suite "encode".
    """
    source = next(iter(sample_photos()), None)
    scene = falling(of_size(source, *SIZES[size]), seconds=seconds)
    note = {
        "photo": source.name if source else "drawn scene",
        "size": size,
        "frames": scene.frames,
        "moving": round(float((scene.matte > 0).mean()), 3),
        "x264": X264_OPTIONS["preset"] + " crf " + X264_OPTIONS["crf"],
        "cores": usable_cores(),
    }
    rows = []
    for entry in run_encode_bench(scene, repeats=repeats):
        limit = LIMIT if entry["name"] == "whole job / PyAV alone" and size == "720p" else None
        rows.append(Row("encode", entry["name"], entry["unit"], entry["samples"], note, limit))
    return rows


def run_encode_bench(scene: Scene, *, repeats: int = 5) -> list[dict[str, Any]]:
    """Time one scene in every way this suite knows.

    Args:
        scene: what is rendered; all its frames are held in memory as well.
        repeats: samples of each figure, >= 1.

    Returns:
        For each figure {"name", "unit", "samples"}; times are seconds for all frames.
    """
    ready = [frame for _, frame in Player(scene).frames()]
    with tempfile.TemporaryDirectory(prefix="stillflow-bench-") as name:
        target = Path(name) / "loop.mp4"
        ways: dict[str, Callable[[], None]] = {
            "PyAV alone": partial(pyav_alone, ready, scene.fps, target),
            "sink alone": partial(sink_alone, ready, scene.fps, target),
            "whole job": partial(whole_job, scene, target, None),
            "whole job, one lane": partial(whole_job, scene, target, 1),
            "render, one lane": partial(render, scene, 1),
            "render, frames in lanes": partial(render, scene, usable_cores()),
            "render, row bands": partial(render_bands, scene, usable_cores()),
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        busy: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(repeats):
            for way, run in ways.items():
                started, worked = time.perf_counter(), time.process_time()
                run()
                taken[way].append(time.perf_counter() - started)
                busy[way].append(time.process_time() - worked)
    figures: list[dict[str, Any]] = []
    for way in ways:
        figures.append({"name": way, "unit": "s", "samples": tuple(taken[way])})
        figures.append({"name": f"{way}: processor time", "unit": "s", "samples": tuple(busy[way])})
    for kind, times in (("", taken), (": processor time", busy)):
        for below in ("PyAV alone", "sink alone"):
            ratios = tuple(a / b for a, b in zip(times["whole job"], times[below], strict=True))
            figures.append({"name": f"whole job / {below}{kind}", "unit": "ratio", "samples": ratios})
    return figures


def falling(photo: Photo, *, seconds: float = SECONDS) -> Scene:
    """Make a scene in which ``SHARE`` of the picture falls."""
    return falling_column(photo, SHARE, seconds=seconds, fps=FPS)


def pyav_alone(frames: list[ByteArray], fps: float, target: Path) -> None:
    """Encode RGB frames as the PyAV manual shows it; PyAV converts them to 4:2:0 by itself."""
    height, width = frames[0].shape[:2]
    with av.open(str(target), "w", options={"movflags": "+faststart"}) as file:
        stream: Any = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = X264_OPTIONS
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))


def sink_alone(frames: list[ByteArray], fps: float, target: Path) -> None:
    """Write ready-made frames into stillflow's sink, in this thread."""
    height, width = frames[0].shape[:2]
    with open_sink(target, width=width, height=height, fps=fps) as sink:
        for frame in frames:
            sink.write(frame)


def whole_job(scene: Scene, target: Path, lanes: int | None) -> None:
    """Render and encode as ``stillflow animate`` does."""
    sink = open_sink(target, width=scene.width, height=scene.height, fps=scene.fps)
    record(scene, sink, lanes=lanes)


def render(scene: Scene, lanes: int) -> None:
    """Render all frames, a frame a lane, and drop them."""
    with closing(Player(scene, lanes=lanes).frames(reuse=True)) as frames:
        for _ in frames:
            pass


def render_bands(scene: Scene, lanes: int) -> None:
    """Render all frames one after the other, the rows of each shared by the lanes."""
    native = NativeScene(scene.arrays)
    out = np.empty((scene.height, scene.width, 3), np.uint8)
    for index in range(scene.frames):
        native.frame(float(index), out, lanes)
