# SPDX-License-Identifier: Apache-2.0
"""A client of the worker, in a few lines: pipes to one that runs in a thread."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from stillflow.animator import Animator
from stillflow.worker import Worker
from stillflow.worker.wire import LENGTHS


class Client:
    """Talks to a worker of its own."""

    def __init__(self) -> None:
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        self._streams = [os.fdopen(there, "rb"), os.fdopen(back, "wb")]
        self._reader = os.fdopen(self._from, "rb")
        self.code: int | None = None
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            with self._streams[1]:
                self.code = Worker(*self._streams, Animator).serve()
        except BaseException as error:
            self.failure = error

    def __enter__(self) -> Client:
        self.hello, _ = self.hear()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._reader.close()
        self._streams[0].close()

    def leave(self) -> None:
        """Close our end, and wait for the worker."""
        if self._to >= 0:
            os.close(self._to)
            self._to = -1
        while self._reader.read(1 << 20):
            pass
        self._thread.join(60)
        assert not self._thread.is_alive()

    def send(self, request: dict[str, Any] | bytes, payload: bytes = b"") -> None:
        text = request if isinstance(request, bytes) else json.dumps(request).encode()
        self.send_bytes(LENGTHS.pack(len(text), len(payload)) + text + payload)

    def send_bytes(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._to, data) :]

    def hear(self) -> tuple[dict[str, Any], bytes]:
        text, payload = LENGTHS.unpack(self._reader.read(LENGTHS.size))
        return json.loads(self._reader.read(text)), self._reader.read(payload)

    def ask(
        self, request: dict[str, Any], payload: bytes = b""
    ) -> tuple[list[tuple[dict[str, Any], bytes]], dict[str, Any], bytes]:
        """Send a request; what came before the last reply, that reply and its payload."""
        self.send(request, payload)
        before = []
        while True:
            reply, data = self.hear()
            assert reply["id"] == request["id"], reply
            if reply["type"] not in ("progress", "frame"):
                return before, reply, data
            before.append((reply, data))
