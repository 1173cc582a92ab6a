# SPDX-License-Identifier: Apache-2.0
"""Header and table: every field is where docs/sflow.md says, and whatever is wrong with them is refused."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillflow.baked.layout import ENTRY, HEADER, MAGIC, Kind, Section, parse_head, table_bytes
from stillflow.errors import StillflowError

from .damage import head_of, laid_out, pieces_of, with_head, with_line, with_more, without


def parse(data: bytes) -> None:
    end = HEADER.size + table_bytes(data[: HEADER.size], "it", len(data))
    parse_head(data[:end], "it")


def refused(data: bytes, why: str | None = None) -> None:
    with pytest.raises(StillflowError, match=why) as caught:
        parse(data)
    assert caught.value.what == "cannot play it"
    assert caught.value.fix


def test_fields_lie_where_the_document_says(golden: bytes) -> None:
    assert golden[:8] == bytes.fromhex("8953464c4f570d0a") == MAGIC
    assert (HEADER.size, ENTRY.size) == (128, 80)
    major, minor, header, size = struct.unpack_from("<HHIQ", golden, 8)
    assert (major, minor, header, size) == (1, 0, 128, len(golden))
    assert struct.unpack_from("<IIII", golden, 24) == (48, 32, 12, 12)
    assert struct.unpack_from("<dI", golden, 40) == (12.0, 1)
    assert golden[52:64] == bytes(12) and golden[96:128] == bytes(32)
    table = golden[: 128 + 12 * 80]
    assert golden[64:96] == hashlib.sha256(table[:64] + bytes(32) + table[96:]).digest()
    kind, encoding, offset, count, decoded = struct.unpack_from("<IIQQQ", golden, 128)
    assert (kind, encoding, decoded) == (1, 2, 48 * 32 * 3)
    assert struct.unpack_from("<iIII", golden, 128 + 32) == (0, 3, 32, 48)
    assert offset % 64 == 0
    assert golden[128 + 48 : 128 + 80] == hashlib.sha256(golden[offset : offset + count]).digest()


def test_the_kinds_are_those_of_the_document(source_tree: Path) -> None:
    text = (source_tree / "docs" / "sflow.md").read_text(encoding="utf-8")
    block = text[text.index("## Kinds") : text.index("## Encodings")]
    assert {int(number, 0) for number in re.findall(r"^\| (\w+) \|", block, re.MULTILINE)[1:]} == set(Kind)


def test_packing_is_the_inverse_of_parsing(golden: bytes) -> None:
    head = head_of(golden)
    assert golden.startswith(head.pack())


def test_a_later_minor_version_is_read(golden: bytes) -> None:
    assert head_of(with_head(golden, minor=7)).minor == 7


def test_sections_that_may_be_skipped_are_skipped(golden: bytes) -> None:
    extra = Section(0x9000, 77, 0, 0, 5, 0, (9, 9, 9), b"")
    parse(with_more(golden, extra, b"hello"))
    refused(with_more(golden, replace(extra, kind=13), b"hello"), "0xd that this stillflow does not know")


def test_every_bit_of_header_and_table_matters(golden: bytes) -> None:
    end = HEADER.size + 12 * ENTRY.size
    for at in range(end):
        for bit in range(8):
            broken = bytearray(golden)
            broken[at] ^= 1 << bit
            with pytest.raises(StillflowError):
                parse(bytes(broken))


def test_another_version_is_told(golden: bytes) -> None:
    refused(golden[:8] + b"\2\0" + golden[10:], "its version is 2")


def test_what_is_no_scene_is_told() -> None:
    refused(b"", "not a baked scene")
    refused(b"\x89PNG\r\n\x1a\n" + bytes(200), "not a baked scene")
    refused(MAGIC.replace(b"\r\n", b"\n") + bytes(200), "transfer as text")


@pytest.mark.parametrize("count", [0, 65, 0xFFFFFFFF])
def test_a_table_beyond_the_limits_is_refused_before_it_is_read(golden: bytes, count: int) -> None:
    refused(golden[:36] + struct.pack("<I", count) + golden[40:], "its header is damaged")


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"width": 65536},
        {"width": 65535, "height": 65535},
        {"height": 0},
        {"width": 49},
        {"frames": 0},
        {"frames": 1_000_001},
        {"fps": 0.0},
        {"fps": -1.0},
        {"fps": float("nan")},
        {"fps": float("inf")},
        {"fps": 240.5},
    ],
    ids=str,
)
def test_headers_that_lie(golden: bytes, changes: dict[str, Any]) -> None:
    refused(with_head(golden, **changes))


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        (Kind.PHOTO, {"offset": 64}, "does not lie"),
        (Kind.MATTE, {"offset": 1 << 63}, "does not lie"),
        (Kind.MATTE, {"offset": 1088}, "does not lie"),
        (Kind.MATTE, {"size": 1 << 63}, "does not lie"),
        (Kind.PHOTO, {"size": 0}, "does not lie|has 0 bytes"),
        (Kind.ABOUT, {"size": 154}, "sections end"),
        (Kind.PHOTO, {"decoded": 48 * 32 * 3 + 1}, "not what its size says"),
        (Kind.VELOCITY, {"decoded": 8 * 12 * 2 * 4}, "not what its size says"),
        (Kind.PHOTO, {"shape": (4, 32, 48)}, "has a size of"),
        (Kind.MATTE, {"shape": (1, 48, 32)}, "has a size of"),
        (Kind.SWAY, {"shape": (4, 8, 12)}, "differ in number"),
        (Kind.SWAY, {"shape": (0, 8, 12)}, "differ in number"),
        (Kind.SWAY_PERIODS, {"shape": (1, 1, 65)}, "differ in number"),
        (Kind.SWAY_PERIODS, {"shape": (1, 1, 0)}, "differ in number"),
        (Kind.ABOUT, {"shape": (1, 1, 65537)}, "has a size of"),
        (Kind.ABOUT, {"shape": (1, 1, 0)}, "has a size of"),
        (Kind.PHOTO, {"encoding": 4}, "has the encoding 4"),
        (Kind.MATTE, {"encoding": 2}, "has the encoding 2"),
        (Kind.VELOCITY, {"encoding": 0}, "has the encoding 0"),
        (Kind.FLOW, {"encoding": 0xFFFFFFFF}, "has the encoding"),
        (Kind.VELOCITY, {"encoding": 4}, "has 76 bytes"),
        (Kind.VELOCITY, {"exponent": 61}, "exponent 61"),
        (Kind.VELOCITY, {"exponent": -61}, "exponent -61"),
        (Kind.FLOW, {"exponent": 1}, "exponent 1"),
        (Kind.LIGHT, {"kind": Kind.SWAY}, "there twice"),
        (Kind.SWAY, {"kind": Kind.BLEND}, "only one is there"),
    ],
    ids=str,
)
def test_lines_that_lie(golden: bytes, kind: Kind, changes: dict[str, Any], why: str) -> None:
    refused(with_line(golden, kind, **changes), why)


@pytest.mark.parametrize(
    "kind", [Kind.PHOTO, Kind.MATTE, Kind.VELOCITY, Kind.FLOW, Kind.CYCLES, Kind.INSIDE], ids=str
)
def test_what_must_be_there(golden: bytes, kind: Kind) -> None:
    refused(without(golden, kind), f"holds no {kind.name.lower()}")


def test_what_comes_together(golden: bytes) -> None:
    refused(without(golden, Kind.SWAY_PERIODS), "only one is there")
    parse(
        without(golden, Kind.SWAY, Kind.SWAY_PERIODS, Kind.LIGHT, Kind.LIGHT_PERIODS, Kind.PLATE, Kind.ABOUT)
    )


def test_sections_lie_in_the_order_of_the_table(golden: bytes) -> None:
    sections = head_of(golden).sections
    refused(with_head(golden, sections=(sections[1], sections[0], *sections[2:])), "does not lie")
    pieces = pieces_of(golden)
    parse(laid_out(golden, [(s, pieces[s.kind]) for s in reversed(sections)]))
