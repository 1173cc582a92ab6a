# SPDX-License-Identifier: Apache-2.0
"""The frame in plain NumPy: slow, readable, and the law the C and CUDA forms are tested against.

A frame at time t of a loop of N frames is made in two steps. ``fields`` works at field size (1/4) and
says for every block where its two sources lie (the photo traced back to time 0 and forward to the end of
the cycle), how they are weighed, and what local mean and gain the blend has. ``compose`` works at full
size: it interpolates those planes, gathers both sources with bicubic weights and blends.
"""

from __future__ import annotations

import numpy as np

from stillflow.kernels.arrays import FIELD_OFFSET, FIELD_SCALE, ByteArray, FloatArray, IntArray, SceneArrays

DOUBLINGS = 4
"""K: a trace is one RK2 step over time/16, then four doublings. Six lookups; 60 Euler steps are 20x worse."""

STATISTICS_RADIUS = 4
"""Half-width, in field pixels, of the box over which the two sources' correlation is measured."""

CUBIC_A = -1.0
"""Keys' parameter. Detail energy that is left at mid cycle on five photos of falls, sea, clouds, a river and
a painting: -0.5 (Catmull-Rom) 0.78-0.95 with a visible flash after frame 0, -0.75 0.82-0.92, -1.0 0.89-1.0."""

EDGE_RAMP = 2.5
"""Field pixels (10 pixels of the picture) beyond the picture's border over which a source loses confidence."""

CONFIDENCE_FLOOR = 0.02
"""Confidence never falls below this, so that two lost sources still cross-fade by time alone."""

VARIANCE_FLOOR = 1.0
"""Squared grey levels added to the variances: below one level of texture the sources count as equal."""

LIGHT_LIMIT = 8.0
"""The logarithm of the brightness is clamped to this either way."""

PLANES = ("dax", "day", "dbx", "dby", "weight", "gain", "mean_r", "mean_g", "mean_b", "light")
"""Names of the ten planes that ``fields`` returns, in order."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of R, G, B in the luma that the statistics are taken of."""


def lookup(field: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Read a field at real positions, bilinear, clamped at the border.

    Args:
        field: (h, w) or (h, w, c) float32.
        x: positions in field pixels, any shape.
        y: positions in field pixels, same shape.

    Returns:
        Values of shape x.shape (+ (c,)), float32.
    """
    h, w = field.shape[:2]
    x = np.clip(x, 0, w - 1)
    y = np.clip(y, 0, h - 1)
    x0 = np.minimum(x.astype(np.int32), max(w - 2, 0))
    y0 = np.minimum(y.astype(np.int32), max(h - 2, 0))
    x1 = np.minimum(x0 + 1, w - 1)
    y1 = np.minimum(y0 + 1, h - 1)
    fx = (x - x0).astype(np.float32)
    fy = (y - y0).astype(np.float32)
    if field.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    top = field[y0, x0] + (field[y0, x1] - field[y0, x0]) * fx
    bottom = field[y1, x0] + (field[y1, x1] - field[y1, x0]) * fx
    return np.asarray(top + (bottom - top) * fy, np.float32)


def grid(h: int, w: int) -> tuple[FloatArray, FloatArray]:
    """Return the x and y coordinates of every sample of an (h, w) field."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    return x, y


def trace(velocity: FloatArray, time: FloatArray | float) -> FloatArray:
    """Follow a velocity field that is constant in time, from every sample, for a given time.

    One midpoint (RK2) step of size s = time / 2^K, d = s v(x + s/2 v(x)), then K doublings
    d <- d + d(x + d), which is exact composition of the flow map with itself.

    Args:
        velocity: (h, w, 2) float32, field pixels a frame.
        time: frames, may be negative (back in time); a number or an (h, w) array. The array must be
            constant over each connected moving region, since doubling composes neighbours' maps.

    Returns:
        (h, w, 2) float32 displacement in field pixels.
    """
    h, w = velocity.shape[:2]
    x, y = grid(h, w)
    step = (np.asarray(time, np.float32) / np.float32(2**DOUBLINGS))[..., None]
    half = velocity * (step * np.float32(0.5))
    d = lookup(velocity, x + half[..., 0], y + half[..., 1]) * step
    for _ in range(DOUBLINGS):
        d = d + lookup(d, x + d[..., 0], y + d[..., 1])
    return np.asarray(d, np.float32)


def sway_displacement(sway: FloatArray, t: float, frames: int, periods: IntArray | None = None) -> FloatArray:
    """Evaluate the sway (whole periods a loop, 0 at t = 0) in field pixels, (h, w, 2) float32."""
    d = np.zeros((*sway.shape[1:3], 2), np.float32)
    for k in range(sway.shape[0]):
        theta = 2 * np.pi * (k + 1 if periods is None else int(periods[k])) * t / frames
        d += sway[k, ..., 0:2] * np.float32(np.cos(theta) - 1) + sway[k, ..., 2:4] * np.float32(np.sin(theta))
    return d


def brightness(light: FloatArray, t: float, frames: int, periods: IntArray | None = None) -> FloatArray:
    """Evaluate the light (whole periods a loop, 1 at t = 0), (h, w) float32 > 0."""
    total = np.zeros(light.shape[1:3], np.float32)
    for k in range(light.shape[0]):
        theta = 2 * np.pi * (k + 1 if periods is None else int(periods[k])) * t / frames
        total += light[k, ..., 0] * np.float32(np.cos(theta) - 1) + light[k, ..., 1] * np.float32(
            np.sin(theta)
        )
    return np.exp(np.clip(total, -LIGHT_LIMIT, LIGHT_LIMIT))


def box_mean(field: FloatArray, radius: int) -> FloatArray:
    """Mean over a (2 radius + 1)² box, border samples repeated; (h, w) float32."""
    padded = np.pad(field, radius, mode="edge").astype(np.float64)
    size = 2 * radius + 1
    for axis in (0, 1):
        total = np.cumsum(padded, axis=axis)
        total = np.insert(total, 0, 0, axis=axis)
        n = total.shape[axis]
        padded = (np.take(total, range(size, n), axis) - np.take(total, range(n - size), axis)) / size
    return np.asarray(padded, np.float32)


def _texture(arrays: SceneArrays, x: FloatArray, y: FloatArray, low: FloatArray) -> FloatArray:
    """Luma of the plate at the nearest full-size pixel minus luma of the local mean there, (h, w)."""
    px = np.clip(np.floor(x * FIELD_SCALE + FIELD_OFFSET + 0.5), 0, arrays.width - 1).astype(np.int32)
    py = np.clip(np.floor(y * FIELD_SCALE + FIELD_OFFSET + 0.5), 0, arrays.height - 1).astype(np.int32)
    return np.asarray(arrays.plate[py, px].astype(np.float32) @ LUMA - low @ LUMA, np.float32)


def weights(arrays: SceneArrays, u: FloatArray, ca: FloatArray, cb: FloatArray) -> FloatArray:
    """Weight of source A (traced back), (h, w) float32 0..1, exactly 1 where u is 0.

    w0 = (1-u) cA / ((1-u) cA + u cB); with the generator's coefficients the logit of w0 is moved by
    sin(pi u) b0 + sin(2 pi u) b1, which vanishes at both ends of the cycle.
    """
    a = (1 - u) * ca
    b = u * cb
    w = a / np.maximum(a + b, np.float32(1e-6))
    if arrays.blend is not None:
        shift = np.sin(np.pi * u) * arrays.blend[..., 0] + np.sin(2 * np.pi * u) * arrays.blend[..., 1]
        # logit(w) + shift, written on the odds so that w = 0 and w = 1 stay what they are.
        odds = np.exp(np.clip(shift, -8, 8))
        w = w * odds / np.maximum(w * odds + (1 - w), np.float32(1e-6))
    return np.where(u == 0, np.float32(1), w).astype(np.float32)


def fields(arrays: SceneArrays, t: float) -> FloatArray:
    """Compute the planes of the frame at time t.

    The blend keeps the variance of the sources (after the histogram-preserving blending literature,
    with the local correlation rho measured instead of assumed 0):
    out = mu + (w A + (1-w) B - mu) / sqrt(w² + (1-w)² + 2 w (1-w) rho).

    Args:
        arrays: the scene.
        t: time in frames, any real number; the loop has period ``arrays.frames``.

    Returns:
        (10, h, w) float32 in the order of ``PLANES``; displacements in full-size pixels, means 0..255, light
        as a factor.
    """
    h, w_ = arrays.velocity.shape[:2]
    x, y = grid(h, w_)
    cycles = arrays.cycles.astype(np.float32)
    phase = cycles.astype(np.float64) * (float(t) / arrays.frames)
    u = (phase - np.floor(phase)).astype(np.float32)
    period = np.float32(arrays.frames) / cycles
    da = trace(arrays.velocity, -u * period)
    db = trace(arrays.velocity, (1 - u) * period)
    w = weights(arrays, u, _confidence(arrays, x, y, da), _confidence(arrays, x, y, db))
    # What does not flow may still sway; the velocity there only carries the traces of its neighbours on.
    still = arrays.flow == 0
    da[still], db[still], w[still] = 0, 0, 1
    ds = sway_displacement(arrays.sway, t, arrays.frames, arrays.sway_periods)
    da, db = da + ds, db + ds
    low_a = lookup(arrays.low, x + da[..., 0], y + da[..., 1])
    low_b = lookup(arrays.low, x + db[..., 0], y + db[..., 1])
    ra = _texture(arrays, x + da[..., 0], y + da[..., 1], low_a)
    rb = _texture(arrays, x + db[..., 0], y + db[..., 1], low_b)
    cov = box_mean(ra * rb, STATISTICS_RADIUS)
    var_a = box_mean(ra * ra, STATISTICS_RADIUS) + np.float32(VARIANCE_FLOOR)
    var_b = box_mean(rb * rb, STATISTICS_RADIUS) + np.float32(VARIANCE_FLOOR)
    rho = np.clip((cov + np.float32(VARIANCE_FLOOR)) / np.sqrt(var_a * var_b), 0, 1)
    gain = 1 / np.sqrt(w * w + (1 - w) ** 2 + 2 * w * (1 - w) * rho)
    mean = w[..., None] * low_a + (1 - w)[..., None] * low_b
    scale = np.float32(FIELD_SCALE)
    planes = [da[..., 0] * scale, da[..., 1] * scale, db[..., 0] * scale, db[..., 1] * scale, w, gain]
    light = brightness(arrays.light, t, arrays.frames, arrays.light_periods)
    return np.stack([*planes, mean[..., 0], mean[..., 1], mean[..., 2], light]).astype(np.float32)


def _confidence(arrays: SceneArrays, x: FloatArray, y: FloatArray, d: FloatArray) -> FloatArray:
    """Read ``inside`` at the traced positions; it ramps down to the floor beyond the picture's border."""
    h, w = arrays.inside.shape
    px, py = x + d[..., 0], y + d[..., 1]
    beyond_x = np.maximum(np.maximum(-px, px - (w - 1)), 0)
    beyond_y = np.maximum(np.maximum(-py, py - (h - 1)), 0)
    ramp = 1 - np.maximum(beyond_x, beyond_y) / np.float32(EDGE_RAMP)
    value = lookup(arrays.inside, px, py) * np.maximum(ramp, 0)
    # What lies in another layer is no source: clouds must not come down into the sea.
    there = arrays.flow[
        np.minimum(np.clip(py, 0, h - 1).astype(np.int32), max(h - 2, 0)),
        np.minimum(np.clip(px, 0, w - 1).astype(np.int32), max(w - 2, 0)),
    ]
    value[(there != 0) & (there != arrays.flow)] = 0
    return np.asarray(np.maximum(value, np.float32(CONFIDENCE_FLOOR)), np.float32)


def cubic_weights(f: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Cubic convolution weights (Keys 1981) of the four taps around a fraction f in [0, 1)."""
    a = np.float32(CUBIC_A)
    f2, f3 = f * f, f * f * f
    return (
        a * (f - 2 * f2 + f3),
        1 - (a + 3) * f2 + (a + 2) * f3,
        -a * f + (2 * a + 3) * f2 - (a + 2) * f3,
        a * (f2 - f3),
    )


def bicubic(picture: ByteArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Gather a (H, W, 3) uint8 picture at real positions, cubic convolution.

    Positions beyond the border are mirrored once (a repeated border pixel shows as a barcode of streaks),
    then clamped; taps are clamped.
    """
    height, width = picture.shape[:2]
    x = np.clip((width - 1) - np.abs((width - 1) - np.abs(x)), 0, width - 1)
    y = np.clip((height - 1) - np.abs((height - 1) - np.abs(y)), 0, height - 1)
    x0 = np.floor(x).astype(np.int32)
    y0 = np.floor(y).astype(np.int32)
    wx = cubic_weights((x - x0).astype(np.float32))
    wy = cubic_weights((y - y0).astype(np.float32))
    out = np.zeros((*x.shape, 3), np.float32)
    for j in range(4):
        row = np.zeros_like(out)
        yj = np.clip(y0 + j - 1, 0, height - 1)
        for i in range(4):
            row += wx[i][..., None] * picture[yj, np.clip(x0 + i - 1, 0, width - 1)]
        out += wy[j][..., None] * row
    return out


def compose(arrays: SceneArrays, planes: FloatArray, y0: int, y1: int, out: ByteArray) -> None:
    """Write rows y0..y1-1 of a frame.

    Args:
        arrays: the scene.
        planes: what ``fields`` returned for the frame's time.
        y0: first row, 0 <= y0 <= y1 <= H.
        y1: one past the last row.
        out: (H, W, 3) uint8; rows y0..y1-1 are written, the others left as they are.
    """
    out[y0:y1] = arrays.photo[y0:y1]
    ys, xs = np.nonzero(arrays.matte[y0:y1])
    if ys.size == 0:
        return
    ys = ys + y0
    fx = (xs.astype(np.float32) - np.float32(FIELD_OFFSET)) / np.float32(FIELD_SCALE)
    fy = (ys.astype(np.float32) - np.float32(FIELD_OFFSET)) / np.float32(FIELD_SCALE)
    p = lookup(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), fx, fy)
    a = bicubic(arrays.plate, xs + p[:, 0], ys + p[:, 1])
    b = bicubic(arrays.plate, xs + p[:, 2], ys + p[:, 3])
    w, gain, mean, light = p[:, 4:5], p[:, 5:6], p[:, 6:9], p[:, 9:10]
    value = np.where(w == 1, a, mean + (w * a + (1 - w) * b - mean) * gain)
    photo = arrays.photo[ys, xs].astype(np.float32)
    # A matte of 1 shows the photo alone: light reaches further than motion.
    share = (np.maximum(arrays.matte[ys, xs], 1).astype(np.float32)[:, None] - 1) / 254
    out[ys, xs] = np.clip(np.rint((photo + share * (value - photo)) * light), 0, 255).astype(np.uint8)


def low_pass(plate: ByteArray) -> FloatArray:
    """Local mean of a plate at field size: 4x4 block means, then a box of radius 4, twice.

    Args:
        plate: (H, W, 3) uint8.

    Returns:
        (h, w, 3) float32, 0..255.
    """
    height, width = plate.shape[:2]
    h, w = -(-height // FIELD_SCALE), -(-width // FIELD_SCALE)
    padded = np.pad(plate, ((0, h * FIELD_SCALE - height), (0, w * FIELD_SCALE - width), (0, 0)), mode="edge")
    blocks = padded.reshape(h, FIELD_SCALE, w, FIELD_SCALE, 3).astype(np.float32).mean((1, 3))
    smooth = [box_mean(box_mean(blocks[..., c], STATISTICS_RADIUS), STATISTICS_RADIUS) for c in range(3)]
    return np.ascontiguousarray(np.stack(smooth, -1), np.float32)
