# SPDX-License-Identifier: Apache-2.0
"""The reader in the browser refuses what Python's refuses: files cut short, damaged, and lying with hashes that fit."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.baked import fields, pictures
from stillflow.baked.layout import Encoding, Kind, Section
from stillflow.baked.reader import decode_baked
from stillflow.errors import StillflowError

from ..baked.damage import head_of, laid_out, pieces_of, with_head, with_line, with_more, with_piece, without
from ..scenes import textured
from .chromium import Page

READ = """(async (texts) => {
  const { readScene } = await import("./component/sflow.js");
  const { SflowError } = await import("./component/errors.js");
  const said = [];
  for (const text of texts) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    try {
      const scene = await readScene(bytes);
      for (const name of ["photo", "matte", "plate"]) if (name !== "plate" || scene.hasPlate) await scene.picture(name);
      said.push("");
    } catch (error) {
      said.push(error instanceof SflowError && error.fix ? error.why : `a bug: ${error.stack}`);
    }
  }
  return said;
})(%s)"""


@pytest.fixture
def golden(source_tree: Path) -> bytes:
    return (source_tree / "tests" / "data" / "baked" / "falls-1.0.sflow").read_bytes()


@pytest.fixture
def read(opened: Callable[..., Page]) -> Callable[[list[bytes]], list[str]]:
    """Why each of the files is refused; "" where it is read."""
    page = opened("")

    def said(files: list[bytes]) -> list[str]:
        texts = [base64.b64encode(data).decode() for data in files]
        found: list[str] = page.run(READ % texts)
        assert not [why for why in found if why.startswith("a bug")], found
        return found

    return said


def test_what_is_sound_is_read(golden: bytes, read: Callable) -> None:
    few = without(
        golden, Kind.PLATE, Kind.SWAY, Kind.SWAY_PERIODS, Kind.LIGHT, Kind.LIGHT_PERIODS, Kind.ABOUT
    )
    extra = Section(0x9000, 77, 0, 0, 5, 0, (9, 9, 9), b"")
    picture = decode_baked(golden).scene.arrays.photo
    files = [golden, few, with_head(golden, minor=7), with_more(golden, extra, b"hello")]
    matte = png_of(struct.pack(">IIBBBBB", 48, 32, 8, 0, 0, 0, 0), zlib.compress(bytes(32 * 49)))
    files.append(with_piece(golden, Kind.MATTE, matte))
    for encoding in (Encoding.RAW, Encoding.PNG, Encoding.WEBP, Encoding.JPEG):
        piece = pictures.encode(picture, encoding)
        files.append(with_piece(golden, Kind.PHOTO, piece, encoding=encoding))
    assert read(files) == [""] * len(files)


def test_cut_short_or_flipped_anywhere_it_is_refused(golden: bytes, read: Callable) -> None:
    files = [golden[:cut] for cut in range(0, len(golden), 37)]
    places = [*range(0, 1200, 7), *range(1200, len(golden), 61)]
    files += [golden[:at] + bytes([golden[at] ^ 1 << at % 8]) + golden[at + 1 :] for at in places]
    assert "" not in read(files)


FLOW, CYCLES = np.zeros((1, 8, 12), np.uint8), np.ones((1, 8, 12), np.uint8)
CYCLES[0, 3, 3] = 0
WILD = fields.pack(np.full((2, 8, 12), -32768, np.int16))


def ink() -> bytes:
    """A JPEG of four components."""
    file = io.BytesIO()
    Image.fromarray(textured(32, 48)).convert("CMYK").save(file, "JPEG")
    return file.getvalue()


def png_of(header: bytes, coded: bytes) -> bytes:
    """A PNG whose sums fit."""
    chunks = [(b"IHDR", header), (b"IDAT", coded), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def refused_by_python(data: bytes) -> bool:
    try:
        decode_baked(data)
    except StillflowError:
        return True
    return False


def test_files_that_lie_are_refused_as_in_python(golden: bytes, read: Callable) -> None:
    plain, wild = pieces_of(golden), {"exponent": 60}
    gray = io.BytesIO()
    Image.fromarray(textured(32, 48)[..., 0]).save(gray, "PNG")
    png = gray.getvalue()
    at = png.index(b"IDAT")
    short = png_of(png[16:29], zlib.compress(bytes(31 * 49)))
    chunk = struct.pack(">I4s", 1, b"ZZZZ") + b"x" + struct.pack(">I", zlib.crc32(b"ZZZZx"))
    photo = plain[Kind.PHOTO]
    lies = {
        "width": with_head(golden, width=49),
        "pixels": with_head(golden, width=65535, height=65535),
        "frames": with_head(golden, frames=0),
        "fps": with_head(golden, fps=float("nan")),
        "offset": with_line(golden, Kind.MATTE, offset=1 << 63),
        "size": with_line(golden, Kind.MATTE, size=1 << 63),
        "decoded": with_line(golden, Kind.PHOTO, decoded=48 * 32 * 3 + 1),
        "shape": with_line(golden, Kind.SWAY, shape=(4, 8, 12)),
        "encoding": with_line(golden, Kind.MATTE, encoding=2),
        "exponent": with_line(golden, Kind.FLOW, exponent=1),
        "twice": with_line(golden, Kind.LIGHT, kind=Kind.SWAY),
        "unknown": with_more(golden, Section(13, 0, 0, 0, 5, 0, (1, 1, 5), b""), b"hello"),
        "missing": without(golden, Kind.INSIDE),
        "half": without(golden, Kind.SWAY_PERIODS),
        "gap": laid_out(golden, [(s, plain[s.kind]) for s in head_of(golden).sections], b"\1"),
        "cycles": with_piece(golden, Kind.CYCLES, fields.pack(CYCLES)),
        "periods": with_piece(golden, Kind.SWAY_PERIODS, struct.pack("<II", 1, 0)),
        "many periods": with_piece(golden, Kind.LIGHT_PERIODS, struct.pack("<I", 1 << 31)),
        "bomb": with_piece(golden, Kind.FLOW, zlib.compress(bytes(1 << 24), 9)),
        "less": with_piece(golden, Kind.FLOW, fields.pack(FLOW[:, 1:])),
        "no stream": with_piece(golden, Kind.FLOW, b"no stream"),
        "behind it": with_piece(golden, Kind.FLOW, fields.pack(FLOW) + b"\0"),
        "wild": with_piece(golden, Kind.VELOCITY, WILD, **wild),
        "wild light": with_piece(golden, Kind.LIGHT, WILD, **wild),
        "not JSON": with_piece(golden, Kind.ABOUT, b"\xff" * 155),
        "no object": with_piece(golden, Kind.ABOUT, b"[]" + b" " * 153),
        "other size": with_piece(golden, Kind.PHOTO, pictures.encode(textured(32, 49), Encoding.JPEG)),
        "no JPEG": with_piece(golden, Kind.PHOTO, pictures.encode(textured(32, 48), Encoding.WEBP)),
        "cut JPEG": with_piece(golden, Kind.PHOTO, photo[:-20]),
        "long JPEG": with_piece(golden, Kind.PHOTO, photo + b"\0"),
        "ink": with_piece(golden, Kind.PHOTO, ink()),
        "wrong WebP": with_piece(golden, Kind.PLATE, pictures.encode(textured(48, 32), Encoding.WEBP)),
        "coloured": with_piece(golden, Kind.MATTE, pictures.encode(textured(32, 48), Encoding.PNG)),
        "sum": with_piece(golden, Kind.MATTE, png[: at + 6] + bytes([png[at + 6] ^ 1]) + png[at + 7 :]),
        "short PNG": with_piece(golden, Kind.MATTE, short),
        "cut PNG": with_piece(golden, Kind.MATTE, png[:-4]),
        "chunk": with_piece(golden, Kind.MATTE, png[:33] + chunk + png[33:]),
    }
    whys = dict(zip(lies, read(list(lies.values())), strict=True))
    assert [name for name, data in lies.items() if not refused_by_python(data)] == []
    assert [name for name, why in whys.items() if not why] == []


def test_many_pixels_are_refused_by_the_header(golden: bytes, read: Callable) -> None:
    sizes = {32: (11585, 11585), 8: (2897, 2897)}
    sections = []
    for section in head_of(golden).sections:
        planes, rows, columns = section.shape
        size = sizes.get(rows, (rows, columns))
        decoded = section.decoded // (rows * columns) * size[0] * size[1]
        sections.append(replace(section, shape=(planes, *size), decoded=decoded))
    (why,) = read([with_head(golden, width=11585, height=11585, sections=tuple(sections))])
    assert "MB of memory, and the limit is" in why


def test_hashes_without_the_browsers_help(golden: bytes, opened: Callable[..., Page], read: Callable) -> None:
    page = opened("")
    rng = np.random.default_rng(5)
    texts = [rng.bytes(n) for n in (0, 1, 55, 56, 63, 64, 65, 1000)]
    program = """(async (texts) => {
      const { sha256Here } = await import("./component/sha256.js");
      return texts.map((text) => Array.from(sha256Here(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)))));
    })(%s)"""
    found = page.run(program % [base64.b64encode(text).decode() for text in texts])
    assert found == [list(hashlib.sha256(text).digest()) for text in texts]
    insecure = "Object.defineProperty(globalThis, 'crypto', {value: {}});" + READ
    broken = golden[:-1] + bytes([golden[-1] ^ 1])
    said = page.run(insecure % [base64.b64encode(data).decode() for data in (golden, broken)])
    assert said == ["", "the hash of its section about does not fit"]
