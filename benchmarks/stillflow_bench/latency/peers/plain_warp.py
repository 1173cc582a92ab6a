# SPDX-License-Identifier: Apache-2.0
"""The warp everyone writes first, as fast as OpenCV makes it: ``cv2.remap`` twice and ``cv2.addWeighted``.

The picture is that of ``baselines.plain_warp``, which is written to be read; this one is written to be timed. All
that does not change with t is made when the target is opened. The maps do change, so ``cv2.convertMaps`` would cost
more than it saves: they are made on the fields, a quarter of the size, and grown by ``cv2.resize``. Only the rectangle
around what moves is touched, in uint8, with OpenCV's own threads and vector code.
"""

from __future__ import annotations

import threading
import time
from functools import partial

import cv2
import numpy as np

from stillflow.kernels.arrays import FIELD_OFFSET, FIELD_SCALE, ByteArray, FloatArray, SceneArrays
from stillflow.kernels.reference import sway_displacement
from stillflow_bench.latency.inputs import fingerprint, short_digest
from stillflow_bench.latency.peers.moving_scenes import frame_bytes, held_photos, scenes
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.moving import moving_share

BYTES_A_PIXEL = 24
"""That a photo takes at most: photo, plate, matte, two weights in float32, and fields at a sixteenth."""


LEAST_INPUTS = 32
"""Photos times times: large pictures are fewer photos, each asked for several frames."""

STEP = 0.6180339887498949
"""Of the loop, between the times of two inputs: the golden ratio meets no period of a loop twice."""


def open_target(spec: TargetSpec) -> PlainWarp:
    """Make a scene of every photo.

    Raises:
        StillflowError: there are no photos, or the bundle does not open.
    """
    return PlainWarp(spec)


class PlainWarp:
    """A target whose query is one further frame.

    Args:
        spec: see `TargetSpec`; only the subject's size, share, length, threads and bundle count.
    """

    def __init__(self, spec: TargetSpec) -> None:
        subject = spec.subject
        self._threads = cv2.getNumThreads()
        if subject.threads is not None:
            cv2.setNumThreads(subject.threads)
        paths = held_photos(spec, BYTES_A_PIXEL * frame_bytes(subject) // 3)
        self._warps: list[QuickWarp] = []
        seen, shares = [], []
        turns = -(-LEAST_INPUTS // len(paths))
        for scene in scenes(paths, subject):
            arrays = scene.arrays
            self._warps.append(QuickWarp(arrays))
            seen.append(
                fingerprint({"photo": arrays.photo, "matte": arrays.matte, "velocity": arrays.velocity})
            )
            shares.append(moving_share(arrays.matte))
        self._times = [k * STEP % 1 * self._warps[0].frames for k in range(1, turns * len(paths) + 1)]
        self._outs: dict[int, ByteArray] = {}
        self._lock = threading.Lock()
        self.facts = Facts(
            engine="opencv",
            version=cv2.__version__,
            provider=f"cv2 with {cv2.getNumThreads()} threads",
            device="cpu",
            frames="cv2.remap twice and cv2.addWeighted",
            inputs=[_hash(seen[k % len(seen)], t) for k, t in enumerate(self._times)],
            photos=[path.name for path in paths],
            notes={"moving_share": shares, "interpolation": "bilinear, uint8"},
        )

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._times)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. The digest is of this query until the lane's next one."""
        warp = self._warps[index % len(self._warps)]
        out = self._out(lane, warp)
        spans: dict[str, int] = {}
        warp.frame(self._times[index], out, spans)
        return Answer(spans, partial(short_digest, {"frame": out}))

    def _out(self, lane: int, warp: QuickWarp) -> ByteArray:
        with self._lock:
            if lane not in self._outs:
                self._outs[lane] = np.empty_like(warp.photo)
            return self._outs[lane]

    def close(self) -> None:
        """See `Target`."""
        self._warps.clear()
        cv2.setNumThreads(self._threads)


def _hash(scene: str, t: float) -> str:
    return fingerprint({"scene": np.frombuffer(scene.encode(), np.uint8), "t": np.array(t)})


class QuickWarp:
    """One scene, ready to be warped.

    Args:
        arrays: of the scene.

    Attributes:
        photo: (H, W, 3) uint8.
        frames: N, of the loop.
    """

    def __init__(self, arrays: SceneArrays) -> None:
        self.photo, self.frames = arrays.photo, arrays.frames
        rows, columns = np.flatnonzero(arrays.matte.any(1)), np.flatnonzero(arrays.matte.any(0))
        self._moves = rows.size > 0
        if not self._moves:
            return
        y0, y1, x0, x1 = (int(n) for n in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
        self._box = slice(y0, y1), slice(x0, x1)
        # The samples around the rectangle, and one more on each side where the picture ends, so that growing them is
        # interpolation everywhere: a map is not constant beyond the last sample, as cv2.resize would have it.
        first = [n // FIELD_SCALE - 1 for n in (y0, x0)]
        last = [-(-n // FIELD_SCALE) for n in (y1, x1)]
        i, j = np.arange(first[0], last[0] + 1), np.arange(first[1], last[1] + 1)
        h, w = arrays.flow.shape
        rows_of, columns_of = samples = np.ix_(np.clip(i, 0, h - 1), np.clip(j, 0, w - 1))
        x, y = np.meshgrid(*(FIELD_SCALE * n.astype(np.float32) + np.float32(FIELD_OFFSET) for n in (j, i)))
        self._at = np.stack([x, y], -1)
        self._grown = FIELD_SCALE * len(j), FIELD_SCALE * len(i)
        top, left = y0 - FIELD_SCALE * first[0], x0 - FIELD_SCALE * first[1]
        self._inner = slice(top, top + y1 - y0), slice(left, left + x1 - x0)
        flows = arrays.flow[samples] > 0
        self._cycles = arrays.cycles[samples].astype(np.float32)
        period = arrays.frames / self._cycles
        velocity = arrays.velocity[samples]
        self._travel = FIELD_SCALE * velocity * (flows * period)[..., None]
        found = np.unique(self._cycles[flows])
        self._one = float(found[0]) if len(found) == 1 else None
        self._flows = flows.astype(np.float32)
        self._sway, self._sway_periods = arrays.sway[:, rows_of, columns_of], arrays.sway_periods
        self._share = np.ascontiguousarray(arrays.matte[self._box], np.float32) / 255
        self._rest = 1 - self._share

    def frame(self, t: float, out: ByteArray, spans: dict[str, int] | None = None) -> None:
        """Make the frame of a time.

        Args:
            t: frames.
            out: (H, W, 3) uint8, written to.
            spans: is told the nanoseconds of each stage.
        """
        marks = [time.monotonic_ns()]
        cv2.copyTo(self.photo, None, out)
        if not self._moves:
            return
        phase = np.mod(self._cycles * np.float32(t / self.frames), 1)
        at = self._at
        if len(self._sway):
            at = at + FIELD_SCALE * sway_displacement(self._sway, t, self.frames, self._sway_periods)
        past = phase[..., None] * self._travel
        back, ahead = (self._full(a) for a in (at - past, at - past + self._travel))
        marks.append(time.monotonic_ns())
        first, second = (
            cv2.remap(self.photo, sources, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for sources in (back, ahead)
        )
        marks.append(time.monotonic_ns())
        if self._one is not None:
            fade = self._one * t / self.frames % 1
            layer = cv2.addWeighted(first, 1 - fade, second, fade, 0)
        else:
            there = self._full(phase * self._flows)
            layer = cv2.blendLinear(first, second, 1 - there, there)
        out[self._box] = cv2.blendLinear(self.photo[self._box], layer, self._rest, self._share)
        marks.append(time.monotonic_ns())
        if spans is not None:
            stages = ("stage maps", "stage remap", "stage blend")
            spans.update({name: b - a for name, a, b in zip(stages, marks, marks[1:], strict=False)})

    def _full(self, samples: FloatArray) -> FloatArray:
        """Grow values on the fields to the rectangle's pixels."""
        grown = cv2.resize(samples, self._grown, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(grown[self._inner])
