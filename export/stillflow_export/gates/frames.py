# SPDX-License-Identifier: Apache-2.0
"""Gate B, on what is looked at: loops of real photos, made once in float32 and once in another precision.

Small deviations of a network's outputs may turn into large ones of a frame, where the runtime decides (which class,
which layer lies in front). So finished frames are compared, made by the runtime itself from the bundle at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.animator import Animator
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.loop import Loop
from stillflow.sessions import Session, open_session
from stillflow.sessions.networks import Networks
from stillflow.sessions.session import Array
from stillflow.sessions.wish import Wish
from stillflow_export.gates.receipt import versions
from stillflow_export.precision.rounded import rounded

ByteArray = npt.NDArray[np.uint8]

PSNR = 45.0
"""Decibels that every frame must reach, over the whole and over what moves: an error of 1.4 grey levels (rms)."""

DARKER = 1.0
"""Grey levels that the mean of a frame may be darker by."""

BLACK, LIT, BLACK_SHARE = 4, 24, 1e-3
"""Share of a frame's samples that may be at most ``BLACK`` where they are at least ``LIT`` in float32."""

SIZE = 384
"""Longest side of the loops in pixels."""

SECONDS, FPS = 2.0, 15.0
TIMES = (0.2, 0.5, 0.8)
"""Length and rate of the loops, and the frames that are compared, as shares of the length."""

EXACT = 99.0
"""What stands for the PSNR of equal frames: JSON has no infinity."""


@dataclass(frozen=True)
class FrameReport:
    """How one frame fared.

    Attributes:
        photo: name of the photo.
        index: of the frame.
        psnr: over the whole frame, in dB, `EXACT` at most.
        psnr_moving: over what moves in the float32 loop; None where nothing does.
        darker: grey levels by which its mean is darker.
        black: share of samples that went black.
        failure: what is wrong with it, "" when nothing is.
    """

    photo: str
    index: int
    psnr: float
    psnr_moving: float | None
    darker: float
    black: float
    failure: str


@dataclass(frozen=True)
class FramesReceipt:
    """What gate B measured on frames; goes into the bundle as JSON.

    Attributes:
        graph: "bundle": frames are made by all graphs of it together.
        graphs: those that ran in the other precision.
        failures: one sentence each; the first names the worst frame.
        worst: the frame with the lowest PSNR.
        frames: all of them.
        photos: that were tried; those where nothing moves have no frames here.
    """

    gate: str
    what: str
    graph: str
    graphs: tuple[str, ...]
    precision: str
    passed: bool
    tolerance: dict[str, float]
    failures: tuple[str, ...]
    worst: FrameReport | None
    frames: tuple[FrameReport, ...]
    photos: tuple[str, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line on the worst frame, for people."""
        if self.worst is None:
            return ()
        reached = min(v for v in (self.worst.psnr, self.worst.psnr_moving) if v is not None)
        where = f"frame {self.worst.index} of '{self.worst.photo}', {len(self.frames)} frames"
        return (f"gate {self.gate} {self.precision} frames: {reached:.1f} dB at worst, {where}",)

    def as_json(self) -> dict[str, Any]:
        """The receipt as plain values."""
        return asdict(self)


def gate_b_frames(
    bundle: Bundle,
    precision: str,
    photos: Sequence[Path],
    *,
    graphs: Collection[str] | None = None,
    size: int = SIZE,
    times: Sequence[float] = TIMES,
) -> FramesReceipt:
    """Make loops of photos in float32 and in another precision, and compare their frames.

    Args:
        bundle: holds the files of both precisions.
        precision: the other one, "fp16" or "int8".
        photos: at least one of them must move.
        graphs: that are judged; the others stay in float32 in both loops. Such as those copied from another bundle,
            which were judged there: a matte that moves by a pixel shows as much as what a generator paints beside
            it differs from the photo, and says nothing of the generator's precision. None: all.
        size: longest side of the loops.
        times: frames to compare, as shares of a loop's length.

    Returns:
        The receipt, passed or not: see `require_passed`.

    Raises:
        StillflowError: a photo cannot be read, float32 itself fails, or nothing moves in any photo.
    """
    judged = sorted(graph.name for graph in bundle.manifest.graphs if graphs is None or graph.name in graphs)
    first, second = _Watched(bundle, "fp32", ()), _Watched(bundle, precision, judged)
    frames: list[FrameReport] = []
    failures: list[str] = []
    for path in photos:
        expected = _loop(first, path, size)
        if expected.moving_share == 0:
            continue
        try:
            got = _loop(second, path, size)
        except StillflowError as error:
            failures.append(f"{path.name}: {error.what}: {error.why}")
            continue
        moving = expected.scene.matte > 1
        at = sorted({int(time * len(expected)) for time in times})
        frames += [judge_frame(path.name, i, got.frame(i), expected.frame(i), moving) for i in at]
    if not frames and not failures:
        what = f"cannot judge the frames of {bundle.where}"
        raise StillflowError(
            what, "nothing moves in any of the photos", "give photos of water, clouds or smoke"
        )
    worst = min(frames, key=_lowest, default=None)
    bad = sorted((frame for frame in frames if frame.failure), key=_lowest)
    failures += [f"{frame.photo}, frame {frame.index}: {frame.failure}" for frame in bad]
    return FramesReceipt(
        gate="B",
        what=f"frames of loops, float32 against {precision}",
        graph="bundle",
        graphs=tuple(judged),
        precision=precision,
        passed=not failures,
        tolerance={"psnr": PSNR, "darker": DARKER, "black_share": BLACK_SHARE},
        failures=tuple(failures),
        worst=worst,
        frames=tuple(frames),
        photos=tuple(path.name for path in photos),
        versions=versions(second.session("flow")),
    )


class _Watched(Animator):
    """An Animator whose networks round as their files say, and may not give NaN.

    Args:
        bundle: with the networks.
        precision: of the graphs in ``judged``; the others run in float32.
        judged: their names.
    """

    def __init__(self, bundle: Bundle, precision: str, judged: Collection[str]) -> None:
        # The CPU is the reference, also where there is a GPU.
        super().__init__(bundle, "onnxruntime", device="cpu")
        self.networks = _WatchedNetworks(bundle, precision, judged)


class _WatchedNetworks(Networks):
    """The sessions of such an Animator."""

    def __init__(self, bundle: Bundle, precision: str, judged: Collection[str]) -> None:
        super().__init__(bundle, Wish("cpu", "onnxruntime"))
        self._files, self._precision, self._judged = bundle, precision, judged

    def load(self, graph: str) -> Session:
        precision = self._precision if graph in self._judged else "fp32"
        data = rounded(self._files.graph_bytes(graph, precision))
        return _WatchedSession(open_session(data, "onnxruntime", device="cpu", name=graph), graph)


class _WatchedSession:
    """A session that refuses to hand on NaN and infinity."""

    def __init__(self, inner: Session, graph: str) -> None:
        self.engine, self.provider, self.fallback = inner.engine, inner.provider, inner.fallback
        self.inputs, self.outputs = inner.inputs, inner.outputs
        self._inner, self._graph = inner, graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        made = self._inner.run(inputs)
        for name, values in made.items():
            if not np.isfinite(values).all():
                fix = "see gate B of that graph"
                raise StillflowError(f"the graph {self._graph} fails", f"{name} holds NaN or infinity", fix)
        return made

    def close(self) -> None:
        self._inner.close()


def _loop(animator: Animator, photo: Path, size: int) -> Loop:
    return animator.animate(photo, size=size, seconds=SECONDS, fps=FPS)


def judge_frame(
    photo: str, index: int, got: ByteArray, expected: ByteArray, moving: npt.NDArray[np.bool_]
) -> FrameReport:
    """Compare one frame with the one made in float32.

    Args:
        photo: its name.
        index: of the frame.
        got: (H, W, 3).
        expected: likewise, from float32.
        moving: (H, W), where the float32 loop moves.
    """
    error = (got.astype(np.float32) - expected) ** 2
    psnr = _decibels(float(error.mean()))
    psnr_moving = _decibels(float(error[moving].mean())) if moving.any() else None
    darker = float(expected.mean()) - float(got.mean())
    black = float(((got <= BLACK) & (expected >= LIT)).mean())
    failure = ""
    if min(psnr, psnr_moving or psnr) < PSNR:
        over = "" if psnr_moving is None else f", {psnr_moving:.1f} dB over what moves"
        failure = f"{psnr:.1f} dB{over}, and {PSNR:g} is the least"
    if darker > DARKER:
        failure = f"darker by {darker:.1f} grey levels, and {DARKER:g} is allowed"
    if black > BLACK_SHARE:
        failure = f"{black:.2%} of it went black"
    return FrameReport(photo, index, psnr, psnr_moving, darker, black, failure)


def _decibels(mean_square: float) -> float:
    return EXACT if mean_square == 0 else min(EXACT, 10 * float(np.log10(255**2 / mean_square)))


def _lowest(frame: FrameReport) -> float:
    return min(frame.psnr, frame.psnr if frame.psnr_moving is None else frame.psnr_moving)
