# SPDX-License-Identifier: Apache-2.0
"""A photo becomes a baked scene: as small as a web page bears, and exactly the loop that plays live.

The photo is by far the largest part, so it decides. In this order:

1. The photo file's own JPEG bytes, where they decode to the photo that is animated: it was neither scaled nor turned
   nor converted. EXIF, places and comments are left out.
2. Lossless WebP.
3. Where the whole file would take more than 1.44 bytes a pixel (3 MB at 1920x1080): a JPEG without chroma subsampling,
   of the best quality from 95 down to 88 that fits. Then that JPEG is what is animated, so that the live loop and the
   baked one still agree in every byte.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow import __version__
from stillflow.baked import pictures
from stillflow.baked.jpeg import cleaned
from stillflow.baked.layout import ENTRY, HEADER, Encoding
from stillflow.baked.writer import Part, arrays_of, assemble, parts, photo_part, save
from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray
from stillflow.photo import Photo

if TYPE_CHECKING:
    from stillflow.animator import Animator
    from stillflow.guidance import Guidance
    from stillflow.loop import Loop

BYTES_A_PIXEL = 1.44
"""Of the whole file; 2.99 MB at 1920x1080."""

QUALITIES = range(95, 87, -1)
"""Of a JPEG that takes the photo's place, the best first."""

SPARE = 0.98
"""Share of what is left for the photo that a JPEG may take: the other parts change a little with it."""

MADE = ("velocity", "matte", "sway", "light", "plate", "blend")
"""Parts of a loop that a network or a closed form makes; the file says which."""


@dataclass(frozen=True)
class Wishes:
    """How a photo is to be baked.

    Attributes:
        lossless: the photo's very pixels, whatever they take.
        raw: the same, and nothing compressed.
        alt: what the picture shows, for who does not see it.
        credit: who made the photo, and under which licence.
    """

    lossless: bool = False
    raw: bool = False
    alt: str | None = None
    credit: str | None = None


@dataclass(frozen=True, eq=False)
class Baking:
    """A baked scene, not yet written.

    Attributes:
        data: the bytes of the file.
        loop: the live loop; it plays the same frames.
        sizes: name of each section, its encoding, its bytes.
        photo: how the photo is held: "its own JPEG", "lossless", "raw" or "JPEG of quality 92".
        psnr: decibels between that JPEG and the photo; None where the pixels are the photo's.
    """

    data: bytes
    loop: Loop
    sizes: tuple[tuple[str, str, int], ...]
    photo: str
    psnr: float | None

    @property
    def bytes_a_pixel(self) -> float:
        """Of the whole file."""
        return len(self.data) / (self.loop.scene.width * self.loop.scene.height)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the file, which appears when it is complete; return its size in bytes."""
        return save(self.data, path)


def bake(
    animator: Animator,
    photo: Photo,
    guidance: Guidance | None = None,
    wishes: Wishes | None = None,
    *,
    seconds: float = 4.0,
    fps: float = 30.0,
    strict: bool = False,
) -> Baking:
    """Animate a photo and bake the loop.

    Args:
        animator: with the networks; its bundle's loop rule must be cross_fade.
        photo: at the size it is played.
        guidance: as for ``Animator.animate``.
        wishes: how.
        seconds: length of the loop.
        fps: frames a second.
        strict: as for ``Animator.animate``.

    Raises:
        StillflowError: as ``Animator.animate`` and ``write_scene``.
    """
    wishes = wishes or Wishes()
    if animator.bundle.manifest.loop.rule != "cross_fade":
        raise StillflowError(
            f"cannot bake with the bundle {animator.bundle.manifest.name}",
            "a network decodes its frames, and geometry alone makes none of them",
            "use a bundle whose loop rule is cross_fade: --bundle edge",
        )

    def animated(picture: Photo, *, strict: bool = False) -> tuple[Loop, list[Part]]:
        loop = animator.animate(picture, guidance, seconds=seconds, fps=fps, strict=strict)
        arrays, about = arrays_of(loop.scene), about_loop(loop, wishes)
        return loop, parts(arrays, raw=wishes.raw, about=about)

    # The verdict is on the photo, and stands for its JPEG.
    loop, others = animated(photo, strict=strict)
    kept, told = _exact(photo, raw=wishes.raw)
    psnr = None
    room = _left(photo, others)
    if len(kept.data) > room and not (wishes.lossless or wishes.raw):
        smaller = _compressed(photo, room)
        if len(smaller[1]) < len(kept.data):
            quality, data, pixels = smaller
            loop.close()
            loop, others = animated(replace(photo, pixels=pixels))
            kept, told = photo_part(Encoding.JPEG, pixels, data), f"JPEG of quality {quality}"
            psnr = _psnr(photo.pixels, pixels)
    every = [kept, *others]
    sizes = tuple((p.kind.name.lower(), p.encoding.name.lower(), len(p.data)) for p in every)
    return Baking(assemble(arrays_of(loop.scene), loop.fps, every), loop, sizes, told, psnr)


def about_loop(loop: Loop, wishes: Wishes | None = None) -> Mapping[str, Any]:
    """What a file says of itself: that its motion is made, by what, and what the user says of the photo."""
    made = {part: loop.runs[part] for part in MADE if part in loop.runs}
    said: dict[str, Any] = {
        "generator": f"stillflow {__version__}",
        "bundle": loop.runs["bundle"],
        "synthetic": True,
        "note": "The motion was made by a model from one still photo; it was not filmed.",
        "seed": loop.seed,
        "runs": made,
    }
    given = {} if wishes is None else {"alt": wishes.alt, "credit": wishes.credit}
    return said | {name: text for name, text in given.items() if text}


def own_jpeg(photo: Photo) -> bytes | None:
    """The JPEG bytes a photo was read from, without what is not the picture.

    Returns:
        None where it came from no JPEG, or where those bytes do not decode to its very pixels in two decoders.
    """
    import cv2

    try:
        if photo.source is None:
            return None
        data = cleaned(photo.source.read_bytes())
        found = pictures.decode(data, Encoding.JPEG, (3, photo.height, photo.width))
    except (OSError, ValueError):
        return None
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if other is None or not np.array_equal(found, photo.pixels):
        return None
    return data if np.array_equal(other[..., ::-1], photo.pixels) else None


def _exact(photo: Photo, *, raw: bool) -> tuple[Part, str]:
    """The photo's section without loss, and what that is called."""
    if raw:
        return photo_part(Encoding.RAW, photo.pixels), "raw"
    own = own_jpeg(photo)
    if own is not None:
        return photo_part(Encoding.JPEG, photo.pixels, own), "its own JPEG"
    return photo_part(None, photo.pixels), "lossless"


def _left(photo: Photo, others: list[Part]) -> int:
    """Bytes that a photo may take beside the other parts."""
    table = HEADER.size + (1 + len(others)) * (ENTRY.size + 64)
    return int(BYTES_A_PIXEL * photo.height * photo.width) - table - sum(len(part.data) for part in others)


def _compressed(photo: Photo, room: int) -> tuple[int, bytes, ByteArray]:
    """The best JPEG that fits; the smallest where none does. Quality, bytes, and what it decodes to."""
    for quality in QUALITIES:
        data = pictures.encode(photo.pixels, Encoding.JPEG, quality)
        if len(data) <= SPARE * room:
            break
    return quality, data, pictures.decode(data, Encoding.JPEG, (3, photo.height, photo.width))


def _psnr(a: ByteArray, b: ByteArray) -> float | None:
    """Decibels of the peak over the error; None where there is no error."""
    mean = float(np.mean((a.astype(np.int32) - b) ** 2))
    return float(10 * np.log10(255**2 / mean)) if mean else None
