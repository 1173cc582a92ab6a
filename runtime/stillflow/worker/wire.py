# SPDX-License-Identifier: Apache-2.0
"""Messages on a pipe: two lengths, JSON, a payload (docs/worker.md)."""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple, Union

import msgspec

from stillflow.errors import StillflowError

LENGTHS = struct.Struct("<II")
"""Bytes of the JSON and of the payload."""

MOST_JSON = 1 << 20
MOST_PAYLOAD = 1 << 28
"""Bytes; a photo of 200 megapixels as a file is smaller."""

Payload = Union[bytes, bytearray, memoryview]


class Message(NamedTuple):
    """One message.

    Attributes:
        text: the JSON, undecoded.
        payload: bytes, often none.
    """

    text: bytes
    payload: bytes


def read_message(stream: BinaryIO) -> Message | None:
    """Read one message; None at the end of the stream.

    Args:
        stream: buffered or not.

    Raises:
        StillflowError: a length breaks the rules, or the stream ends inside a message. Nothing can be read after it.
    """
    head = _exactly(stream, LENGTHS.size, at_start=True)
    if head is None:
        return None
    text_bytes, payload_bytes = LENGTHS.unpack(head)
    for what, size, least, most in (
        ("JSON", text_bytes, 2, MOST_JSON),
        ("payload", payload_bytes, 0, MOST_PAYLOAD),
    ):
        if not least <= size <= most:
            raise _broken(f"a {what} of {size} bytes is announced; {least} to {most} are allowed")
    text, payload = _exactly(stream, text_bytes), _exactly(stream, payload_bytes)
    assert text is not None and payload is not None
    return Message(text, payload)


def _exactly(stream: BinaryIO, size: int, *, at_start: bool = False) -> bytes | None:
    """That many bytes; None where there are none at all and that is allowed."""
    pieces, left = [], size
    while left:
        # In pieces: what is announced is not believed before it arrives. A pipe holds 64 KiB.
        piece = stream.read(min(left, 1 << 16))
        if not piece:
            if at_start and left == size:
                return None
            raise _broken(f"the stream ends {left} bytes before the end of a message")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _broken(why: str) -> StillflowError:
    return StillflowError("cannot read the requests", why, "write messages as docs/worker.md says")


class Wire:
    """The way back. May be used from several threads at once.

    Args:
        stream: that replies are written to.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, reply: Mapping[str, Any], payload: Payload = b"") -> None:
        """Write one message.

        Args:
            reply: what becomes its JSON.
            payload: at most ``MOST_PAYLOAD`` bytes.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        text = msgspec.json.encode(reply)
        with self._lock:
            self._stream.write(LENGTHS.pack(len(text), len(payload)))
            self._stream.write(text)
            if len(payload):
                self._stream.write(payload)
            self._stream.flush()
