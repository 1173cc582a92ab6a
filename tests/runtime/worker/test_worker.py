# SPDX-License-Identifier: Apache-2.0
"""A worker is asked over pipes, as another program would."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from stillflow.animator import Animator
from stillflow.baked import read_baked
from stillflow.worker import worker
from stillflow.worker.wire import LENGTHS

from .client import Client

SAMPLES = Path(__file__).resolve().parents[3] / "samples"

ASKED = {"seconds": 0.2, "fps": 20, "size": 160}


@pytest.fixture(scope="module")
def expected():
    return Animator().animate(SAMPLES / "fog.jpg", **ASKED)


def animate(client: Client, **members: object) -> dict:
    photo = {"photo": str(SAMPLES / "fog.jpg")} if "payload" not in members else {}
    payload = members.pop("payload", b"")
    before, reply, _ = client.ask({"type": "animate", "id": "a", **photo, **ASKED, **members}, payload)
    assert reply["type"] == "loop", reply
    assert [told["stage"] for told, _ in before] == ["read", "motion", "assess", "scene"]
    return reply


def test_a_photo_becomes_the_same_frames_as_here(expected):
    with Client() as client:
        assert client.hello["type"] == "hello"
        assert client.hello["protocol"].split(".")[0] == "1"
        loop = animate(client)
        assert (loop["width"], loop["height"], loop["frames"]) == (
            expected.scene.width,
            expected.scene.height,
            4,
        )
        frames, last, _ = client.ask({"type": "frames", "id": 2, "loop": loop["loop"]})
        assert last["type"] == "done" and last["frames"] == len(frames) == 4
        for k, (told, data) in enumerate(frames):
            assert told["index"] == k
            assert data == expected.frame(k).tobytes()


def test_a_photos_bytes_do_as_well_as_its_path(expected):
    with Client() as client:
        loop = animate(client, payload=(SAMPLES / "fog.jpg").read_bytes())
        (frame,), _, _ = client.ask({"type": "frames", "id": 1, "loop": loop["loop"], "times": [2.5]})
        assert frame[1] == expected.scene.frame(2.5).tobytes()


def test_a_loop_is_baked_opened_saved_and_closed(expected, tmp_path):
    with Client() as client:
        loop = animate(client)["loop"]
        _, done, data = client.ask({"type": "bake", "id": 1, "loop": loop})
        assert done["bytes"] == len(data)
        _, done, nothing = client.ask(
            {"type": "bake", "id": 2, "loop": loop, "scene": str(tmp_path / "fog.sflow")}
        )
        assert not nothing and (tmp_path / "fog.sflow").stat().st_size == done["bytes"]
        _, opened, _ = client.ask({"type": "open", "id": 3}, data)
        assert opened["about"]["synthetic"] is True
        (frame,), _, _ = client.ask(
            {"type": "frames", "id": 4, "loop": opened["loop"], "first": 1, "count": 1}
        )
        assert frame[1] == expected.frame(1).tobytes()
        assert np.array_equal(read_baked(tmp_path / "fog.sflow").scene.frame(1), expected.frame(1))
        _, done, _ = client.ask({"type": "save", "id": 5, "loop": loop, "output": str(tmp_path / "fog.gif")})
        assert (tmp_path / "fog.gif").stat().st_size == done["bytes"] > 0
        assert client.ask({"type": "close", "id": 6, "loop": loop})[1]["type"] == "done"
        _, gone, _ = client.ask({"type": "frames", "id": 7, "loop": loop})
        assert (gone["type"], gone["status"]) == ("error", 2)


def test_what_is_wrong_is_told_and_the_worker_goes_on(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no photo")
    with Client() as client:
        for request, word in (
            ({"type": "animate", "id": 1, "photo": str(broken)}, "broken.jpg"),
            ({"type": "animate", "id": 1}, "no photo"),
            ({"type": "animate", "id": 1, "photo": "x.jpg", "seconds": "long"}, "seconds"),
            ({"type": "open", "id": 1, "scene": str(broken)}, "broken.jpg"),
            ({"type": "frames", "id": 1, "loop": "loop-1"}, "loop-1"),
            ({"type": "dance", "id": 1}, "dance"),
        ):
            _, reply, _ = client.ask(request)
            assert (reply["type"], reply["status"]) == ("error", 2), reply
            assert word in reply["what"] + reply["why"], reply
            assert reply["fix"]
        client.send(b"{]")
        assert client.hear()[0]["type"] == "error"
        assert client.ask({"type": "bye", "id": 8})[1]["type"] == "done"
    assert client.code == 0


def test_a_request_is_cancelled_before_its_turn_and_while_it_runs():
    with Client() as client:
        client.send({"type": "animate", "id": "one", "photo": str(SAMPLES / "fog.jpg"), **ASKED})
        client.send({"type": "animate", "id": "two", "photo": str(SAMPLES / "fog.jpg"), **ASKED})
        client.send({"type": "cancel", "id": "stop", "request": "two"})
        last = {}
        while len(last) < 3:
            reply, _ = client.hear()
            if reply["type"] != "progress":
                last[reply["id"]] = reply["type"]
        assert last == {"one": "loop", "stop": "done", "two": "cancelled"}
        # An endless request ends when it is told to.
        client.send({"type": "frames", "id": 3, "loop": "loop-1", "count": 10_000_000})
        assert client.hear()[0]["type"] == "frame"
        client.send({"type": "cancel", "id": 4, "request": 3})
        kinds = set()
        while "cancelled" not in kinds:
            kinds.add(client.hear()[0]["type"])
        assert client.ask({"type": "close", "id": 5, "loop": "loop-1"})[1]["type"] == "done"


def test_what_waits_has_bounds(monkeypatch):
    monkeypatch.setattr(worker, "MOST_WAITING_BYTES", 100)
    with Client() as client:
        loop = animate(client)["loop"]
        client.send({"type": "frames", "id": "long", "loop": loop, "count": 10_000_000})
        assert client.hear()[0]["type"] == "frame"
        # The first ones fit; all the others are told so at once.
        for k in range(worker.MOST_WAITING + 9):
            client.send({"type": "open", "id": k}, b"x" * (30 if k < 4 else 0))
        client.send({"type": "cancel", "id": "stop", "request": "long"})
        why = {}
        while len(why) < worker.MOST_WAITING + 9:
            reply, _ = client.hear()
            if reply["type"] == "error":
                why[reply["id"]] = reply["why"]
        assert all("not a baked scene" in why[k] for k in range(3))
        assert "120 bytes would wait, and 100 may" in why[3]
        assert sum("others are waiting" in text for text in why.values()) == 8
        # What is done waits no longer.
        assert "not a baked scene" in client.ask({"type": "open", "id": "again"}, b"x" * 100)[1]["why"]


def test_an_endless_request_takes_no_memory_for_its_times():
    with Client() as client:
        loop = animate(client)["loop"]
        tracemalloc.start()
        client.send({"type": "frames", "id": 3, "loop": loop, "count": 10_000_000})
        assert client.hear()[0]["type"] == "frame"
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        client.send({"type": "cancel", "id": 4, "request": 3})
        while client.hear()[0]["type"] != "cancelled":
            pass
    assert taken < 20_000_000


def test_a_fault_in_reading_ends_the_worker():
    class Faulty:
        def read(self, _: int) -> bytes:
            raise MemoryError

    with pytest.raises(MemoryError):
        worker.Worker(Faulty(), io.BytesIO(), Animator).serve()


def test_an_id_in_use_is_refused():
    with Client() as client:
        for _ in range(2):
            client.send({"type": "animate", "id": 1, "photo": str(SAMPLES / "fog.jpg"), **ASKED})
        kinds = []
        while len(kinds) < 2:
            reply, _ = client.hear()
            if reply["type"] != "progress":
                kinds.append(reply["type"])
        assert sorted(kinds) == ["error", "loop"]


@pytest.mark.parametrize(
    "data",
    [
        LENGTHS.pack(1, 0),
        LENGTHS.pack(1 << 21, 0),
        LENGTHS.pack(2, 1 << 30),
        LENGTHS.pack(40, 0) + b"{}",
        b"\0\0\0",
    ],
    ids=["no JSON", "long JSON", "long payload", "cut off", "cut off at once"],
)
def test_broken_messages_end_it_with_exit_code_2(data):
    with Client() as client:
        client.send_bytes(data)
        os.close(client._to)
        client._to = -1
        reply, _ = client.hear()
        assert (reply["type"], reply["status"]) == ("error", 2)
    assert client.code == 2
