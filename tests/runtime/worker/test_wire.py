# SPDX-License-Identifier: Apache-2.0
"""Messages survive the wire; what breaks its rules is refused before it is believed."""

from __future__ import annotations

import io
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.worker.wire import LENGTHS, MOST_JSON, MOST_PAYLOAD, Message, Wire, read_message

MEMBERS = st.dictionaries(
    st.text(max_size=8), st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=20)), max_size=5
)


@given(st.lists(st.tuples(MEMBERS, st.binary(max_size=200)), max_size=4))
def test_messages_come_back(messages):
    stream = io.BytesIO()
    wire = Wire(stream)
    for reply, payload in messages:
        wire.send(reply, payload)
    stream.seek(0)
    for reply, payload in messages:
        message = read_message(stream)
        assert message is not None
        assert json.loads(message.text) == reply
        assert message.payload == payload
    assert read_message(stream) is None


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data):
    stream = io.BytesIO(data)
    try:
        while read_message(stream) is not None:
            pass
    except StillflowError as error:
        assert error.fix


@pytest.mark.parametrize(
    ("text", "payload"), [(0, 0), (1, 0), (MOST_JSON + 1, 0), (2, MOST_PAYLOAD + 1), (2**32 - 1, 2**32 - 1)]
)
def test_lengths_beyond_the_rules_are_refused(text, payload):
    with pytest.raises(StillflowError, match="announced"):
        read_message(io.BytesIO(LENGTHS.pack(text, payload) + b"{}"))


def test_messages_come_from_an_unbuffered_pipe_in_pieces():
    there, back = os.pipe()
    with os.fdopen(there, "rb", buffering=0) as stream, os.fdopen(back, "wb") as pieces:
        payload = bytes(range(256)) * 100
        data = LENGTHS.pack(2, len(payload)) + b"{}" + payload
        for at in range(0, len(data), 999):
            pieces.write(data[at : at + 999])
            pieces.flush()
        message = read_message(stream)
    assert message == Message(b"{}", payload)


def test_a_large_message_that_never_comes_takes_no_memory():
    with pytest.raises(StillflowError, match="ends"):
        read_message(io.BytesIO(LENGTHS.pack(2, MOST_PAYLOAD) + b"{}"))
