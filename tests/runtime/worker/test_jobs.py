# SPDX-License-Identifier: Apache-2.0
"""What a worker keeps for its client has bounds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from stillflow.baked import decode_baked
from stillflow.errors import StillflowError
from stillflow.worker import jobs
from stillflow.worker.requests import read_request

from .client import Client
from .test_worker import SAMPLES, animate


@pytest.fixture
def golden(source_tree: Path) -> bytes:
    return (source_tree / "tests" / "data" / "baked" / "falls-1.0.sflow").read_bytes()


def test_loops_beyond_the_most_are_refused(monkeypatch):
    monkeypatch.setattr(jobs, "MOST_LOOPS", 1)
    with Client() as client:
        loop = animate(client)
        _, reply, _ = client.ask({"type": "open", "id": 2}, b"never read")
        assert "1 are open" in reply["why"]
        client.ask({"type": "close", "id": 3, "loop": loop["loop"]})
        assert animate(client)["loop"] != loop["loop"]


def test_a_frame_beyond_a_payload_is_refused():
    with Client() as client:
        loop = animate(client)
        _, reply, _ = client.ask(
            {"type": "frames", "id": 2, "loop": loop["loop"], "width": 65535, "height": 65535}
        )
        assert (reply["type"], reply["status"]) == ("error", 2)


def test_a_scene_beyond_a_payload_is_refused(monkeypatch):
    with Client() as client:
        loop = animate(client)["loop"]
        monkeypatch.setattr(jobs, "MOST_PAYLOAD", 1000)
        _, reply, _ = client.ask({"type": "bake", "id": 2, "loop": loop})
        assert reply["type"] == "error" and "name a file" in reply["fix"]


def test_scenes_are_written_to_files_of_their_kind_only(tmp_path):
    precious = tmp_path / "photo.jpg"
    precious.write_bytes(b"precious")
    with Client() as client:
        loop = animate(client)["loop"]
        _, reply, _ = client.ask({"type": "bake", "id": 2, "loop": loop, "scene": str(precious)})
        assert (reply["type"], reply["status"]) == ("error", 2)
    assert precious.read_bytes() == b"precious"


def test_a_scene_that_is_baked_again_says_the_same_of_itself(golden):
    about = decode_baked(golden).about
    with Client() as client:
        _, loop, _ = client.ask({"type": "open", "id": 1}, golden)
        _, _, data = client.ask({"type": "bake", "id": 2, "loop": loop["loop"]})
    assert decode_baked(data).about == about != {}


def test_photos_of_a_client_do_not_stay_on_the_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Client() as client:
        animate(client, payload=(SAMPLES / "fog.jpg").read_bytes())
        _, reply, _ = client.ask({"type": "animate", "id": 2}, b"no photo")
        assert reply["type"] == "error"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arrows", [[[0.1, 0.2]], [[0.1, 0.2, 0.3, 2.0]]])
def test_arrows_are_checked(arrows):
    text = f'{{"type": "animate", "id": 1, "photo": "x.jpg", "arrows": {arrows}}}'
    with pytest.raises(StillflowError):
        jobs._guidance(read_request(text.encode()))


def test_guidance_is_as_asked():
    text = b'{"type": "animate", "id": 1, "photo": "x", "arrows": [[0.1, 0.2, 0.3, 0.4, 1]], "seed": 7, "force": true}'
    guidance = jobs._guidance(read_request(text))
    assert (guidance.seed, guidance.strength, len(guidance.arrows)) == (7, 1.0, 1)
