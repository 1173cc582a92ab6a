# SPDX-License-Identifier: Apache-2.0
"""A worker: takes requests one after the other, can be told to stop one at any time."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from stillflow import __version__
from stillflow.errors import StillflowError
from stillflow.worker.jobs import CancelledError, Jobs
from stillflow.worker.pixels import FORMATS
from stillflow.worker.requests import Bye, Cancel, Free, Id, Request, id_of, read_request
from stillflow.worker.shared_memory import AVAILABLE
from stillflow.worker.wire import MOST_PAYLOAD, Message, Wire, read_message

PROTOCOL = "1.0"

MOST_WAITING = 64
"""Requests that may wait; more are answered by an error."""

MOST_WAITING_BYTES = MOST_PAYLOAD
"""Of their payloads, together."""

USER_ERROR, INTERNAL_ERROR = 2, 70


class Worker:
    """Serves one client.

    Args:
        requests: that messages are read from.
        replies: that messages are written to.
        animator: makes the animator when the first photo comes (``stillflow.animator.Animator``).
    """

    def __init__(self, requests: BinaryIO, replies: BinaryIO, animator: Callable[[], Any]) -> None:
        self._requests = requests
        self._wire = Wire(replies)
        self._waiting: queue.Queue[tuple[Request, Message] | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._open: set[Id] = set()
        self._cancelled: set[Id] = set()
        self._waiting_bytes = 0
        self._gone = threading.Event()
        self._broken: Exception | None = None
        self._jobs = Jobs(self._wire, animator, self._check)

    def serve(self) -> int:
        """Serve until the client says bye, or its stream ends.

        Returns:
            The exit code: 0, or 2 after a message that broke the rules of the wire.

        Raises:
            BrokenPipeError: nobody reads the replies any more.
        """
        self._wire.send(
            {
                "type": "hello",
                "protocol": PROTOCOL,
                "stillflow": __version__,
                "formats": FORMATS,
                "shared_memory": AVAILABLE,
            }
        )
        reader = threading.Thread(target=self._read, name="stillflow-worker-requests", daemon=True)
        reader.start()
        try:
            while (taken := self._waiting.get()) is not None:
                with self._lock:
                    self._waiting_bytes -= len(taken[1].payload)
                self._answer(*taken)
                if isinstance(taken[0], Bye):
                    return 0
        finally:
            self._jobs.close()
        if self._gone.is_set():
            raise BrokenPipeError
        if isinstance(self._broken, StillflowError):
            self._error(None, self._broken, USER_ERROR)
            return USER_ERROR
        if self._broken is not None:
            raise self._broken
        return 0

    def _read(self) -> None:
        """Read requests ahead, so that a cancel is heard while another one is served."""
        try:
            while (message := read_message(self._requests)) is not None:
                self._take(message)
        except OSError:
            self._gone.set()
        except Exception as error:  # told, or raised, by serve(): without an end it would wait for ever
            self._broken = error
        self._waiting.put(None)

    def _take(self, message: Message) -> None:
        try:
            request = read_request(message.text)
        except StillflowError as error:
            self._error(id_of(message.text), error, USER_ERROR)
            return
        if isinstance(request, Cancel):
            with self._lock:
                if request.request in self._open:
                    self._cancelled.add(request.request)
            self._wire.send({"type": "done", "id": request.id})
        elif isinstance(request, Free):
            self._jobs.free(request.id, request.index)
        elif refusal := self._refusal(request, message):
            self._error(request.id, StillflowError("cannot take a request", *refusal), USER_ERROR)

    def _refusal(self, request: Request, message: Message) -> tuple[str, str] | None:
        """Let a request wait for its turn; why not and what to do, where it cannot."""
        with self._lock:
            if request.id in self._open:
                return f"another one with the id {request.id!r} is not done yet", "give each an id of its own"
            if self._waiting.full():
                return f"{MOST_WAITING} others are waiting", "wait for answers before you ask for more"
            size = len(message.payload)
            if self._waiting_bytes + size > MOST_WAITING_BYTES:
                why = f"with its payload {self._waiting_bytes + size} bytes would wait, and {MOST_WAITING_BYTES} may"
                return why, "wait for answers before you send more, or name files"
            self._waiting_bytes += size
            self._open.add(request.id)
        self._waiting.put((request, message))
        return None

    def _check(self, request: Id) -> None:
        """Stop a request that was cancelled, or whose client is gone."""
        if self._gone.is_set() or request in self._cancelled:
            raise CancelledError

    def _answer(self, request: Request, message: Message) -> None:
        """Serve one request; whatever happens, it gets one last reply."""
        reply: Mapping[str, Any]
        try:
            self._check(request.id)
            reply = (
                {"type": "done", "id": request.id}
                if isinstance(request, Bye)
                else self._jobs.serve(request, message)
            )
        except CancelledError:
            reply = {"type": "cancelled", "id": request.id}
        except BrokenPipeError:
            raise  # of the replies: nobody is left to be told
        except StillflowError as error:
            reply = error_reply(request.id, error, USER_ERROR)
        except Exception as error:  # a fault of ours ends the request, not the worker
            traceback.print_exception(error)
            told = StillflowError(
                "stillflow failed", f"{type(error).__name__}: {error}", "report what stands on stderr"
            )
            reply = error_reply(request.id, told, INTERNAL_ERROR)
        # Before the reply: a client that has read it may use the id again.
        with self._lock:
            self._open.discard(request.id)
            self._cancelled.discard(request.id)
        payload = reply.pop("payload", b"") if isinstance(reply, dict) else b""
        self._wire.send(reply, payload)

    def _error(self, request: Id | None, error: StillflowError, status: int) -> None:
        self._wire.send(error_reply(request, error, status))


def error_reply(request: Id | None, error: StillflowError, status: int) -> dict[str, Any]:
    """The reply that says what went wrong."""
    said = {"what": error.what, "why": error.why, "fix": error.fix}
    return {"type": "error", "id": request, **said, "status": status}
