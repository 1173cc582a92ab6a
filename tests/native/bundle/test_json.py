# SPDX-License-Identifier: Apache-2.0
"""JSON: what Python writes is read as it is; what is damaged is refused, or is what Python says."""

from __future__ import annotations

import ctypes
import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ..internals import Room, internals
from ..structs import FORMAT, LIMIT
from .calls import RefusedError, check


class Json(ctypes.Structure):
    """sf_json."""


Json._fields_ = (
    ("kind", ctypes.c_int),
    ("whole", ctypes.c_int32),
    ("number", ctypes.c_double),
    ("string", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("first", ctypes.POINTER(Json)),
    ("next", ctypes.POINTER(Json)),
    ("count", ctypes.c_int32),
)

NULL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT = range(7)


def told(value: Json) -> Any:
    """A tree of the library as Python's values; numbers as (whole, double)."""
    if value.kind == NUMBER:
        return bool(value.whole), value.number
    if value.kind == STRING:
        return value.string.decode()
    if value.kind < NUMBER:
        return (None, False, True)[value.kind]
    children = []
    at = value.first
    while at:
        children.append(at.contents)
        at = at.contents.next
    assert len(children) == value.count
    if value.kind == ARRAY:
        return [told(child) for child in children]
    return {child.name.decode(): told(child) for child in children}


def read(text: bytes, limit: int = 0) -> Any:
    library = internals()
    library.test_json_read.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
    out = ctypes.POINTER(Json)()
    with Room(limit) as room:
        check(library.test_json_read(room.address, text, len(text), ctypes.byref(out)), room.error)
        return told(out.contents)


def refuse_constant(name: str) -> None:
    raise ValueError(name)


def by_python(text: bytes) -> Any:
    """What Python reads, with its numbers as the library tells them. Raises ValueError."""

    def whole(digits: str) -> tuple[bool, float]:
        return True, float(digits)

    def real(digits: str) -> tuple[bool, float]:
        return False, float(digits)

    return json.loads(text.decode(), parse_int=whole, parse_float=real, parse_constant=refuse_constant)


def same(a: Any, b: Any) -> bool:
    """Equal, numbers to a few units in the last place."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return a[0] == b[0] and math.isclose(a[1], b[1], rel_tol=1e-14, abs_tol=1e-307)
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_what_python_writes_is_read_as_it_is(value: Any, escaped: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent).encode()
    assert same(read(text), by_python(text))


@settings(max_examples=250, deadline=None)
@given(VALUES, st.data())
def test_damaged_text_is_refused_or_what_python_says(value: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(value, ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        new = data.draw(
            st.sampled_from(list(b'"\\{}[]:,0123-+.eEu \t\n\x00\x1f\x7f\x80\xc0\xe9\xed\xf4\xff'))
        )
        if data.draw(st.booleans()) and at < len(text):
            text[at] = new
        else:
            text.insert(at, new)
    try:
        found = read(bytes(text))
    except RefusedError as error:
        assert error.status == FORMAT
        assert error.fix
        return
    assert same(found, by_python(bytes(text)))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**15 - 1), st.integers(-22, 22), st.booleans())
@example(123456789012345, -22, False)
@example(0, 0, True)
def test_fifteen_digits_are_rounded_correctly(digits: int, power: int, negative: bool) -> None:
    text = f"{'-' if negative else ''}{digits}e{power}"
    found = read(text.encode())
    assert found == (False, float(text))
    assert math.copysign(1, found[1]) == (-1 if negative else 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1e-400", 0.0),
        (b"0e999999999999", 0.0),
        (b"1e308", 1e308),
        (b"0." + b"0" * 400 + b"1e401", 1.0),
        (b"1" + b"0" * 400 + b"e-400", 1.0),
        (b"123456789" * 3, 123456789123456789123456789.0),
        (b"5e-324", 5e-324),
    ],
)
def test_numbers_of_all_sizes(text: bytes, value: float) -> None:
    assert read(text)[1] == pytest.approx(value, rel=1e-14, abs=0)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
        b"{} x",
        b"nul",
        b"NaN",
        b"Infinity",
        b"-",
        b"01",
        b"-01",
        b"1.",
        b".5",
        b"1e",
        b"1e+",
        b"+1",
        b"1e309",
        b"[1,]",
        b"[,1]",
        b'{"a":1,}',
        b'{"a" 1}',
        b"{1:2}",
        b'{"a":1',
        b"[1 2]",
        b'"a',
        b'"\\x"',
        b'"\\u12"',
        b'"\\u0000"',
        b'"\x00"',
        b'"\n"',
        b'"\\ud800"',
        b'"\\ud800\\u0041"',
        b'"\\udc00"',
        b'"\xc0\xaf"',  # overlong
        b'"\xe0\x80\xaf"',
        b'"\xed\xa0\x80"',  # a surrogate
        b'"\xf4\x90\x80\x80"',  # beyond U+10FFFF
        b'"\xf0\x9f\x98"',  # cut short
        b"/**/1",
        b"'a'",
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        read(text)
    assert caught.value.status == FORMAT


def test_of_one_name_the_last_wins() -> None:
    assert read(b'{"a": 1, "\\u0061": 2}') == {"a": (True, 2.0)}


def test_depth_and_count_have_limits() -> None:
    assert read(b"[" * 64 + b"]" * 64)
    for text in (b"[" * 65 + b"]" * 65, b"[" * 100_000, b'{"a":' * 100_000, b"[" + b"1," * (1 << 20) + b"1]"):
        with pytest.raises(RefusedError) as caught:
            read(text)
        assert caught.value.status == FORMAT


def test_memory_has_a_limit() -> None:
    with pytest.raises(RefusedError) as caught:
        read(b"[" + b"1," * 100_000 + b"1]", limit=1 << 20)
    assert caught.value.status == LIMIT
