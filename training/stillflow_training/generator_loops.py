# SPDX-License-Identifier: Apache-2.0
"""Loops over procedural scenes as the runtime would play them, in torch, beside what was really hidden.

A picture here is as large as a field: the closed form's continuation, its confidence and the kernel's blend
(``stillflow.kernels.reference``) all work on samples, so that gradients reach what the generator paints. The
truth is the very same loop as it would be if nothing stood in front of the surface and nothing else began at its
edge, since the scene knows its surface everywhere: the same motion, the true surface as plate, full confidence. What
the motion's coarse fields and the gathers lose is lost in both, so that only the hidden is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stillflow import layer
from stillflow.generator import generator_field
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.reference import CONFIDENCE_FLOOR, EDGE_RAMP, STATISTICS_RADIUS
from stillflow_training.procedural import Pictures, SceneBatch, draw_scenes
from stillflow_training.procedural.plane import gather, positions, trace

LOOP_KINDS = ("fall", "river", "stream", "cloud")
"""Kinds whose surface is opaque and keeps its pattern: only there a photo's pixels are the truth a moment later."""

TRAVEL = (0.03, 0.22)
"""Picture widths that the fast part travels in one cycle; the runtime slows down what is faster than 0.2."""

EDGE_DOUBT, CONFIDENCE_RAMP, REACH = 1.5, 3.0, 16.0
"""Samples of a 320-sample field: ``stillflow.scene`` says 6, 12 and 64 pixels of a 1280-wide picture."""

UNITS = (0.25, 1.1)
"""Widths of pictures, in 1280 pixels, whose ramps are imitated: small pictures have steeper ones."""

MASK_ERROR = 1.2
"""Samples, standard deviation of how far the outline that the runtime is given lies off the true one: photos'
outlines come from a network of half that resolution, and a strip of sky then counts as water."""

LUMA = (0.299, 0.587, 0.114)

SHOWN = 0.5
"""Confidence from which on a source counts as valid."""


@dataclass(eq=False)
class Moment:
    """One moment of each loop.

    Attributes:
        places: (n, 2, h, w) widths, where each of both sources is read.
        ramps: (n, h, w) 0..1, how its confidence falls beyond the picture's border.
        sure: (n, h, w), confidence of each source as the closed form has it.
        u: (n, 1, 1), the phase.
        truth: (n, 3, h, w) 0..1, the frame if nothing were hidden.
        scene: (n, 3, h, w) 0..1, the blend of the scene's own frames at both times: an end that no motion field
            reaches; empty unless asked for.
    """

    places: tuple[Tensor, Tensor]
    ramps: tuple[Tensor, Tensor]
    sure: tuple[Tensor, Tensor]
    u: Tensor
    truth: Tensor
    scene: Tensor


@dataclass(eq=False)
class Loops:
    """Loops as the closed form prepares them.

    Attributes:
        field: (n, 9, h, w), what the network reads.
        plate: (n, 3, h, w) 0..1, continued by the closed form.
        known: (n, 1, h, w), where the photo shows the surface, as far as the given outline tells.
        inside: (n, 1, h, w), the closed form's confidence.
        judged: (n, h, w), where frames are compared: known, and truly the surface.
        surface: (n, 3, h, w) 0..1, the true surface at time 0 everywhere.
        travel: (n, 2, h, w) widths a cycle, as the runtime knows it.
        moments: of each loop.
    """

    field: Tensor
    plate: Tensor
    known: Tensor
    inside: Tensor
    judged: Tensor
    surface: Tensor
    travel: Tensor
    moments: list[Moment]


def draw_loops(
    generator: torch.Generator,
    pictures: Pictures | None,
    count: int,
    size: tuple[int, int],
    moments: int,
    step: float | None = None,
    exact: bool = False,
) -> Loops:
    """Draw loops.

    Args:
        generator: same state, same loops.
        pictures: real photos for scenes; None draws noise.
        count: n.
        size: (h, w) samples.
        moments: of each loop.
        step: when given, each moment is followed by one that is this part of a cycle later.
        exact: whether moments also hold the blend of the scene's own frames.
    """
    scenes = draw_scenes(generator, count, *size, pictures, kinds=LOOP_KINDS)
    speed = scenes.velocity.square().sum(1).sqrt().flatten(1)
    seen = (scenes.matte > 0.5).flatten(1).float()
    # The fast part of what is seen; a scene that hides its surface entirely is as slow as it likes.
    fast = torch.quantile(speed * seen, 0.95, 1).clamp_min(0.004)
    low, high = TRAVEL
    drawn = torch.rand(count, generator=generator)
    cycle = low * (high / low) ** drawn / fast
    travel = scenes.velocity * cycle[:, None, None, None]
    rng = np.random.default_rng(int(torch.randint(1 << 62, (), generator=generator)))
    rows = [_prepare(rng, scenes, travel, i) for i in range(count)]
    field, plate, known, inside, travel = (
        torch.from_numpy(np.stack(parts)) for parts in zip(*rows, strict=True)
    )
    phases = 0.04 + 0.92 * torch.rand(moments, count, generator=generator)
    if step is not None:
        phases = torch.stack([phases, phases + step], 1).flatten(0, 1)
    loops = Loops(
        field,
        plate,
        known[:, None],
        inside[:, None],
        known * (scenes.matte > 0.9),
        scenes.layer(0.0)[0],
        travel,
        [],
    )
    for u in phases:
        moment = _moment(loops, u)
        moment.truth = play(loops.surface, torch.ones_like(loops.inside), moment)
        if exact:
            a, b = (scenes.layer(t * cycle)[0] for t in (u, u - 1))
            weight = (1 - u)[:, None, None].expand_as(scenes.matte)
            moment.scene = blended(a, b, local_mean(a), local_mean(b), weight)
        loops.moments.append(moment)
    return loops


def _prepare(
    rng: np.random.Generator, scenes: SceneBatch, travel: Tensor, i: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Field, plate, known, inside and travel (widths a cycle) of one scene, as ``stillflow.scene`` makes them."""
    photo = (scenes.photo[i].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    flows = _outline(rng, (scenes.matte[i] > 0.5).numpy().astype(np.uint8))
    low, high = UNITS
    known, inside, plate = continued(photo, flows, float(low * (high / low) ** rng.random()))
    width = flows.shape[1]
    velocity = np.ascontiguousarray(travel[i].permute(1, 2, 0).numpy() * width, np.float32)
    # Beyond the edge the runtime knows the velocity no better than by push-pull.
    velocity = layer.push_pull(velocity, known)
    colours = photo.astype(np.float32)
    ones = np.ones(flows.shape, np.uint8)
    field = generator_field(plate.astype(np.float32), known, velocity, ones, inside, 1, colours)
    plate_planes = np.ascontiguousarray(plate.transpose(2, 0, 1) / np.float32(255))
    return field, plate_planes, known, inside, np.ascontiguousarray(velocity.transpose(2, 0, 1) / width)


def continued(
    photo: ByteArray, flows: ByteArray, unit: float = 1.0
) -> tuple[FloatArray, FloatArray, ByteArray]:
    """The closed form at the size of a field.

    Args:
        photo: (h, w, 3) uint8.
        flows: (h, w) uint8, 1 where the surface is.
        unit: width of the whole picture in 1280 pixels.

    Returns:
        known (h, w) float32, confidence (h, w) float32, plate (h, w, 3) uint8.
    """
    square = np.ones((3, 3), np.uint8)
    known = cv2.erode(flows, square)
    known = known if known.any() else flows
    core = cv2.erode(flows, square, iterations=max(1, round(EDGE_DOUBT * unit)))
    distance = cv2.distanceTransform(1 - (core if core.any() else flows), cv2.DIST_L2, cv2.DIST_MASK_5)
    inside = np.maximum(1 - distance / max(CONFIDENCE_RAMP * unit, 0.25), CONFIDENCE_FLOOR).astype(np.float32)
    fill = layer.push_pull(photo.astype(np.float32), known.astype(np.float32))
    plate = layer.continue_plate(photo, known, np.ones(flows.shape, np.uint8), fill, REACH * unit)
    return known.astype(np.float32), inside, plate


def _outline(rng: np.random.Generator, flows: ByteArray) -> ByteArray:
    """The outline as the runtime would get it: off by a sample or two, differently along its way."""
    height, width = flows.shape
    if not flows.any():
        flows = flows.copy()
        flows[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1
    # The border of the picture is no outline.
    padded = cv2.copyMakeBorder(flows, 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = depth - cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_5)
    coarse = rng.normal(0, MASK_ERROR, (4, 5)).astype(np.float32) + np.float32(rng.normal(0, MASK_ERROR))
    off = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    found = (depth[8:-8, 8:-8] > off).astype(np.uint8)
    return found if found.sum() > 40 else flows


def _moment(loops: Loops, u: Tensor) -> Moment:
    height, width = loops.plate.shape[2:]
    xy = positions(height, width, loops.travel.device)
    places, ramps, sure = [], [], []
    for time in (-u, 1 - u):
        at = xy + trace(loops.travel, time)
        outside = torch.stack([-at[:, 0], at[:, 0] - 1, -at[:, 1], at[:, 1] - height / width])
        beyond = outside.amax(0).clamp_min(0) * width
        places.append(at)
        ramps.append((1 - beyond / EDGE_RAMP).clamp_min(0))
        sure.append(gather(loops.inside, at)[:, 0] * ramps[-1])
    nothing = torch.empty(0)
    return Moment(
        (places[0], places[1]),
        (ramps[0], ramps[1]),
        (sure[0], sure[1]),
        u[:, None, None],
        nothing,
        nothing,
    )


def repainted(loops: Loops, plate: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Plate and confidence after the network spoke, as ``stillflow.generator`` makes them.

    Args:
        loops: n of them.
        plate: (n, 3, h, w), the network's colours.
        trust: (n, 2, h, w): texture and trust.

    Returns:
        plate (n, 3, h, w) and confidence (n, 1, h, w).
    """
    mean = _box(_box(loops.plate, 2), 2)
    painted = (plate + trust[:, :1] * (loops.plate - mean)).clamp(0, 1)
    inside = (loops.inside + trust[:, 1:]).clamp(CONFIDENCE_FLOOR, 1)
    return loops.plate * loops.known + painted * (1 - loops.known), inside


def play(plate: Tensor, inside: Tensor, moment: Moment) -> Tensor:
    """Render a moment of loops as the kernel does.

    Args:
        plate: (n, 3, h, w) 0..1.
        inside: (n, 1, h, w).
        moment: what to render.

    Returns:
        frame (n, 3, h, w) 0..1.
    """
    stacked = torch.cat([local_mean(plate), inside], 1)
    sources, lows, sure = [], [], []
    for at, ramp in zip(moment.places, moment.ramps, strict=True):
        read = gather(stacked, at)
        sources.append(gather(plate, at, mode="bicubic"))
        lows.append(read[:, :3])
        sure.append((read[:, 3] * ramp).clamp_min(CONFIDENCE_FLOOR))
    a, b = (1 - moment.u) * sure[0], moment.u * sure[1]
    return blended(sources[0], sources[1], lows[0], lows[1], a / (a + b))


def path_change(now: Tensor, later: Tensor, travel: Tensor, step: float, judged: Tensor) -> Tensor:
    """Mean absolute change from one frame to a later one, seen by an eye that follows the motion.

    Args:
        now: (n, 3, h, w) 0..1.
        later: the frame ``step`` cycles later.
        travel: (n, 2, h, w) widths a cycle.
        step: cycles.
        judged: (n, h, w), where it is measured.
    """
    xy = positions(*now.shape[2:], now.device)
    at = xy + travel * step
    followed = gather(torch.cat([later, judged[:, None]], 1), at)
    seen = judged * (followed[:, 3] > 0.99)
    return ((followed[:, :3] - now).abs().mean(1) * seen).sum() / seen.sum().clamp_min(1)


def blended(a: Tensor, b: Tensor, low_a: Tensor, low_b: Tensor, weight: Tensor) -> Tensor:
    """The variance-preserving blend of ``stillflow.kernels.reference.fields``, (n, 3, h, w)."""
    luma = torch.tensor(LUMA, device=a.device)[None, :, None, None]
    fine_a, fine_b = (((s - low) * luma).sum(1, keepdim=True) for s, low in ((a, low_a), (b, low_b)))
    floor = 1 / 255**2
    radius = STATISTICS_RADIUS
    variance_a, variance_b = (_box(fine * fine, radius) + floor for fine in (fine_a, fine_b))
    rho = ((_box(fine_a * fine_b, radius) + floor) * torch.rsqrt(variance_a * variance_b)).clamp(0, 1)
    w = weight[:, None]
    gain = torch.rsqrt(w * w + (1 - w) ** 2 + 2 * w * (1 - w) * rho)
    mean = w * low_a + (1 - w) * low_b
    return (mean + (w * a + (1 - w) * b - mean) * gain).clamp(0, 1)


def local_mean(plate: Tensor) -> Tensor:
    """Local mean as the kernels take it: a box of radius 4, twice."""
    return _box(_box(plate, STATISTICS_RADIUS), STATISTICS_RADIUS)


def _box(maps: Tensor, radius: int) -> Tensor:
    """Mean over a square, border samples repeated."""
    padded = functional.pad(maps, (radius,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, 2 * radius + 1, 1)
