# SPDX-License-Identifier: Apache-2.0
"""Frames in a client's shared memory: in turn, none overwritten before it is read."""

from __future__ import annotations

import os
from multiprocessing import shared_memory

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.worker.requests import Memory
from stillflow.worker.shared_memory import AVAILABLE, Slots

from .client import Client
from .test_worker import animate

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="this system has no POSIX shared memory")


@pytest.fixture
def memory():
    made = shared_memory.SharedMemory(f"stillflow-test-{os.getpid()}", create=True, size=1 << 20)
    yield made
    made.close()
    made.unlink()


def test_frames_wait_until_the_client_is_done(memory):
    with Client() as client:
        loop = animate(client)
        _, _, data = client.ask({"type": "bake", "id": 2, "loop": loop["loop"]})
        asked = {"name": memory.name, "bytes": memory.size, "slots": 2}
        client.send({"type": "frames", "id": 3, "loop": loop["loop"], "count": 8, "memory": asked})
        frames = []
        told = [client.hear()[0], client.hear()[0]]
        for k in range(8):
            reply = told.pop(0)
            assert (reply["type"], reply["index"]) == ("frame", k)
            frames.append(bytes(memory.buf[reply["offset"] : reply["offset"] + reply["bytes"]]))
            client.send({"type": "free", "id": 3, "index": k})
            if k < 6:
                told.append(client.hear()[0])
        assert client.hear()[0]["type"] == "done"
    assert frames[:4] == frames[4:]
    assert frames[0] != frames[2]
    assert data


def test_a_client_that_never_frees_can_still_cancel(memory):
    with Client() as client:
        loop = animate(client)
        asked = {"name": memory.name, "bytes": memory.size, "slots": 1}
        client.send({"type": "frames", "id": 3, "loop": loop["loop"], "memory": asked})
        assert client.hear()[0]["type"] == "frame"
        client.send({"type": "cancel", "id": 4, "request": 3})
        assert {client.hear()[0]["type"], client.hear()[0]["type"]} == {"done", "cancelled"}


@pytest.mark.parametrize(
    ("change", "word"),
    [({"name": "stillflow-none"}, "create"), ({"bytes": 1 << 24}, "ftruncate"), ({"slots": 1024}, "slots")],
)
def test_memory_that_is_missing_or_too_small_is_refused(memory, change, word):
    said = {"name": memory.name, "bytes": memory.size, "slots": 2, **change}
    with pytest.raises(StillflowError) as caught:
        Slots(Memory(**said), 5000)
    assert word in caught.value.fix


def test_what_is_written_lies_where_it_says(memory):
    slots = Slots(Memory("/" + memory.name, memory.size, 3), 1000)
    for index in range(3):
        offset = slots.put(index, np.full(1000, index + 1, np.uint8), lambda: None)
        assert offset % 64 == 0
        assert bytes(memory.buf[offset : offset + 1000]) == bytes([index + 1]) * 1000
    slots.free(0)
    assert slots.put(3, np.zeros(1000, np.uint8), lambda: None) == 0
    slots.close()


def test_a_frame_that_was_freed_before_frees_nothing_again(memory):
    def give_up():
        raise TimeoutError

    slots = Slots(Memory(memory.name, memory.size, 1), 1000)
    slots.put(0, np.zeros(1000, np.uint8), give_up)
    slots.free(0)
    slots.put(1, np.zeros(1000, np.uint8), give_up)
    for index in (0, 2):
        slots.free(index)
        with pytest.raises(TimeoutError):
            slots.put(2, np.zeros(1000, np.uint8), give_up)
    slots.free(1)
    slots.put(2, np.zeros(1000, np.uint8), give_up)
    slots.close()


def test_the_name_may_go_while_frames_are_written():
    made = shared_memory.SharedMemory(f"stillflow-gone-{os.getpid()}", create=True, size=4096)
    slots = Slots(Memory(made.name, made.size), 1000)
    made.unlink()
    slots.put(0, np.full(1000, 7, np.uint8), lambda: None)
    assert bytes(made.buf[:1000]) == b"\7" * 1000
    slots.close()
    made.close()
