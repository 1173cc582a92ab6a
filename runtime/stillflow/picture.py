# SPDX-License-Identifier: Apache-2.0
"""Opening a picture file of unknown origin: what it is, how large, and whether its bytes hold together.

Only readers that were chosen are tried, the size is known before anything is decoded, and whatever a
reader throws at bad bytes becomes one clear error.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from stillflow.errors import StillflowError

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

MAX_PIXELS = 120_000_000
"""Largest picture that is decoded: 12000 x 10000, 360 MB as RGB."""

FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "WEBP",
    "TIFF",
    "AVIF",
    "HEIF",
    "GIF",
    "BMP",
    "PPM",
    "JPEG2000",
)
"""What Pillow may try. EPS (which starts Ghostscript) and other exotic readers stay shut."""

READABLE = "JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP, JPEG 2000"

RAW_SUFFIXES = frozenset((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"))
"""Camera raw files. Most of them are TIFF files that hold a small preview: better refused than blurred."""

_SIGNATURES = (
    (re.compile(rb"%PDF-"), "a PDF document", "export the page as a PNG"),
    (
        re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", re.DOTALL),
        "an SVG drawing",
        "export it as a PNG",
    ),
    (
        re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"),
        "a PostScript drawing",
        "export it as a PNG",
    ),
    (re.compile(rb"8BPS"), "a Photoshop document", "export it as a PNG or TIFF"),
    (
        re.compile(rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", re.DOTALL),
        "a HEIC picture, and the reader for it is not installed",
        "run: pip install pillow-heif   (or convert it to JPEG)",
    ),
    (
        re.compile(rb"....ftypavi[fs]", re.DOTALL),
        "an AVIF picture this Pillow cannot read",
        "convert it to PNG",
    ),
    (
        re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL),
        "a video",
        "take one frame of it, for example: ffmpeg -i video.mp4 -frames:v 1 photo.png",
    ),
    (
        re.compile(rb"PK\x03\x04|\x1f\x8b"),
        "an archive",
        "unpack it and give the picture inside",
    ),
)

_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG|RIFF....WEBP|II\*\0|MM\0\*|GIF8|BM|\0\0\0\x0cjP", re.DOTALL)
"""How the readable formats begin: such a file that no reader takes is damaged, not something else."""


def open_picture(path: Path, max_pixels: int) -> Image.Image:
    """Open a picture's header; nothing is decoded before the size is known to be bearable.

    Args:
        path: the file.
        max_pixels: largest width x height that is let through.

    Returns:
        The opened, not yet decoded picture; the caller closes it.

    Raises:
        StillflowError: no such file, a folder, a device, empty, not a picture, or too large.
    """
    what = f"cannot read the picture {path}"
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise StillflowError(what, "there is no such file", "check the name and the folder") from error
    except (OSError, ValueError) as error:
        raise StillflowError(what, reason(error), "check the name and the folder") from error
    if stat.S_ISDIR(status.st_mode):
        raise StillflowError(what, "it is a folder", "give the name of one picture file inside it")
    if not stat.S_ISREG(status.st_mode):
        raise StillflowError(
            what,
            "it is a device or a pipe, not a file",
            "save the picture to a file first",
        )
    if status.st_size == 0:
        raise StillflowError(what, "the file is empty", "copy or download it again")
    if path.suffix.lower() in RAW_SUFFIXES:
        raise StillflowError(
            what,
            "it is a camera raw file, which must be developed first",
            "export it as a JPEG or TIFF from a photo program",
        )
    from PIL import Image

    _import_readers()
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 million pixels, and about odd tags. The limit here is our own, checked
            # just below; and what matters about damage becomes an error.
            warnings.simplefilter("ignore")
            image = Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError as error:
        count = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(
            path,
            f"its header announces {int(count[1]):,} pixels" if count else "",
            max_pixels,
        ) from error
    except PermissionError as error:
        raise StillflowError(what, "permission denied", f"run: chmod +r {path}") from error
    except Exception as error:  # readers raise OSError, SyntaxError, struct.error and more on bad bytes
        raise _not_a_picture(path, what, error) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise _too_large(path, f"it is {width}x{height}, {width * height:,} pixels", max_pixels)
    return image


def decode(image: Image.Image, path: Path) -> Image.Image:
    """Decode the first picture of an opened file and turn it upright.

    Raises:
        StillflowError: the bytes are damaged or cut short.
    """
    from PIL import ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.seek(0)
            image.load()
    except Exception as error:
        raise damaged(path, error) from error
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception as error:  # a broken EXIF block leaves the picture readable
        log.warning("ignoring the EXIF block of %s: %s", path, reason(error))
        return image
    turned.info.setdefault("icc_profile", image.info.get("icc_profile"))
    return turned


def _import_readers() -> None:
    """Import the readers of FORMATS alone: Image.init() would import 40 others, and takes longer."""
    for name in (
        "Jpeg",
        "Mpo",
        "Png",
        "WebP",
        "Tiff",
        "Avif",
        "Gif",
        "Bmp",
        "Ppm",
        "Jpeg2K",
    ):
        # Older Pillows have no AVIF reader; then such a file is named in the error below.
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{name}ImagePlugin")
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()


def _not_a_picture(path: Path, what: str, error: Exception) -> StillflowError:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        head = b""
    for pattern, kind, fix in _SIGNATURES:
        if pattern.match(head):
            return StillflowError(what, f"it is {kind}", fix)
    from PIL import UnidentifiedImageError

    if not isinstance(error, UnidentifiedImageError):
        return damaged(path, error)
    if _PICTURE.match(head):
        return damaged(path, ValueError("its header cannot be read"))
    return StillflowError(what, "its bytes are not those of a picture", f"give one of: {READABLE}")


def damaged(path: Path, error: Exception) -> StillflowError:
    """Turn what a reader threw into an error about the file."""
    if isinstance(error, StillflowError):
        return error
    if isinstance(error, MemoryError):
        return StillflowError(
            f"cannot read the picture {path}",
            "there is not enough memory to decode it",
            "scale it down first",
        )
    return StillflowError(
        f"cannot read the picture {path}",
        f"the file is damaged or cut short ({reason(error)})",
        "copy or download it again",
    )


def _too_large(path: Path, found: str, max_pixels: int) -> StillflowError:
    return StillflowError(
        f"refused to decode the picture {path}",
        f"{found or 'it is too large'}; the limit is {max_pixels:,}",
        "scale it down with a photo program first; a loop needs no more than 4096x4096",
    )


def reason(error: BaseException) -> str:
    """One line about an exception, without its class when it has a message."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
