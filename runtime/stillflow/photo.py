# SPDX-License-Identifier: Apache-2.0
"""A picture file becomes a Photo: upright, 8-bit, sRGB, of a size that was checked before decoding.

Pillow reads the files (docs/adr/0002-pillow-reads-photos.md says why). Decided here, on purpose:

- EXIF orientation is applied, so that arrows and masks mean what the user sees.
- An embedded colour profile is converted to sRGB (relative colorimetric, black point compensated),
  unless it is sRGB within one level: then the pixels stay as they are.
- 16-bit samples are divided by 257, so 65535 becomes 255. Pillow hands out 16-bit *colour* cut to the
  high byte, which is never more than one level away from that.
- CMYK goes through its profile when it has one, through Pillow's plain formula otherwise.
- Transparent parts are laid over white and the alpha is kept beside the colours: most videos have no
  alpha, and what hides under a transparent pixel is often garbage.
- Of an animated or many-paged file the first picture is taken.
"""

from __future__ import annotations

import io
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.picture import MAX_PIXELS, damaged, decode, open_picture, reason

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

MIN_SIDE = 16
"""Shortest side in pixels: below it a field at 1/4 size has fewer than 4 samples and nothing can flow."""

ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Photo:
    """One still picture, upright, 8-bit sRGB.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, C-contiguous; transparent parts already lie over white.
        alpha: (H, W) uint8, 255 = opaque; None when the picture has no transparency.
        gray: the picture has no colour: R = G = B everywhere.
        source: the file it came from, None for an array.

    Raises:
        StillflowError: the arrays have another shape or type, or a side is shorter than 16 pixels.
    """

    pixels: ByteArray
    alpha: ByteArray | None = None
    gray: bool = False
    source: Path | None = None

    def __post_init__(self) -> None:
        p = self.pixels
        if p.ndim != 3 or p.shape[2] != 3 or p.dtype != np.uint8 or not p.flags.c_contiguous:
            raise StillflowError(
                "cannot take this array as a photo",
                f"its shape is {p.shape} and its type {p.dtype}",
                "use Photo.from_array, which converts gray, alpha, 16-bit and float arrays",
            )
        if self.alpha is not None and (self.alpha.shape != p.shape[:2] or self.alpha.dtype != np.uint8):
            raise StillflowError(
                "cannot take this array as the photo's alpha",
                f"its shape is {self.alpha.shape} and its type {self.alpha.dtype}",
                f"give a uint8 array of shape {p.shape[:2]}",
            )
        _check_small(self.height, self.width, self.source)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @classmethod
    def from_array(cls, array: npt.ArrayLike) -> Photo:
        """Make a photo of an array.

        Args:
            array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) in RGB(A) order; uint8, uint16 (full range) or
                float 0..1.

        Returns:
            The photo. Its pixels never share memory with the array.

        Raises:
            StillflowError: another shape or type, NaN or infinity, floats outside 0..1, too small.
        """
        a = np.asarray(array)
        if a.ndim == 2:
            a = a[..., None]
        if a.ndim != 3 or a.shape[2] not in (1, 3, 4) or a.size == 0:
            raise StillflowError(
                "cannot take this array as a photo",
                f"its shape is {np.shape(array)}",
                "give an array of shape (H, W), (H, W, 3) or (H, W, 4)",
            )
        data = _to_bytes(a, "cannot take this array as a photo")
        alpha = None
        if data.shape[2] == 4:
            alpha = np.ascontiguousarray(data[..., 3])
            data = data[..., :3]
        rgb = np.ascontiguousarray(np.broadcast_to(data, (*data.shape[:2], 3)))
        return cls(*_over_white(np.array(rgb, copy=True), alpha), gray=_is_gray(rgb))

    def fitted(self, long_side: int | None) -> Photo:
        """Return the photo scaled down so that its longer side has at most that many pixels.

        Args:
            long_side: pixels, or None for the photo as it is. A photo is never enlarged.

        Returns:
            A smaller photo (area-averaged), or this one when it already fits.

        Raises:
            StillflowError: long_side is below 16, or the shorter side would become so.
        """
        if long_side is None:
            return self
        if long_side < MIN_SIDE:
            raise StillflowError(
                f"cannot make a loop {long_side} pixels long",
                f"the smallest side is {MIN_SIDE} pixels",
                "ask for a larger size, for example 720",
            )
        longest = max(self.height, self.width)
        if longest <= long_side:
            return self
        import cv2

        height = max(1, round(self.height * long_side / longest))
        width = max(1, round(self.width * long_side / longest))
        if min(height, width) < MIN_SIDE:
            raise StillflowError(
                f"cannot fit this {self.width}x{self.height} photo into {long_side} pixels",
                f"it would become {width}x{height}, and the smallest side is {MIN_SIDE} pixels",
                "ask for a larger size, or crop the photo",
            )
        pixels = cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA)
        alpha = None
        if self.alpha is not None:
            alpha = np.asarray(
                cv2.resize(self.alpha, (width, height), interpolation=cv2.INTER_AREA),
                np.uint8,
            )
        return Photo(np.ascontiguousarray(pixels, np.uint8), alpha, self.gray, self.source)


def load_photo(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a picture file.

    Args:
        path: JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP or JPEG 2000; HEIC when pillow-heif is installed.
        max_pixels: largest width x height that is decoded, checked on the header.

    Returns:
        The photo, upright, in sRGB.

    Raises:
        StillflowError: no such file, a folder, empty, not a picture, damaged, too large or too small.
    """
    path = Path(path)
    with open_picture(path, max_pixels) as image:
        _check_small(image.height, image.width, path)
        image = decode(image, path)
        try:
            rgb, alpha = _to_rgb(image, path)
        except (MemoryError, ValueError, OSError) as error:
            raise damaged(path, error) from error
    pixels, kept = _over_white(rgb, alpha)
    return Photo(pixels, kept, _is_gray(pixels), path)


def read_gray(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> ByteArray:
    """Read any picture file as one plane, for masks.

    The picture is turned upright; colours become luma; transparent counts as black; a colour profile
    is ignored, since a mask is data.

    Args:
        path: a picture file, of any size.
        max_pixels: largest width x height that is decoded.

    Returns:
        (h, w) uint8.

    Raises:
        StillflowError: as load_photo, except that any size above zero will do.
    """
    path = Path(path)
    with open_picture(path, max_pixels) as image:
        image = decode(image, path)
        image.info.pop("icc_profile", None)
        try:
            rgb, alpha = _to_rgb(image, path)
        except (MemoryError, ValueError, OSError) as error:
            raise damaged(path, error) from error
    plane = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    if alpha is not None:
        plane *= alpha.astype(np.float32) / 255
    return np.asarray(np.rint(plane), np.uint8)


def _check_small(height: int, width: int, source: Path | None) -> None:
    if min(height, width) < MIN_SIDE:
        name = f"the photo {source}" if source is not None else "this photo"
        raise StillflowError(
            f"cannot animate {name}",
            f"it is {width}x{height} pixels, and each side needs at least {MIN_SIDE}",
            "give a larger picture; 1280x720 or more looks best",
        )


def _to_rgb(image: Image.Image, path: Path) -> tuple[ByteArray, ByteArray | None]:
    """Return (H, W, 3) uint8 sRGB with straight alpha, and the alpha or None."""
    from PIL import Image

    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_deep_to_bytes(image, path))
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
        alpha = np.asarray(image.getchannel("A"), np.uint8)
        image = image.convert("L" if image.mode == "LA" else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    if profile or image.mode == "LAB":
        image = _to_srgb(image, profile, path)
    return np.array(image.convert("RGB"), np.uint8), alpha


def _to_srgb(image: Image.Image, profile: bytes | None, path: Path) -> Image.Image:
    from PIL import Image, ImageCms

    try:
        if profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        else:
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if image.mode in ("L", "RGB"):
            probe = _probe(image.mode)
            before = np.asarray(probe.convert("RGB"), np.int16)
            after = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
            if int(np.abs(before - after).max()) <= 1:
                return image
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.warning("ignoring the colour profile of %s: %s", path, reason(error))
        return image
    assert isinstance(converted, Image.Image)
    return converted


def _probe(mode: str) -> Image.Image:
    from PIL import Image

    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1)
    return Image.fromarray(np.ascontiguousarray(cube.reshape(64, 64, 3)))


def _deep_to_bytes(image: Image.Image, path: Path) -> ByteArray:
    """Scale a one-channel picture of more than 8 bits (modes I, I;16*, F)."""
    data = np.asarray(image)
    if image.mode == "I":
        if data.min() < 0 or data.max() > 65535:
            raise StillflowError(
                f"cannot read the picture {path}",
                f"its samples run from {data.min()} to {data.max()}, more than 16 bits",
                "convert it to an 8-bit or 16-bit picture",
            )
        data = data.astype(np.uint16)
    return _to_bytes(data.astype(data.dtype.newbyteorder("=")), f"cannot read the picture {path}")


def _to_bytes(data: npt.NDArray[Any], what: str) -> ByteArray:
    """Scale uint8, uint16 or float 0..1 samples to 0..255."""
    if data.dtype == np.uint8:
        return data
    if data.dtype == np.uint16:
        return np.asarray((data.astype(np.uint32) + 128) // 257, np.uint8)
    if data.dtype.kind == "f":
        if not np.isfinite(data).all():
            raise StillflowError(what, "it holds NaN or infinity", "replace those samples first")
        low, high = float(data.min()), float(data.max())
        if low < 0 or high > 1:
            raise StillflowError(
                what,
                f"its float samples run from {low:g} to {high:g}",
                "scale floats to 0..1 (tone-map a high dynamic range picture), or use 8 or 16 bits",
            )
        return np.asarray(np.rint(data * 255), np.uint8)
    raise StillflowError(what, f"its samples are {data.dtype}", "use uint8, uint16 or floats 0..1")


def _over_white(rgb: ByteArray, alpha: ByteArray | None) -> tuple[ByteArray, ByteArray | None]:
    if alpha is None or int(alpha.min()) == 255:
        return rgb, None
    a = alpha[..., None].astype(np.uint16)
    mixed = (rgb.astype(np.uint16) * a + (255 - a) * 255 + 127) // 255
    return np.ascontiguousarray(mixed, np.uint8), np.ascontiguousarray(alpha)


def _is_gray(rgb: ByteArray) -> bool:
    coarse = rgb[::16, ::16]
    for part in (coarse, rgb):
        if not (np.array_equal(part[..., 0], part[..., 1]) and np.array_equal(part[..., 1], part[..., 2])):
            return False
    return True
