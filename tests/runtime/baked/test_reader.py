# SPDX-License-Identifier: Apache-2.0
"""Baked scenes that are read: the golden one for ever, and whatever is wrong gives an error with a fix."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.baked import fields, pictures
from stillflow.baked.layout import Encoding, Kind
from stillflow.baked.reader import decode_baked, read_baked
from stillflow.errors import StillflowError

from ..scenes import textured
from .damage import head_of, laid_out, pieces_of, with_head, with_piece, without


def refused(data: bytes, why: str) -> None:
    with pytest.raises(StillflowError, match=why) as caught:
        decode_baked(data)
    assert caught.value.fix


def test_version_1_0_loads_for_ever(golden_folder: Path, golden: bytes) -> None:
    expected = json.loads((golden_folder / "falls.json").read_text())
    baked = read_baked(golden_folder / "falls-1.0.sflow")
    for name, digest in expected["arrays"].items():
        array = getattr(baked.scene.arrays, name)
        little = array.astype(array.dtype.newbyteorder("<"))
        assert hashlib.sha256(little.tobytes()).hexdigest() == digest, name
    assert baked.scene.arrays.blend is None
    assert (baked.scene.frames, baked.scene.fps) == (12, 12.0)
    assert baked.about["synthetic"] is True
    assert len(golden) < 6000


def test_its_frames_are_those_of_the_reference(golden_folder: Path, golden: bytes) -> None:
    times = json.loads((golden_folder / "falls.json").read_text())["times"]
    frames = np.asarray(Image.open(golden_folder / "falls-frames.png")).reshape(len(times), 32, 48, 3)
    scene = decode_baked(golden).scene
    for t, expected in zip(times, frames, strict=True):
        assert np.abs(scene.frame(t).astype(int) - expected).max() <= 1, t
    assert np.abs(frames[1].astype(int) - frames[0]).mean() > 1, "something moves"
    assert np.array_equal(scene.frame(0), scene.arrays.photo)


def test_the_smallest_file_plays(golden: bytes) -> None:
    few = without(
        golden, Kind.PLATE, Kind.SWAY, Kind.SWAY_PERIODS, Kind.LIGHT, Kind.LIGHT_PERIODS, Kind.ABOUT
    )
    baked = decode_baked(few)
    assert baked.about == {}
    assert np.array_equal(baked.scene.arrays.plate, baked.scene.arrays.photo)
    assert baked.scene.arrays.sway.shape == (0, 8, 12, 4)
    assert baked.scene.frame(3.5).shape == (32, 48, 3)


def test_cut_short_anywhere_it_is_refused(golden: bytes) -> None:
    for cut in range(len(golden)):
        with pytest.raises(StillflowError):
            decode_baked(golden[:cut])
    refused(golden + b"\0", "its header says")


def test_a_flipped_bit_anywhere_is_found(golden: bytes) -> None:
    for at in range(len(golden)):
        broken = bytearray(golden)
        broken[at] ^= 1 << at % 8
        with pytest.raises(StillflowError):
            decode_baked(bytes(broken))


def test_nothing_lies_between_sections(golden: bytes) -> None:
    pieces = pieces_of(golden)
    refused(
        laid_out(golden, [(s, pieces[s.kind]) for s in head_of(golden).sections], b"\1"),
        "between its sections",
    )


FLOW, CYCLES = np.zeros((1, 8, 12), np.uint8), np.ones((1, 8, 12), np.uint8)
CYCLES[0, 3, 3] = 0


@pytest.mark.parametrize(
    ("kind", "piece", "why"),
    [
        (Kind.CYCLES, fields.pack(CYCLES), "hold a 0"),
        (Kind.SWAY_PERIODS, struct.pack("<II", 1, 0), "hold a 0"),
        (Kind.LIGHT_PERIODS, struct.pack("<I", 1 << 31), "beyond 1,000,000"),
        (Kind.FLOW, zlib.compress(bytes(1 << 24), 9), "less or more"),
        (Kind.FLOW, fields.pack(FLOW[:, 1:]), "less or more"),
        (Kind.FLOW, b"no stream", "damaged"),
        (Kind.VELOCITY, fields.pack(FLOW), "less or more"),
        (Kind.PHOTO, pictures.encode(textured(32, 49), Encoding.JPEG), "has 49x32 pixels"),
        (Kind.PHOTO, pictures.encode(textured(32, 48), Encoding.WEBP), "no JPEG"),
        (Kind.PLATE, pictures.encode(textured(48, 32), Encoding.WEBP), "has 32x48 pixels"),
        (Kind.MATTE, pictures.encode(textured(32, 48), Encoding.PNG), "colour type 2"),
        (Kind.ABOUT, b"{" + b" " * 154, "is not JSON"),
        (Kind.ABOUT, b"[" * 155, "is not JSON"),
        (Kind.ABOUT, b"\xff" * 155, "is not JSON"),
        (Kind.ABOUT, b'{"a":"\\ud800"}' + b" " * 141, "is not JSON"),
        (Kind.ABOUT, b'{"a":NaN}' + b" " * 146, "is not JSON"),
        (Kind.ABOUT, b"[]" + b" " * 153, "not a JSON object"),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_sections_that_lie(golden: bytes, kind: Kind, piece: bytes, why: str) -> None:
    refused(with_piece(golden, kind, piece), why)


@pytest.mark.parametrize(
    ("kind", "planes"), [(Kind.VELOCITY, 2), (Kind.INSIDE, 1), (Kind.SWAY, 8), (Kind.LIGHT, 2)], ids=str
)
def test_numbers_that_make_no_sense(golden: bytes, kind: Kind, planes: int) -> None:
    wild = np.full((planes, 8, 12), -32768, np.int16)
    refused(with_piece(golden, kind, fields.pack(wild), exponent=60), "make no sense")
    sound = decode_baked(with_piece(golden, kind, fields.pack(wild), exponent=-60))
    assert sound.scene.frame(5.3).shape == (32, 48, 3)


def test_memory_has_a_limit(golden: bytes, golden_folder: Path) -> None:
    with pytest.raises(StillflowError, match=r"takes .* MB of memory, and the limit is"):
        decode_baked(golden, memory_limit=20_000)
    with pytest.raises(StillflowError, match="the limit is"):
        read_baked(golden_folder / "falls-1.0.sflow", memory_limit=20_000)


def test_a_picture_of_many_pixels_is_refused_by_its_header(golden: bytes) -> None:
    """Five kB that announce 134 million pixels take no memory."""
    sizes = {32: (11585, 11585), 8: (2897, 2897)}
    sections = []
    for section in head_of(golden).sections:
        planes, rows, columns = section.shape
        size = sizes.get(rows, (rows, columns))
        decoded = section.decoded // (rows * columns) * size[0] * size[1]
        sections.append(replace(section, shape=(planes, *size), decoded=decoded))
    refused(with_head(golden, width=11585, height=11585, sections=tuple(sections)), "MB of memory")


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"")]
)
def test_files_that_are_none(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "it.sflow"
    make(path)
    with pytest.raises(StillflowError, match=r"cannot play .*it\.sflow") as caught:
        read_baked(path)
    assert caught.value.fix


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "it.sflow")
    with pytest.raises(StillflowError, match="it is no file"):
        read_baked(tmp_path / "it.sflow")


def test_files_that_change_their_size(golden: bytes, tmp_path: Path) -> None:
    path = tmp_path / "it.sflow"
    for data in (golden[:-1], golden + b"x", golden[:100], golden[:500]):
        path.write_bytes(data)
        with pytest.raises(StillflowError, match=r"it has|ends"):
            read_baked(path)
