# SPDX-License-Identifier: Apache-2.0
"""Procedural scenes: a layer that moves with an exactly known velocity, behind things that stand still.

The layer's texture tiles the plane (noise drawn out along the flow, or a mirrored patch of a real photo),
so that the true frame at any time t is known everywhere: texture(x + trace(velocity, -t)).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.reference import trace

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

KINDS = ("fall", "river", "waves", "cloud", "smoke")
"""What a scene imitates."""

KIND_CLASS = {"fall": 1, "river": 1, "waves": 1, "cloud": 2, "smoke": 3}
"""Class index of each kind."""

SPEEDS = {
    "fall": (0.08, 0.35),
    "river": (0.02, 0.12),
    "waves": (0.008, 0.05),
    "cloud": (0.004, 0.025),
    "smoke": (0.008, 0.06),
}
"""Slowest and fastest typical speed in widths a second, as in the hand-made labels."""


@dataclass(frozen=True, eq=False)
class ProceduralScene:
    """One scene.

    Attributes:
        kind: one of ``KINDS``.
        background: (H, W, 3) float32 0..255, what stands still.
        texture: (H, W, 3) float32 0..255, the layer's texture; it tiles in both directions.
        matte: (H, W) float32 0..1, how much of a pixel the layer covers.
        velocity: (H, W, 2) float32 widths a second, known beyond the matte too.
    """

    kind: str
    background: FloatArray
    texture: FloatArray
    matte: FloatArray
    velocity: FloatArray

    @property
    def classes(self) -> ByteArray:
        """(H, W) uint8 class map."""
        return np.where(self.matte > 0.5, KIND_CLASS[self.kind], 0).astype(np.uint8)

    def layer(self, seconds: float) -> FloatArray:
        """The moving layer alone at a time, uncovered, (H, W, 3) float32 0..255."""
        height, width = self.matte.shape
        d = trace((self.velocity * width).astype(np.float32), -seconds)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        x, y = np.mod(x + d[..., 0], width), np.mod(y + d[..., 1], height)
        return cv2.remap(np.pad(self.texture, ((0, 2), (0, 2), (0, 0)), mode="wrap"), x, y, cv2.INTER_LINEAR)

    def render(self, seconds: float) -> ByteArray:
        """The true frame at a time, (H, W, 3) uint8."""
        share = self.matte[..., None]
        frame = self.layer(seconds) * share + self.background * (1 - share)
        return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def make_scene(
    rng: np.random.Generator,
    height: int,
    width: int,
    photos: list[ByteArray] | None = None,
    kind: str | None = None,
) -> ProceduralScene:
    """Draw a scene.

    Args:
        rng: same state, same scene.
        height: pixels.
        width: pixels.
        photos: (H', W', 3) uint8 pictures to take backgrounds and textures from; None draws noise.
        kind: one of ``KINDS``; None draws one.

    Returns:
        The scene.
    """
    kind = kind or str(rng.choice(KINDS))
    velocity = _velocity(rng, kind, height, width)
    matte = _matte(rng, kind, height, width)
    texture = _texture(rng, velocity, height, width, photos)
    background = _picture(rng, height, width, photos)
    return ProceduralScene(kind, background, texture, matte, velocity)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: float) -> FloatArray:
    """Noise of unit variance with about ``cells`` bumps across the width, (H, W) float32."""
    w = max(2, round(cells) + 2)
    h = max(2, round(cells * height / width) + 2)
    coarse = rng.standard_normal((h, w)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _velocity(rng: np.random.Generator, kind: str, height: int, width: int) -> FloatArray:
    """A smooth field of one kind: a main direction, perspective, and a divergence-free disturbance."""
    low, high = SPEEDS[kind]
    speed = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if kind == "fall":
        angle = np.pi / 2 + rng.normal(0, 0.15)
    elif kind == "smoke":
        angle = -np.pi / 2 + rng.normal(0, 0.6)
    elif kind == "cloud":
        angle = rng.choice([0, np.pi]) + rng.normal(0, 0.25)
    else:
        angle = rng.uniform(0, 2 * np.pi)
    v = np.empty((height, width, 2), np.float32)
    v[..., 0], v[..., 1] = np.cos(angle), np.sin(angle)
    # Curl of a smooth stream function: bends the flow without sources or sinks.
    stream = smooth_noise(rng, height, width, rng.uniform(1, 3)) * width / 6
    bend = rng.uniform(0.05, 0.6)
    v[..., 0] += bend * cv2.Sobel(stream, cv2.CV_32F, 0, 1, ksize=3) / 8
    v[..., 1] -= bend * cv2.Sobel(stream, cv2.CV_32F, 1, 0, ksize=3) / 8
    row = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    if kind in ("river", "waves"):
        v *= 0.3 + 1.2 * row
    if kind == "cloud":
        v *= 1.3 - 0.8 * row
    return np.ascontiguousarray(v * speed, np.float32)


def _matte(rng: np.random.Generator, kind: str, height: int, width: int) -> FloatArray:
    """Where the layer shows: a shape of its kind, minus occluders in front; soft edges of 1-3 pixels."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    wobble = smooth_noise(rng, height, width, rng.uniform(3, 10)) * 0.04
    if kind == "fall":
        centre, half = rng.uniform(0.2, 0.8), rng.uniform(0.06, 0.3)
        top, bottom = rng.uniform(-0.1, 0.4), rng.uniform(0.6, 1.1)
        inside = (np.abs(x - centre + wobble) < half) & (y > top + wobble) & (y < bottom + wobble)
    elif kind in ("river", "waves"):
        horizon = rng.uniform(0.1, 0.7)
        inside = y > horizon + wobble * rng.uniform(0.2, 2)
        if kind == "river":
            inside &= np.abs(x - 0.5 + wobble) < rng.uniform(0.1, 0.4) + (y - horizon) * rng.uniform(0, 1)
    elif kind == "cloud":
        inside = y < rng.uniform(0.3, 0.9) + wobble * rng.uniform(0.2, 2)
    else:
        inside = smooth_noise(rng, height, width, rng.uniform(1.5, 3)) > rng.uniform(-0.2, 0.8)
    mask = inside.astype(np.uint8)
    for _ in range(rng.integers(0, 4)):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(0.02, 0.12) * width) + 1, int(rng.uniform(0.02, 0.2) * height) + 1)
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 0, -1)
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.4, 1.2)))


def _texture(
    rng: np.random.Generator,
    velocity: FloatArray,
    height: int,
    width: int,
    photos: list[ByteArray] | None,
) -> FloatArray:
    """A texture that tiles: a mirrored photo patch, or noise drawn out along the mean flow."""
    if photos and rng.random() < 0.6:
        half = _crop(rng, photos, height // 2 + 1, width // 2 + 1)
        mirrored = np.concatenate([half, half[:, ::-1]], 1)
        mirrored = np.concatenate([mirrored, mirrored[::-1]], 0)
        return np.asarray(cv2.resize(mirrored, (width, height)), np.float32)
    fy = np.fft.fftfreq(height)[:, None] * height
    fx = np.fft.rfftfreq(width)[None] * width
    mean = velocity.mean((0, 1)).astype(np.float64)
    mean /= np.hypot(*mean) + 1e-9
    along, across = fx * mean[0] + fy * mean[1], -fx * mean[1] + fy * mean[0]
    stretch = rng.uniform(1, 5)
    radius = np.hypot(along * stretch, across) + 2
    spectrum = radius ** -rng.uniform(1.0, 1.9)
    noise = []
    for _ in range(2):
        phase = rng.standard_normal(spectrum.shape) + 1j * rng.standard_normal(spectrum.shape)
        field = np.fft.irfft2(phase * spectrum, (height, width))
        noise.append((field - field.mean()) / (field.std() + 1e-9))
    base, tint = rng.uniform(60, 220, 3), rng.normal(0, 1, 3) * 8
    contrast = rng.uniform(15, 60)
    picture = base + contrast * noise[0][..., None] + tint * noise[1][..., None]
    return np.clip(picture, 0, 255).astype(np.float32)


def _picture(rng: np.random.Generator, height: int, width: int, photos: list[ByteArray] | None) -> FloatArray:
    """A background: a photo crop, or noise without a direction."""
    if photos and rng.random() < 0.85:
        return _crop(rng, photos, height, width)
    noise = sum(smooth_noise(rng, height, width, 2.0**k) * 0.6**k for k in range(1, 6))
    colour = rng.uniform(30, 200, 3)
    return np.clip(colour + 40 * np.asarray(noise)[..., None] * rng.uniform(0.3, 1, 3), 0, 255).astype(
        np.float32
    )


def _crop(rng: np.random.Generator, photos: list[ByteArray], height: int, width: int) -> FloatArray:
    """A random part of a random photo, brought to size, (H, W, 3) float32."""
    photo = photos[rng.integers(len(photos))]
    part = rng.uniform(0.4, 1)
    h, w = max(8, int(photo.shape[0] * part)), max(8, int(photo.shape[1] * part))
    top, left = rng.integers(photo.shape[0] - h + 1), rng.integers(photo.shape[1] - w + 1)
    crop = photo[top : top + h, left : left + w]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
