# SPDX-License-Identifier: Apache-2.0
"""Baked scenes that lie, with hashes that fit: what a hand that means harm would write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stillflow.baked.layout import ENTRY, HEADER, Head, Kind, Section, parse_head, table_bytes

Change = Callable[[Section], Section]


def head_of(data: bytes) -> Head:
    """Read a sound file's header and table."""
    end = HEADER.size + table_bytes(data[: HEADER.size], "it", len(data))
    return parse_head(data[:end], "it")


def pieces_of(data: bytes) -> dict[int, bytes]:
    """The bytes of each section."""
    return {s.kind: data[s.offset : s.offset + s.size] for s in head_of(data).sections}


def with_head(data: bytes, **changes: Any) -> bytes:
    """Change fields of the header; the table's hash fits."""
    head = replace(head_of(data), **changes)
    return head.pack() + data[HEADER.size + ENTRY.size * len(head.sections) :]


def with_line(data: bytes, kind: int, /, **changes: Any) -> bytes:
    """Change a section's line in the table, and not its bytes."""
    sections = [replace(s, **changes) if s.kind == kind else s for s in head_of(data).sections]
    return with_head(data, sections=tuple(sections))


def laid_out(data: bytes, lines: Sequence[tuple[Section, bytes]], filler: bytes = b"\0") -> bytes:
    """Lay sections out anew: their places, sizes and hashes follow from their bytes, all else is as they say."""
    at = HEADER.size + ENTRY.size * len(lines)
    body, sections = b"", []
    for section, piece in lines:
        gap = filler * (-(at + len(body)) % 64)
        body += gap
        digest = hashlib.sha256(piece).digest()
        place = replace(section, offset=at + len(body), size=len(piece), sha256=digest)
        sections.append(place)
        body += piece
    return replace(head_of(data), sections=tuple(sections), size=at + len(body)).pack() + body


def with_piece(data: bytes, kind: int, piece: bytes, /, **changes: Any) -> bytes:
    """Give a section other bytes, whose hash fits, and change its line."""
    pieces = pieces_of(data)
    lines = [
        (replace(s, **changes), piece) if s.kind == kind else (s, pieces[s.kind])
        for s in head_of(data).sections
    ]
    return laid_out(data, lines)


def without(data: bytes, *kinds: Kind) -> bytes:
    """Leave sections out."""
    pieces = pieces_of(data)
    return laid_out(data, [(s, pieces[s.kind]) for s in head_of(data).sections if s.kind not in kinds])


def with_more(data: bytes, section: Section, piece: bytes) -> bytes:
    """Add a section at the end."""
    pieces = pieces_of(data)
    return laid_out(data, [*((s, pieces[s.kind]) for s in head_of(data).sections), (section, piece)])
