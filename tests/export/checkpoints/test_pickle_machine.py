# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import contextlib
import io
import os
import pickle
import pickletools
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_export.checkpoints.pickle_machine import Global, Options, RefusedError, read_pickle
from stillflow_export.checkpoints.stored import CALLS


def nothing(name: Any) -> Any:
    raise RefusedError("no storage was expected")


def read(data: bytes) -> Any:
    return read_pickle(io.BytesIO(data), CALLS, nothing)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(st.text() | st.integers(), max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN, st.sampled_from([2, 3, 4, 5]))
def test_plain_values_come_back_as_they_were(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


def test_shared_values_stay_shared() -> None:
    inner = ["x"]
    one, two = read(pickle.dumps([inner, inner], 2))
    assert one is two


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_namespace_becomes_its_attributes(protocol: int) -> None:
    value = {"opts": argparse.Namespace(ngf=64, name="x", losses=["l1"])}
    made = read(pickle.dumps(value, protocol))["opts"]
    assert isinstance(made, Options)
    assert made == {"ngf": 64, "name": "x", "losses": ["l1"]}


def test_an_ordered_dictionary_loses_its_attributes() -> None:
    value: OrderedDict[str, int] = OrderedDict(a=1)
    value._metadata = {"": 1}  # type: ignore[attr-defined]
    assert read(pickle.dumps(value, 2)) == {"a": 1}


def test_the_file_is_left_behind_the_end() -> None:
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps([2], 2) + b"rest")
    assert read_pickle(stream, CALLS, nothing) == 1
    assert read_pickle(stream, CALLS, nothing) == [2]
    assert stream.read() == b"rest"


class Reducer:
    """Runs a command when an ordinary unpickler sees it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.said = function, arguments

    def __reduce__(self) -> Any:
        return self.said


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_reducer_is_named_and_not_run(protocol: int, tmp_path: Any) -> None:
    made = tmp_path / "made"
    data = pickle.dumps(Reducer(os.system, f"touch {made}"), protocol)
    with pytest.raises(RefusedError, match=r"(posix|nt)\.system"):
        read(data)
    assert not made.exists()


@pytest.mark.parametrize(
    "function",
    [eval, exec, getattr, __import__, print, open, os.remove, io.StringIO],
    ids=lambda f: f.__name__,
)
def test_functions_are_refused_by_name(function: Any) -> None:
    with pytest.raises(RefusedError, match=function.__name__):
        read(pickle.dumps(Reducer(function, "x"), 2))


def test_a_list_type_may_be_named_but_not_called() -> None:
    assert read(pickle.dumps([list], 2)) == [Global("builtins", "list")]
    with pytest.raises(RefusedError, match="not called"):
        read(pickle.dumps(Reducer(list, "x"), 2))


def assembled(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


HOSTILE = {
    "no value": assembled(),
    "two values": assembled(b"K\x01", b"K\x02"),
    "a mark alone": assembled(b"("),
    "item into a number": assembled(b"K\x01", b"K\x02", b"K\x03", b"s"),
    "append to a number": assembled(b"K\x01", b"K\x02", b"a"),
    "call of a number": assembled(b"K\x01", b")", b"R"),
    "attributes of a number": assembled(b"K\x01", b"}", b"b"),
    "attributes of a list": assembled(b"]", b"}", b"b"),
    "attribute named by a number": assembled(b"cargparse\nNamespace\n)\x81", b"}K\x01K\x02s", b"b"),
    "list as a key": assembled(b"}", b"]", b"K\x01", b"s"),
    "nothing to get": assembled(b"h\x07"),
    "huge place in the memo, nothing to put": assembled(b"r\xff\xff\xff\x7f"),
    "text that is no UTF-8": assembled(b"X\x01\x00\x00\x00\xff"),
    "text longer than the file": assembled(b"X\xff\xff\xff\x7f"),
    "bytes longer than the file": assembled(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0f"),
    "extension registry": assembled(b"\x82\x01"),
    "buffer out of band": assembled(b"\x97"),
    "a persistent id in text": assembled(b"Pid\n"),
    "an instance by class": assembled(b"(icollections\nOrderedDict\n"),
    "newer protocol": b"\x80\x09K\x01.",
    "no end": b"\x80\x02K\x01",
    "unknown opcode": b"\x80\x02\xfeK\x01.",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_malformed_is_refused(kind: str) -> None:
    with pytest.raises(RefusedError):
        read(HOSTILE[kind])


def test_a_huge_place_in_the_memo_takes_no_memory() -> None:
    # The library's unpickler makes a table up to that index: 16 GiB here.
    assert read(assembled(b"K\x01", b"r\xff\xff\xff\x7f")) == 1


def test_copies_without_end_are_refused() -> None:
    # A list of 1000 pairs, of which 100 000 dictionaries are made: 10 GB, by an ordinary unpickler.
    pairs = b"](" + b"".join(b"X\x04\0\0\0%04dK\x01\x86" % i for i in range(1000)) + b"eq\x01"
    call = b"ccollections\nOrderedDict\nh\x01\x85R"
    with pytest.raises(RefusedError, match="steps"):
        read(assembled(pairs, call * 100_000))
    assert len(read(assembled(pairs, b"0", call))) == 1000


def test_a_deeply_nested_key_is_refused() -> None:
    # Hashing it would overflow the stack of C and end the process.
    deep = b"}" + b")" + b"\x85" * 60_000 + b"K\x01" + b"s"
    with pytest.raises(RefusedError, match="cannot be a key"):
        read(assembled(deep))


def test_deep_nesting_is_read() -> None:
    value = read(assembled(b"]" * 50_000 + b"a" * 49_999))
    assert isinstance(value, list)


@given(
    st.lists(
        st.sampled_from([o.code.encode("latin-1") for o in pickletools.opcodes]) | st.binary(max_size=6),
        max_size=40,
    )
)
def test_any_opcodes_give_a_value_or_a_refusal(parts: list[bytes]) -> None:
    with contextlib.suppress(RefusedError):
        read(assembled(*parts))
