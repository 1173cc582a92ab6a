# SPDX-License-Identifier: Apache-2.0
"""What a worker keeps for its client has bounds."""

from __future__ import annotations

import pytest

from stillflow.errors import StillflowError
from stillflow.worker import jobs
from stillflow.worker.requests import read_request

from .client import Client
from .test_worker import animate


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


@pytest.mark.parametrize("arrows", [[[0.1, 0.2]], [[0.1, 0.2, 0.3, 2.0]]])
def test_arrows_are_checked(arrows):
    text = f'{{"type": "animate", "id": 1, "photo": "x.jpg", "arrows": {arrows}}}'
    with pytest.raises(StillflowError):
        jobs._guidance(read_request(text.encode()))


def test_guidance_is_as_asked():
    text = b'{"type": "animate", "id": 1, "photo": "x", "arrows": [[0.1, 0.2, 0.3, 0.4, 1]], "seed": 7, "force": true}'
    guidance = jobs._guidance(read_request(text))
    assert (guidance.seed, guidance.strength, len(guidance.arrows)) == (7, 1.0, 1)
